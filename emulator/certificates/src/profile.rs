//! What stands in each certificate besides its key.

use std::str::FromStr;

use der::asn1::{Ia5String, ObjectIdentifier, OctetString};
use der::{Encode, flagset::FlagSet};
use protocols::snp::TcbLayout;
use snp_model::psp::chip::Chip;
use x509_cert::TbsCertificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::Error;

/// Names say what they are of.
const ARK: &str = "CN=ARK-EMULATED,OU=Test chain of an emulated machine: proves nothing,O=Rampart";
const ASK: &str = "CN=SEV-EMULATED,OU=Test chain of an emulated machine: proves nothing,O=Rampart";
const VCEK: &str = "CN=SEV-VCEK,OU=Test chain of an emulated machine: proves nothing,O=Rampart";

/// The arc of AMD's extensions.
const AMD: &str = "1.3.6.1.4.1.3704.1";

/// One certificate's contents.
pub(crate) struct Profile {
    issuer: Name,
    subject: Name,
    /// How many authorities may stand below this one; None: it is none.
    authorities_below: Option<u8>,
    extensions: Vec<Extension>,
}

impl Profile {
    pub(crate) fn ark() -> Result<Self, Error> {
        Self::new(ARK, ARK, Some(1), Vec::new())
    }

    pub(crate) fn ask() -> Result<Self, Error> {
        Self::new(ARK, ASK, Some(0), Vec::new())
    }

    pub(crate) fn vcek(chip: &Chip) -> Result<Self, Error> {
        let layout = TcbLayout::of_family(chip.processor.family).unwrap_or(TcbLayout::Turin);
        let tcb = chip.reported_tcb().parts(layout);
        // spl4 to spl7 are bytes of the TCB version that nothing has a number for.
        let mut numbers = vec![
            ("1", 0),
            ("3.1", tcb.boot_loader),
            ("3.2", tcb.tee),
            ("3.3", tcb.snp),
            ("3.4", 0),
            ("3.5", 0),
            ("3.6", 0),
            ("3.7", 0),
            ("3.8", tcb.microcode),
        ];
        if layout == TcbLayout::Turin {
            numbers.push(("3.9", tcb.fmc));
        }
        let mut extensions = vec![amd("2", Ia5String::new("Emulated")?.to_der()?)?];
        for (arc, number) in numbers {
            extensions.push(amd(arc, number.to_der()?)?);
        }
        // The chip's ID lies in its extension as it is, not as a DER value.
        let id = match layout {
            TcbLayout::Milan => &chip.id[..],
            TcbLayout::Turin => &chip.id[..8],
        };
        extensions.push(amd("4", id.to_vec())?);
        Self::new(ASK, VCEK, None, extensions)
    }

    fn new(
        issuer: &str,
        subject: &str,
        authorities_below: Option<u8>,
        extensions: Vec<Extension>,
    ) -> Result<Self, Error> {
        Ok(Self {
            issuer: Name::from_str(issuer)?,
            subject: Name::from_str(subject)?,
            authorities_below,
            extensions,
        })
    }
}

/// One of AMD's extensions, not critical, as AMD's are.
fn amd(arc: &str, value: Vec<u8>) -> Result<Extension, Error> {
    Ok(Extension {
        extn_id: ObjectIdentifier::new(&format!("{AMD}.{arc}")).map_err(der::Error::from)?,
        critical: false,
        extn_value: OctetString::new(value)?,
    })
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _of: SubjectPublicKeyInfoRef<'_>,
        _by: SubjectPublicKeyInfoRef<'_>,
        _made: &TbsCertificate,
    ) -> Result<Vec<Extension>, Error> {
        let mut all = self.extensions.clone();
        if self.authorities_below.is_some() {
            let authority = BasicConstraints {
                ca: true,
                path_len_constraint: self.authorities_below,
            };
            let usage = KeyUsage(FlagSet::from(KeyUsages::KeyCertSign) | KeyUsages::CRLSign);
            all.push((&authority).to_extension(&self.subject, &all)?);
            all.push((&usage).to_extension(&self.subject, &all)?);
        }
        Ok(all)
    }
}
