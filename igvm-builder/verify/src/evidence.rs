//! The files of a round; docs/verify.md says what is in each.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

macro_rules! evidence {
    ($($field:ident = $file:literal $text:literal;)*) => {
        /// What there is to look at. None: the file is not there.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Evidence {
            $(#[doc = $text] pub $field: Option<Vec<u8>>,)*
        }

        impl Evidence {
            /// The names of the files.
            pub const FILES: &[&str] = &[$($file,)*];

            /// The file of a name.
            pub fn file(&mut self, name: &str) -> Option<&mut Option<Vec<u8>>> {
                match name {
                    $($file => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }
    };
}

evidence! {
    report = "report.bin" "The attestation report.";
    certs = "certs.bin" "The host's certificate table.";
    ark = "ark.der" "AMD's root, beside the table.";
    ask = "ask.der" "AMD's signing key, beside the table.";
    vcek = "vcek.der" "The chip's key, beside the table.";
    vlek = "vlek.der" "The provider's key, beside the table.";
    nonce = "nonce.bin" "The verifier's nonce.";
    manifest = "manifest.bin" "The services manifest, or the vTPM's own.";
    ek = "ek.pub" "The endorsement key that the challenge was made for.";
    ak = "ak.pub" "The key that quoted.";
    credential_blob = "credential.blob" "The challenge as it was sent.";
    credential_secret = "credential.secret" "What the challenge was made of.";
    credential_answer = "credential.answer" "What the TPM answered.";
    quote = "quote.bin" "TPMS_ATTEST.";
    signature = "quote.sig" "TPMT_SIGNATURE over it.";
    pcrs = "pcrs.bin" "The quoted PCRs' values.";
    log = "eventlog.bin" "The event log.";
    expected = "expected.json" "Reference values of the image.";
}

/// The file that is not for everybody.
const SECRET: &str = "credential.secret";
/// Larger files are not read.
const MAX_FILE: u64 = 64 << 20;

impl Evidence {
    /// Reads what there is of the files in a folder.
    ///
    /// # Errors
    /// The path, and what reading it came to; a missing file is none.
    pub fn read(folder: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let mut evidence = Self::default();
        for name in Self::FILES {
            let path = folder.join(name);
            let bytes = match std::fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Ok(found) if found.len() > MAX_FILE => {
                    Err((path, io::ErrorKind::FileTooLarge.into()))?
                }
                Ok(_) => Some(std::fs::read(&path).map_err(|error| (path, error))?),
                Err(error) => Err((path, error))?,
            };
            if let Some(file) = evidence.file(name) {
                *file = bytes;
            }
        }
        Ok(evidence)
    }

    /// Writes the files that there are into a folder.
    ///
    /// # Errors
    /// The path, and what writing it came to.
    pub fn write(&self, folder: &Path) -> Result<(), (PathBuf, io::Error)> {
        let mut copy = self.clone();
        for name in Self::FILES {
            if let Some(Some(bytes)) = copy.file(name) {
                let path = folder.join(name);
                let written = match *name {
                    SECRET => write_secret(&path, bytes),
                    _ => std::fs::write(&path, bytes),
                };
                written.map_err(|error| (path, error))?;
            }
        }
        Ok(())
    }
}

/// Writes a file that its owner alone can read, also where another was before.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

/// What expected.json says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Expected {
    /// The image's name.
    pub image: Option<String>,
    /// The launch digest in hexadecimal.
    pub launch_digest: String,
    /// The guest policy, with 0x.
    pub policy: Option<String>,
}
