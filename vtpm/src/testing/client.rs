//! The caller's side of sessions, written from Part 1 and on its own, so that
//! tests compare two views of it.

use super::{Command, Response, parse, send};
use crate::crypto::hash::HashAlg;
use crate::crypto::hmac::hmac;
use crate::crypto::kdf::{kdfa, xor_obfuscate};
use crate::crypto::sym::{Mode, crypt};
use crate::platform::Platform;
use crate::rc::Rc;
use crate::session::SessionType;
use crate::tpm::Tpm;
use crate::wire::{
    Handle, Marshal, Reader, SessionAttributes, SymDef, Tpm2bEncryptedSecret, Tpm2bNonce,
};
use alloc::vec::Vec;

/// A session that the caller began.
#[derive(Clone, Debug)]
pub struct ClientSession {
    /// Its handle.
    pub handle: Handle,
    /// Hash algorithm.
    pub hash: HashAlg,
    /// How it encrypts.
    pub symmetric: SymDef,
    /// Session key.
    pub key: Vec<u8>,
    /// The TPM's last nonce.
    pub nonce_tpm: Vec<u8>,
    /// Attributes of the next use.
    pub attributes: SessionAttributes,
    /// Auth value of the entity that it authorizes, as far as the HMAC has it.
    pub auth: Vec<u8>,
    /// Auth value of the entity that it authorizes, as encryption has it.
    pub crypt_auth: Vec<u8>,
    uses: u8,
}

/// What a session is made of.
pub struct Start<'a> {
    /// Its type.
    pub kind: SessionType,
    /// Hash algorithm.
    pub hash: HashAlg,
    /// How it encrypts.
    pub symmetric: SymDef,
    /// Entity that it is bound to.
    pub bind: Handle,
    /// That entity's auth value.
    pub bind_auth: &'a [u8],
    /// Key of the salt, salt, and the salt encrypted.
    pub salt: Option<(Handle, &'a [u8], &'a [u8])>,
}

impl Default for Start<'_> {
    fn default() -> Self {
        Start {
            kind: SessionType::Hmac,
            hash: HashAlg::Sha256,
            symmetric: SymDef::Null,
            bind: Handle::NULL,
            bind_auth: &[],
            salt: None,
        }
    }
}

/// The caller's nonce when a session begins.
const FIRST_NONCE: [u8; 20] = [0x5A; 20];

impl Start<'_> {
    /// The command that begins the session.
    #[must_use]
    pub fn command(&self) -> Command {
        let (key_handle, _, carried) = self.salt.unwrap_or((Handle::NULL, &[], &[]));
        Command::new(0x176)
            .handle(key_handle)
            .handle(self.bind)
            .with(&Tpm2bNonce::cut(&FIRST_NONCE))
            .with(&Tpm2bEncryptedSecret::cut(carried))
            .with(&self.kind)
            .with(&self.symmetric)
            .with(&self.hash)
    }

    /// The session that the answer to the command is about.
    pub fn begun(&self, response: &Response) -> Result<ClientSession, Rc> {
        if response.rc != Rc::SUCCESS {
            return Err(response.rc);
        }
        let (key_handle, salt, _) = self.salt.unwrap_or((Handle::NULL, &[], &[]));
        let nonce_tpm: Tpm2bNonce = Reader::new(&response.parameters).read()?;
        let mut secret = self.bind_auth.to_vec();
        secret.extend_from_slice(salt);
        let key = if key_handle == Handle::NULL && self.bind == Handle::NULL {
            Vec::new()
        } else {
            let bits = self.hash.digest_size() as u32 * 8;
            kdfa(self.hash, &secret, b"ATH", &nonce_tpm, &FIRST_NONCE, bits).to_vec()
        };
        Ok(ClientSession {
            handle: response.handle.ok_or(Rc::FAILURE)?,
            hash: self.hash,
            symmetric: self.symmetric,
            key,
            nonce_tpm: nonce_tpm.to_vec(),
            attributes: SessionAttributes::CONTINUE_SESSION,
            auth: Vec::new(),
            crypt_auth: Vec::new(),
            uses: 0,
        })
    }
}

impl ClientSession {
    /// Begins a session.
    pub fn start<P: Platform>(tpm: &mut Tpm<P>, start: &Start<'_>) -> Result<ClientSession, Rc> {
        start.begun(&super::run(tpm, &start.command()))
    }

    /// With the auth value of the entity that it authorizes.
    #[must_use]
    pub fn with_auth(mut self, auth: &[u8]) -> Self {
        self.auth = auth.to_vec();
        self.crypt_auth = auth.to_vec();
        self
    }

    fn mac(
        &self,
        p_hash: &[u8],
        newer: &[u8],
        older: &[u8],
        extra: &[u8],
        attributes: u8,
    ) -> Vec<u8> {
        let mut key = self.key.clone();
        key.extend_from_slice(&self.auth);
        hmac(
            self.hash,
            &key,
            &[p_hash, newer, older, extra, &[attributes]],
        )
        .to_vec()
    }

    fn crypt(&self, encrypt: bool, newer: &[u8], older: &[u8], data: &mut [u8]) {
        let mut key = self.key.clone();
        key.extend_from_slice(&self.crypt_auth);
        match self.symmetric {
            SymDef::Null => {}
            SymDef::Xor(hash) => xor_obfuscate(hash, &key, newer, older, data),
            SymDef::Aes(aes) => {
                let bytes = usize::from(aes.key_bits) / 8;
                let material = kdfa(
                    self.hash,
                    &key,
                    b"CFB",
                    newer,
                    older,
                    (bytes as u32 + 16) * 8,
                );
                let mut iv = [0; 16];
                iv.copy_from_slice(&material[bytes..]);
                assert!(crypt(Mode::Cfb, encrypt, &material[..bytes], &mut iv, data).is_ok());
            }
        }
    }
}

/// The sized first parameter's data; nothing if the first is not sized.
fn first_parameter(parameters: &mut [u8]) -> &mut [u8] {
    let Some((len, data)) = parameters.split_first_chunk_mut::<2>() else {
        return &mut [];
    };
    let len = usize::from(u16::from_be_bytes(*len));
    data.get_mut(..len).unwrap_or_default()
}

/// Sends a command (without sessions of its own) with sessions; names are
/// those of its handles. The response's HMACs are checked, its first parameter
/// is decrypted.
///
/// # Panics
///
/// When the response is not authentic.
pub fn run_with<P: Platform>(
    tpm: &mut Tpm<P>,
    command: &Command,
    names: &[Vec<u8>],
    sessions: &mut [ClientSession],
) -> Response {
    let (command, nonces) = seal(command, names, sessions);
    let response = parse(command.code, &send(tpm, 0, &command.to_bytes()));
    if response.rc != Rc::SUCCESS {
        return response;
    }
    open(response, command.code, &nonces, sessions)
}

/// The one session that encrypts in a direction.
fn crypting(sessions: &[ClientSession], attribute: SessionAttributes) -> Option<usize> {
    sessions.iter().position(|s| s.attributes.has(attribute))
}

/// A command with its sessions, and the nonces that they have in it.
pub fn seal(
    command: &Command,
    names: &[Vec<u8>],
    sessions: &mut [ClientSession],
) -> (Command, Vec<Vec<u8>>) {
    let mut command = command.clone();
    let nonces: Vec<Vec<u8>> = sessions
        .iter_mut()
        .enumerate()
        .map(|(i, s)| {
            s.uses += 1;
            alloc::vec![s.uses ^ (0x30 + i as u8); 16]
        })
        .collect();
    let decrypt = crypting(sessions, SessionAttributes::DECRYPT);
    let encrypt = crypting(sessions, SessionAttributes::ENCRYPT);
    if let Some(i) = decrypt {
        let older = sessions[i].nonce_tpm.clone();
        sessions[i].crypt(
            true,
            &nonces[i],
            &older,
            first_parameter(&mut command.parameters),
        );
    }
    for (i, s) in sessions.iter().enumerate() {
        let mut cp = command.code.to_be_bytes().to_vec();
        names.iter().for_each(|n| cp.extend_from_slice(n));
        cp.extend_from_slice(&command.parameters);
        let mut extra = Vec::new();
        if i == 0 {
            if let Some(d) = decrypt.filter(|&d| d != 0) {
                extra.extend_from_slice(&sessions[d].nonce_tpm);
            }
            if let Some(e) = encrypt.filter(|&e| e != 0 && Some(e) != decrypt) {
                extra.extend_from_slice(&sessions[e].nonce_tpm);
            }
        }
        let mac = s.mac(
            &s.hash.digest(&[&cp]),
            &nonces[i],
            &s.nonce_tpm,
            &extra,
            s.attributes.0,
        );
        command = command.session(s.handle, &nonces[i], s.attributes.0, &mac);
    }
    (command, nonces)
}

/// A successful response, its HMACs checked and its first parameter decrypted.
///
/// # Panics
///
/// When the response is not authentic.
pub fn open(
    mut response: Response,
    code: u32,
    nonces: &[Vec<u8>],
    sessions: &mut [ClientSession],
) -> Response {
    let encrypt = crypting(sessions, SessionAttributes::ENCRYPT);
    let mut r = Reader::new(&response.sessions);
    let mut rp = 0u32.to_be_bytes().to_vec();
    rp.extend_from_slice(&code.to_be_bytes());
    rp.extend_from_slice(&response.parameters);
    for (i, s) in sessions.iter_mut().enumerate() {
        let nonce: Tpm2bNonce = r.read().expect("nonce");
        let attributes: SessionAttributes = r.read().expect("attributes");
        let mac: crate::wire::Tpm2bAuth = r.read().expect("HMAC");
        s.nonce_tpm = nonce.to_vec();
        let expected = s.mac(
            &s.hash.digest(&[&rp]),
            &s.nonce_tpm,
            &nonces[i],
            &[],
            attributes.0,
        );
        assert_eq!(mac.to_vec(), expected, "HMAC of session {i}");
    }
    assert!(r.is_empty());
    if let Some(i) = encrypt {
        let s = &sessions[i];
        let newer = s.nonce_tpm.clone();
        s.crypt(
            false,
            &newer,
            &nonces[i],
            first_parameter(&mut response.parameters),
        );
    }
    response
}

/// The Name of an entity whose Name is its handle.
#[must_use]
pub fn handle_name(h: Handle) -> Vec<u8> {
    h.to_bytes()
}
