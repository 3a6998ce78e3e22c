//! A TPM's life, and the heap that it takes. The commands that it is given do
//! not count, nor do the records that its platform had kept when it got power.
//! With a number of KiB as its argument it lives on a stack of that size, or
//! ends by a signal.

use vtpm::crypto::hash::HashAlg;
use vtpm::provision::{EndorsementKey, LocalAuthority, SRK_HANDLE, create_primary};
use vtpm::testing::{Command, MemoryPlatform, Response, parse};
use vtpm::wire::{
    Handle, NvAttributes, NvPublic, PcrSelection, Public, Reader, RhNvIndex, Scheme,
    SensitiveCreate, SigScheme, Sized2b, Tpm2bAuth, Tpm2bData, Tpm2bDigest, Tpm2bEncryptedSecret,
    Tpm2bMaxNvBuffer, Tpm2bNonce, Tpm2bPrivate, Tpm2bPublic, Tpm2bSensitiveData, Unmarshal,
};
use vtpm::{Rc, Tpm};

use crate::counting::{live, peak_of};

/// A TPM, what it has allocated, and the most of it.
struct Life {
    tpm: Tpm<MemoryPlatform>,
    own: isize,
    peak: usize,
}

impl Life {
    /// A TPM with keys and certificates that got power again.
    fn begin() -> Life {
        let mut tpm = Tpm::new(MemoryPlatform::new(1));
        tpm.manufacture().expect("memory stores");
        start(&mut tpm);
        let mut authority = LocalAuthority::new(&[7; 32], "authority", "20260101000000Z");
        tpm.provision(&mut authority, &EndorsementKey::ALL)
            .expect("room for keys");
        start(&mut tpm);
        let before = live();
        let platform = tpm.into_platform();
        let idle = before - live();
        let mut tpm = Tpm::new(platform);
        start(&mut tpm);
        Life {
            tpm,
            own: isize::try_from(idle).expect("a small number"),
            peak: idle,
        }
    }

    /// Sends a command that must succeed.
    fn send(&mut self, code: u32, command: &[u8]) -> Response {
        let mut buffer = [0; vtpm::limits::MAX_RESPONSE_SIZE];
        let before = live();
        let (len, more) = peak_of(|| self.tpm.execute(0, command, &mut buffer));
        let now = self.own.checked_add_unsigned(more);
        let now = now.and_then(|n| usize::try_from(n).ok());
        self.peak = self.peak.max(now.expect("a small number"));
        self.own += live() as isize - before as isize;
        let response = parse(code, &buffer[..len]);
        assert_eq!(response.rc, Rc::SUCCESS, "command {code:#x}");
        response
    }

    fn ask(&mut self, command: &Command) -> Response {
        self.send(command.code, &command.to_bytes())
    }

    /// The handle of the answer.
    fn handle(&mut self, command: &Command) -> Handle {
        self.ask(command).handle.expect("a handle")
    }

    fn primary(&mut self, hierarchy: Handle, template: &Public) -> Handle {
        let response = self.send(0x131, &create_primary(hierarchy, template));
        response.handle.expect("a handle")
    }

    /// Create and Load below the storage root key.
    fn child(&mut self, template: Public, data: &[u8]) -> Handle {
        let sensitive = SensitiveCreate {
            user_auth: Tpm2bAuth::empty(),
            data: Tpm2bSensitiveData::cut(data),
        };
        let create = Command::new(0x153)
            .auth(SRK_HANDLE, b"")
            .with(&Sized2b(sensitive))
            .with(&Sized2b(template))
            .with(&Tpm2bData::empty())
            .with(&PcrSelection::empty());
        let made = self.ask(&create);
        let mut r = Reader::new(&made.parameters);
        let private: Tpm2bPrivate = r.read().expect("a private area");
        let public: Tpm2bPublic = r.read().expect("a public area");
        let load = Command::new(0x157).auth(SRK_HANDLE, b"");
        self.handle(&load.with(&private).with(&public))
    }

    fn flush(&mut self, h: Handle) {
        self.ask(&Command::new(0x165).with(&h));
    }
}

fn start(tpm: &mut Tpm<MemoryPlatform>) {
    tpm.power_on().expect("records that it made");
    let mut buffer = [0; vtpm::limits::MAX_RESPONSE_SIZE];
    let startup = Command::new(0x144).with(&0u16);
    let len = tpm.execute(0, &startup.to_bytes(), &mut buffer);
    assert_eq!(parse(0x144, &buffer[..len]).rc, Rc::SUCCESS);
}

/// A template out of its bytes.
fn template(parts: &[&[u8]]) -> Public {
    Public::from_bytes(&parts.concat()).expect("a template")
}

/// Sealed data without a policy: TPM_ALG_KEYEDHASH, TPM_ALG_SHA256.
fn sealed() -> Public {
    template(&[&[0, 8, 0, 0x0B, 0, 0, 4, 0x52], &[0, 0], &[0, 0x10, 0, 0]])
}

/// An RSA-2048 key that signs, without a scheme.
fn rsa_signing() -> Public {
    let parameters = [0, 0x10, 0, 0x10, 8, 0, 0, 0, 0, 0];
    template(&[
        &[0, 1, 0, 0x0B, 0, 4, 4, 0x72],
        &[0, 0],
        &parameters,
        &[0, 0],
    ])
}

/// A P-521 key that signs, without a scheme, whose Name is of SHA-512.
fn p521_signing() -> Public {
    let parameters = [0, 0x10, 0, 0x10, 0, 5, 0, 0x10];
    template(&[
        &[0, 0x23, 0, 0x0D, 0, 4, 4, 0x72],
        &[0, 0],
        &parameters,
        &[0, 0, 0, 0],
    ])
}

/// The parameters of a Sign.
fn signing(command: Command, scheme: Scheme, digest: usize) -> Command {
    command
        .with(&Tpm2bDigest::cut(&[3; 64][..digest]))
        .with(&SigScheme(scheme))
        .with(&vtpm::wire::st::HASHCHECK)
        .with(&Handle::NULL)
        .with(&Tpm2bDigest::empty())
}

/// A restricted P-256 key that signs by ECDSA with SHA-256.
fn attestation() -> Public {
    let parameters = [0, 0x10, 0, 0x18, 0, 0x0B, 0, 3, 0, 0x10];
    template(&[
        &[0, 0x23, 0, 0x0B, 0, 5, 4, 0x72],
        &[0, 0],
        &parameters,
        &[0, 0, 0, 0],
    ])
}

/// The firmware's measurements, and what an OS does with its keys.
fn boot(life: &mut Life) {
    for pcr in 0..10 {
        for _ in 0..4 {
            let extend = Command::new(0x182).auth(Handle(pcr), b"");
            let digest = [pcr as u8; 32];
            life.ask(&extend.with(&1u32).with(&0x000Bu16).with(&digest));
        }
    }
    for number in 0..4 {
        let index = Handle(Handle::NV_FIRST | number);
        let public = NvPublic {
            index: RhNvIndex(index),
            name_alg: HashAlg::Sha256,
            attributes: NvAttributes(0x0006_0006),
            auth_policy: Tpm2bDigest::empty(),
            data_size: 512,
        };
        let define = Command::new(0x12A).auth(Handle::OWNER, b"");
        life.ask(&define.with(&Tpm2bAuth::empty()).with(&Sized2b(public)));
        let write = Command::new(0x137).auth(index, b"").handle(index);
        life.ask(&write.with(&Tpm2bMaxNvBuffer::cut(&[1; 512])).with(&0u16));
    }
    for kind in [0u8, 1, 1] {
        let session = Command::new(0x176)
            .handle(Handle::NULL)
            .handle(Handle::NULL)
            .with(&Tpm2bNonce::cut(&[1; 16]))
            .with(&Tpm2bEncryptedSecret::empty())
            .with(&kind)
            .with(&0x0010u16)
            .with(&0x000Bu16);
        life.handle(&session);
    }
    let secret = life.child(sealed(), &[5; 64]);
    let key = life.child(rsa_signing(), b"");
    let attestation = life.primary(Handle::ENDORSEMENT, &attestation());
    life.ask(&Command::new(0x15E).auth(secret, b""));
    let sign = Command::new(0x15D).auth(key, b"");
    life.ask(&signing(sign, Scheme::RsaSsa(HashAlg::Sha256), 32));
    let selection = [0, 0, 0, 1, 0, 0x0B, 3, 0xFF, 0, 0];
    let quote = Command::new(0x158)
        .auth(attestation, b"")
        .with(&Tpm2bData::cut(b"nonce"))
        .with(&SigScheme(Scheme::Null))
        .with(&PcrSelection::from_bytes(&selection).expect("a selection"));
    life.ask(&quote);
    life.ask(&Command::new(0x162).handle(key));
}

pub(crate) fn main() {
    match std::env::args().nth(1).map(|kib| kib.parse::<usize>()) {
        None => live_once(),
        Some(Ok(kib)) => std::thread::Builder::new()
            .stack_size(kib * 1024)
            .spawn(live_once)
            .expect("a thread")
            .join()
            .expect("a life without a panic"),
        Some(Err(error)) => panic!("not a number of KiB: {error}"),
    }
}

fn live_once() {
    let mut life = Life::begin();
    let idle = life.peak;
    boot(&mut life);
    let peak = life.peak;
    // The largest number that the profile's endorsement keys have.
    for object in [0x8000_0000, 0x8000_0001, 0x8000_0002] {
        life.flush(Handle(object));
    }
    life.peak = 0;
    life.primary(Handle::ENDORSEMENT, &EndorsementKey::Rsa3072.template());
    let largest = life.peak;
    // What takes the most stack.
    let key = life.primary(Handle::OWNER, &p521_signing());
    let sign = Command::new(0x15D).auth(key, b"");
    life.ask(&signing(sign, Scheme::EcDsa(HashAlg::Sha512), 64));
    println!(r#"{{ "heap_idle": {idle}, "heap_peak": {peak}, "heap_peak_rsa_3072": {largest} }}"#);
}
