//! A fw_cfg device whose host lies as a test has it, and the pages that its data comes through.

use std::boxed::Box;
use std::sync::{Arc, Mutex, MutexGuard};
use std::vec;
use std::vec::Vec;

use protocols::addr::Gpa;
use protocols::fw_cfg::{DMA_LOW_PORT, DmaAccess, FILE_DIRECTORY, FileEntry};
use protocols::ghcb::{ExitCode, Ghcb, GhcbField, IoSize, IoioInfo, Response};
use snp_model::system::System;
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, IntoBytes};

use super::script::{PageScript, honest_page};
use crate::platform::TransferPages;

const GPA: Gpa = Gpa::new(0x220_0000);
/// One page for the request, three for data: many transfers for few bytes.
const LEN: usize = 0x4000;
const DATA: usize = 0x1000;

/// What a host does to the shared pages once something of them was read: at an offset, so many bytes.
type AfterRead = Box<dyn FnMut(&mut [u8], usize, usize) + Send>;

/// What happens to a finished transfer: its number from 0, and the pages.
type AfterTransfer = Box<dyn FnMut(usize, &mut [u8]) + Send>;

pub(crate) struct Host {
    /// What is in the directory, true or not.
    pub(crate) directory: Vec<u8>,
    /// Contents, by selectors from 0x20 on.
    files: Vec<Vec<u8>>,
    selected: u16,
    offset: usize,
    /// Transfers so far: bytes each.
    pub(crate) transfers: Vec<usize>,
    /// How often each byte of the pages was read.
    pub(crate) reads: Vec<u32>,
    pages: Vec<u8>,
    pub(crate) after_read: Option<AfterRead>,
    pub(crate) after_transfer: Option<AfterTransfer>,
    /// The device does nothing at all.
    pub(crate) dead: bool,
}

/// The host's and the firmware's hold on it.
#[derive(Clone)]
pub(crate) struct Device(Arc<Mutex<Host>>);

/// An entry of the directory.
pub(crate) fn entry(name: &[u8], selector: u16, size: u32) -> FileEntry {
    let mut field = [0; 56];
    field[..name.len()].copy_from_slice(name);
    FileEntry {
        size: U32::new(size),
        selector: U16::new(selector),
        reserved: U16::new(0),
        name: field,
    }
}

impl Device {
    /// With files of these names.
    pub(crate) fn new(files: &[(&[u8], &[u8])]) -> Self {
        let mut directory = (files.len() as u32).to_be_bytes().to_vec();
        for (number, (name, content)) in files.iter().enumerate() {
            let entry = entry(name, 0x20 + number as u16, content.len() as u32);
            directory.extend_from_slice(entry.as_bytes());
        }
        Self(Arc::new(Mutex::new(Host {
            directory,
            files: files.iter().map(|(_, content)| content.to_vec()).collect(),
            selected: 0,
            offset: 0,
            transfers: Vec::new(),
            reads: vec![0; LEN],
            pages: vec![0x77; LEN],
            after_read: None,
            after_transfer: None,
            dead: false,
        })))
    }

    pub(crate) fn host(&self) -> MutexGuard<'_, Host> {
        self.0.lock().unwrap()
    }

    /// The host behind VMPL0's exits.
    pub(crate) fn script(&self) -> PageScript {
        let device = self.clone();
        let mut otherwise = honest_page();
        Box::new(move |system: &mut System, ghcb: &mut Ghcb| {
            if ghcb.exit_code() != Some(ExitCode::IOIO) {
                return otherwise(system, ghcb);
            }
            let info = ghcb.get(GhcbField::EXIT_INFO1).unwrap();
            assert_eq!(info, IoioInfo::port_out(DMA_LOW_PORT, IoSize::Dword).0);
            let address = ghcb.get(GhcbField::RAX).unwrap() as u32;
            assert_eq!(u64::from(address.swap_bytes()), GPA.get());
            device.host().transfer();
            ghcb.clear_valid();
            ghcb.respond(Response::NO_ACTION, 0);
        })
    }
}

impl Host {
    fn transfer(&mut self) {
        if self.dead {
            return;
        }
        let (access, _) = DmaAccess::read_from_prefix(&self.pages).unwrap();
        let (control, len) = (access.control.get(), access.length.get() as usize);
        assert_eq!(control & 0xffff & !(1 << 3), 1 << 1, "a read");
        assert_eq!(access.address.get(), GPA.get() + DATA as u64);
        if control & 1 << 3 != 0 {
            self.selected = (control >> 16) as u16;
            self.offset = 0;
        }
        let content: &[u8] = match self.selected {
            FILE_DIRECTORY => &self.directory,
            other => usize::from(other)
                .checked_sub(0x20)
                .and_then(|number| self.files.get(number))
                .map_or(&[], Vec::as_slice),
        };
        for (index, to) in self.pages[DATA..][..len].iter_mut().enumerate() {
            *to = content.get(self.offset + index).copied().unwrap_or(0);
        }
        self.offset += len;
        self.pages[..4].fill(0);
        self.reads.fill(0);
        let number = self.transfers.len();
        self.transfers.push(len);
        if let Some(mut lie) = self.after_transfer.take() {
            lie(number, &mut self.pages);
            self.after_transfer = Some(lie);
        }
    }
}

impl TransferPages for Device {
    fn gpa(&self) -> Gpa {
        GPA
    }

    fn size(&self) -> usize {
        LEN
    }

    fn write(&mut self, offset: usize, from: &[u8]) {
        self.host().pages[offset..][..from.len()].copy_from_slice(from);
    }

    fn read(&mut self, offset: usize, to: &mut [u8]) {
        let mut host = self.host();
        let end = LEN.min(offset + to.len());
        let range = offset.min(end)..end;
        to[..range.len()].copy_from_slice(&host.pages[range.clone()]);
        host.reads[range.clone()].iter_mut().for_each(|n| *n += 1);
        if let Some(mut lie) = host.after_read.take() {
            lie(&mut host.pages, range.start, range.len());
            host.after_read = Some(lie);
        }
    }
}
