//! The file that keeps a TPM's state.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `RAMPTPM` and a zero byte |
//! | 8 | 4 | version, u32 big-endian: 1 |
//! | 12 | 8 | length of the state, u64 big-endian |
//! | 20 | 32 | SHA-256 over version, length and state |
//! | 52 | … | the state, in the form of the crate `vtpm` |
//!
//! A new state is written beside the file, flushed to the disk and renamed over
//! it, so that the file holds the old state or the new one, whatever happens. A
//! file that is not whole is reported and left as it is.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

const MAGIC: [u8; 8] = *b"RAMPTPM\0";
const VERSION: u32 = 1;
const HEADER: usize = 52;
/// A state is a few hundred KiB at most; more is not one of ours.
const MAX_STATE: u64 = 16 << 20;

/// Why a state cannot be used or kept; the text names the file.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refused.
    #[error("{}: cannot {what}: {cause}", path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        cause: io::Error,
    },
    /// Another server uses it.
    #[error("{}: another server is using this state", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// It is not a state, or not a whole one.
    #[error("{}: {reason}. The file is left as it is; give another one, or remove it to start with a new TPM", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A state file that belongs to this process as long as the value lives.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    _lock: File,
}

/// The path with something appended to its last name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

fn system(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |cause| StateError::System { path, what, cause }
}

/// Version, length and state under one hash.
fn checksum(state: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(VERSION.to_be_bytes())
        .chain_update((state.len() as u64).to_be_bytes())
        .chain_update(state)
        .finalize()
        .into()
}

/// The state inside a file's bytes, or what is wrong with them.
fn parse(file: &[u8]) -> Result<&[u8], String> {
    let cut = || "the state is cut short".to_owned();
    if file.is_empty() {
        return Err("the file is empty".into());
    }
    if !file.starts_with(&MAGIC) {
        return Err("this is not the state of a vtpm-server".into());
    }
    let version = file.get(8..12).and_then(|bytes| bytes.try_into().ok());
    let version = u32::from_be_bytes(version.ok_or_else(cut)?);
    if version != VERSION {
        return Err(format!(
            "the state has format version {version}, and this program knows version {VERSION}"
        ));
    }
    let length = file.get(12..20).and_then(|bytes| bytes.try_into().ok());
    let length = u64::from_be_bytes(length.ok_or_else(cut)?);
    let sum = file.get(20..HEADER).ok_or_else(cut)?;
    let state = file.get(HEADER..).ok_or_else(cut)?;
    if (state.len() as u64) < length {
        return Err(cut());
    }
    if state.len() as u64 != length || sum != checksum(state) {
        return Err("the state has been altered".into());
    }
    Ok(state)
}

impl StateFile {
    /// Takes the file into use without a look at what it holds.
    ///
    /// # Errors
    /// [`StateError::Locked`] if another server uses it.
    pub fn lock(path: &Path) -> Result<Self, StateError> {
        let lock_path = beside(path, ".lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(system(&lock_path, "open the lock file"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StateError::Locked { path: path.into() },
            TryLockError::Error(cause) => system(&lock_path, "lock it")(cause),
        })?;
        Ok(Self {
            path: path.into(),
            _lock: lock,
        })
    }

    /// Takes the file into use and reads what it holds; `None` if it does not exist.
    ///
    /// # Errors
    /// [`StateError::Locked`] if another server uses it, [`StateError::Refused`]
    /// for a file that is not a whole state of a known version.
    pub fn open(path: &Path) -> Result<(Self, Option<Vec<u8>>), StateError> {
        let own = Self::lock(path)?;
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((own, None)),
            Err(error) => return Err(system(path, "open it")(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_STATE + 1)
            .read_to_end(&mut bytes)
            .map_err(system(path, "read it"))?;
        let state = parse(&bytes).map_err(|reason| own.refused(reason))?;
        Ok((own, Some(state.to_vec())))
    }

    /// The error for a state whose envelope is right and whose inside is not.
    #[must_use]
    pub fn refused(&self, reason: impl Into<String>) -> StateError {
        StateError::Refused {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    /// Replaces what the file holds, all at once; on the disk when it returns.
    ///
    /// # Errors
    /// [`StateError::System`]; the old state stays.
    pub fn write(&mut self, state: &[u8]) -> Result<(), StateError> {
        let new = beside(&self.path, ".new");
        let written = Self::write_new(&new, state);
        if written.is_err() {
            // What is left of it is of no use, and the error says more than
            // a failure to remove it would.
            let _ = fs::remove_file(&new);
        }
        written?;
        fs::rename(&new, &self.path).map_err(system(&self.path, "replace it"))?;
        // The new name must be on the disk as well.
        let folder = self.path.parent().filter(|path| *path != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(system(folder, "flush the folder"))
    }

    fn write_new(new: &Path, state: &[u8]) -> Result<(), StateError> {
        let mut bytes = Vec::with_capacity(HEADER + state.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend((state.len() as u64).to_be_bytes());
        bytes.extend(checksum(state));
        bytes.extend(state);
        let mut file = private(new).map_err(system(new, "create it"))?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(system(new, "write it"))
    }
}

/// A file that only its owner may read: it holds the TPM's seeds.
fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(state: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tpm.state");
        let (mut file, nothing) = StateFile::open(&path).unwrap();
        assert_eq!(nothing, None);
        file.write(state).unwrap();
        (folder, path)
    }

    fn reason(path: &Path) -> String {
        StateFile::open(path).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let (_folder, path) = kept(b"seeds");
        assert_eq!(StateFile::open(&path).unwrap().1.unwrap(), b"seeds");
        let (mut file, _) = StateFile::open(&path).unwrap();
        file.write(b"").unwrap();
        drop(file);
        assert_eq!(StateFile::open(&path).unwrap().1.unwrap(), b"");
    }

    #[test]
    fn every_cut_is_noticed_and_changes_nothing() {
        let (_folder, path) = kept(b"seeds and more");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let said = reason(&path);
            assert!(said.contains("left as it is"), "{said}");
            assert_eq!(fs::read(&path).unwrap(), &whole[..length]);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (_folder, path) = kept(b"seeds");
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            assert!(StateFile::open(&path).is_err(), "bit {bit}");
        }
        fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
        assert!(reason(&path).contains("altered"));
    }

    #[test]
    fn a_newer_version_is_called_by_its_number() {
        let (_folder, path) = kept(b"seeds");
        let mut bytes = fs::read(&path).unwrap();
        bytes[11] = 9;
        fs::write(&path, &bytes).unwrap();
        assert!(reason(&path).contains("format version 9"));
    }

    #[test]
    fn two_servers_cannot_share_a_state() {
        let (_folder, path) = kept(b"seeds");
        let first = StateFile::open(&path).unwrap();
        assert!(reason(&path).contains("another server"));
        drop(first);
        assert!(StateFile::open(&path).is_ok());
    }

    #[test]
    fn a_write_that_fails_keeps_the_old_state() {
        let (_folder, path) = kept(b"old");
        let (mut file, _) = StateFile::open(&path).unwrap();
        fs::create_dir(beside(&path, ".new")).unwrap();
        assert!(file.write(b"new").is_err());
        drop(file);
        assert_eq!(StateFile::open(&path).unwrap().1.unwrap(), b"old");
    }

    #[cfg(unix)]
    #[test]
    fn others_cannot_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, path) = kept(b"seeds");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
