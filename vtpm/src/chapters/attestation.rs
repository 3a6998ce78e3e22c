//! Attestation (Part 3, 18).

use crate::audit;
use crate::chapters::capability::{FIRMWARE_VERSION_1, FIRMWARE_VERSION_2};
use crate::chapters::pcr;
use crate::clock;
use crate::command::Action;
use crate::context::Context;
use crate::crypto::hash::HashAlg;
use crate::crypto::kdf::kdfa;
use crate::object::sign;
use crate::rc::{Rc, Result};
use crate::ticket;
use crate::wire::{
    Attest, Attested, Handle, Marshal, PcrSelection, Scheme, SigScheme, Signature, Sized2b,
    TkCreation, Tpm2bData, Tpm2bDigest, Tpm2bName,
};

crate::commands! {
    /// TPM2_Certify (Part 3, 18.2).
    Certify = 0x148 [] {
        handles { object_handle: DhObject as Admin, sign_handle: DhObjectOrNull as User }
        parameters { qualifying_data: Tpm2bData, in_scheme: SigScheme }
        response CertifyResponse [] { certify_info: Sized2b<Attest>, signature: Signature }
    }

    /// TPM2_CertifyCreation (Part 3, 18.3).
    CertifyCreation = 0x14A [] {
        handles { sign_handle: DhObjectOrNull as User, object_handle: DhObject }
        parameters {
            qualifying_data: Tpm2bData,
            creation_hash: Tpm2bDigest,
            in_scheme: SigScheme,
            creation_ticket: TkCreation,
        }
        response CertifyCreationResponse [] { certify_info: Sized2b<Attest>, signature: Signature }
    }

    /// TPM2_Quote (Part 3, 18.4).
    Quote = 0x158 [] {
        handles { sign_handle: DhObjectOrNull as User }
        parameters { qualifying_data: Tpm2bData, in_scheme: SigScheme, pcr_select: PcrSelection }
        response QuoteResponse [] { quoted: Sized2b<Attest>, signature: Signature }
    }

    /// TPM2_GetSessionAuditDigest (Part 3, 18.5).
    GetSessionAuditDigest = 0x14D [] {
        handles {
            privacy_admin_handle: RhEndorsement as User,
            sign_handle: DhObjectOrNull as User,
            session_handle: ShHmac,
        }
        parameters { qualifying_data: Tpm2bData, in_scheme: SigScheme }
        response GetSessionAuditDigestResponse [] { audit_info: Sized2b<Attest>, signature: Signature }
    }

    /// TPM2_GetCommandAuditDigest (Part 3, 18.6).
    GetCommandAuditDigest = 0x133 [nv] {
        handles { privacy_handle: RhEndorsement as User, sign_handle: DhObjectOrNull as User }
        parameters { qualifying_data: Tpm2bData, in_scheme: SigScheme }
        response GetCommandAuditDigestResponse [] { audit_info: Sized2b<Attest>, signature: Signature }
    }

    /// TPM2_GetTime (Part 3, 18.7).
    GetTime = 0x14C [] {
        handles { privacy_admin_handle: RhEndorsement as User, sign_handle: DhObjectOrNull as User }
        parameters { qualifying_data: Tpm2bData, in_scheme: SigScheme }
        response GetTimeResponse [] { time_info: Sized2b<Attest>, signature: Signature }
    }
}

/// Who signs an attestation, and how. Without a key there is no signature.
#[derive(Clone, Copy)]
pub(crate) struct Signer {
    handle: Handle,
    scheme: Scheme,
}

impl Signer {
    /// The key of handle number `number` with the scheme of parameter
    /// `parameter`, numbers from 1.
    pub(crate) fn new(
        ctx: &Context<'_>,
        handle: Handle,
        number: usize,
        scheme: &SigScheme,
        parameter: usize,
    ) -> Result<Self> {
        if handle == Handle::NULL {
            return Ok(Signer {
                handle,
                scheme: Scheme::Null,
            });
        }
        let key = ctx
            .state
            .object(handle)
            .map_err(|_| Rc::KEY.handle(number))?;
        if !sign::can_sign(key) {
            return Err(Rc::KEY.handle(number));
        }
        let scheme = sign::select_scheme(key, scheme.0).map_err(|rc| rc.parameter(parameter))?;
        Ok(Signer { handle, scheme })
    }

    /// The scheme it signs with.
    pub(crate) fn scheme(self) -> Scheme {
        self.scheme
    }

    fn anonymous(self) -> bool {
        matches!(self.scheme, Scheme::EcDaa { .. })
    }
}

/// The firmware version as attestations have it.
fn firmware_version() -> u64 {
    u64::from(FIRMWARE_VERSION_1) << 32 | u64::from(FIRMWARE_VERSION_2)
}

/// Makes the attestation and signs it.
pub(crate) fn attest(
    ctx: &mut Context<'_>,
    signer: Signer,
    qualifying_data: &Tpm2bData,
    attested: Attested,
) -> Result<(Sized2b<Attest>, Signature)> {
    let time = ctx.time();
    let mut clock_info = clock::time_info(ctx.state, time).clock_info;
    let mut firmware_version = firmware_version();
    let (qualified_signer, hierarchy) = match ctx.state.object(signer.handle) {
        Ok(_) if signer.anonymous() => {
            (Tpm2bName::empty(), *ctx.state.hierarchy_of(signer.handle)?)
        }
        Ok(key) => (key.qualified_name.clone(), *key.hierarchy),
        Err(_) => (ctx.state.name_of(Handle::NULL), Handle::NULL),
    };
    if hierarchy != Handle::PLATFORM && hierarchy != Handle::ENDORSEMENT {
        // Others must not learn how often this TPM was started.
        let mask = kdfa(
            HashAlg::Sha512,
            &ctx.state.hierarchies.sh_proof,
            b"OBFUSCATE",
            &qualified_signer,
            &[],
            128,
        );
        let mut r = crate::wire::Reader::new(&mask);
        firmware_version = firmware_version.wrapping_add(r.read()?);
        clock_info.reset_count = clock_info.reset_count.wrapping_add(r.read()?);
        clock_info.restart_count = clock_info.restart_count.wrapping_add(r.read()?);
    }
    let extra_data = if signer.anonymous() {
        Tpm2bData::empty()
    } else {
        qualifying_data.clone()
    };
    let info = Attest {
        qualified_signer,
        extra_data,
        clock_info,
        firmware_version,
        attested,
    };
    if signer.handle == Handle::NULL {
        return Ok((Sized2b(info), Signature::Null));
    }
    let hash = sign::scheme_hash(signer.scheme)?;
    let mut digest = hash.digest(&[&info.to_bytes()]);
    if signer.anonymous() && !qualifying_data.is_empty() {
        digest = hash.digest(&[qualifying_data, &digest]);
    }
    let signature = sign::sign(ctx, signer.handle, signer.scheme, &digest)?;
    Ok((Sized2b(info), signature))
}

impl Action for Certify {
    type Response = CertifyResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<CertifyResponse> {
        let signer = Signer::new(ctx, self.sign_handle, 2, &self.in_scheme, 2)?;
        let object = ctx
            .state
            .object(self.object_handle)
            .map_err(|_| Rc::HANDLE.handle(1))?;
        let attested = Attested::Certify {
            name: object.name.clone(),
            qualified_name: object.qualified_name.clone(),
        };
        let (certify_info, signature) = attest(ctx, signer, &self.qualifying_data, attested)?;
        Ok(CertifyResponse {
            certify_info,
            signature,
        })
    }
}

impl Action for CertifyCreation {
    type Response = CertifyCreationResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<CertifyCreationResponse> {
        let signer = Signer::new(ctx, self.sign_handle, 1, &self.in_scheme, 3)?;
        let object = ctx
            .state
            .object(self.object_handle)
            .map_err(|_| Rc::HANDLE.handle(2))?;
        let given = &self.creation_ticket.0;
        let own = ticket::creation(
            ctx.state,
            given.hierarchy,
            &object.name,
            &self.creation_hash,
        );
        if !ticket::matches(given, &own) {
            return Err(Rc::TICKET.parameter(4));
        }
        let attested = Attested::Creation {
            object_name: object.name.clone(),
            creation_hash: self.creation_hash,
        };
        let (certify_info, signature) = attest(ctx, signer, &self.qualifying_data, attested)?;
        Ok(CertifyCreationResponse {
            certify_info,
            signature,
        })
    }
}

impl Action for Quote {
    type Response = QuoteResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<QuoteResponse> {
        let signer = Signer::new(ctx, self.sign_handle, 1, &self.in_scheme, 2)?;
        // Without a key the PCRs are still hashed with the scheme's hash.
        let scheme = if self.sign_handle == Handle::NULL {
            self.in_scheme.0
        } else {
            signer.scheme
        };
        let hash = sign::scheme_hash(scheme).map_err(|rc| rc.parameter(2))?;
        let (pcr_select, digest) = pcr::selected_digest(ctx.state, hash, &self.pcr_select);
        let attested = Attested::Quote {
            pcr_select,
            pcr_digest: digest.into(),
        };
        let (quoted, signature) = attest(ctx, signer, &self.qualifying_data, attested)?;
        Ok(QuoteResponse { quoted, signature })
    }
}

impl Action for GetSessionAuditDigest {
    type Response = GetSessionAuditDigestResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<GetSessionAuditDigestResponse> {
        let signer = Signer::new(ctx, self.sign_handle, 2, &self.in_scheme, 2)?;
        let session = ctx
            .state
            .session(self.session_handle)
            .map_err(|rc| rc.handle(3))?;
        if session.audit.is_empty() {
            return Err(Rc::TYPE.handle(3));
        }
        let attested = Attested::SessionAudit {
            exclusive: ctx.state.volatile.exclusive_audit == Some(self.session_handle),
            digest: session.audit.clone(),
        };
        let (audit_info, signature) = attest(ctx, signer, &self.qualifying_data, attested)?;
        Ok(GetSessionAuditDigestResponse {
            audit_info,
            signature,
        })
    }
}

impl Action for GetCommandAuditDigest {
    type Response = GetCommandAuditDigestResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<GetCommandAuditDigestResponse> {
        let signer = Signer::new(ctx, self.sign_handle, 2, &self.in_scheme, 2)?;
        let attested = audit::attested(ctx.state);
        let (audit_info, signature) = attest(ctx, signer, &self.qualifying_data, attested)?;
        if self.sign_handle != Handle::NULL {
            // What was attested starts again.
            ctx.state.reset.command_audit_digest = Tpm2bDigest::empty();
        }
        Ok(GetCommandAuditDigestResponse {
            audit_info,
            signature,
        })
    }
}

impl Action for GetTime {
    type Response = GetTimeResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<GetTimeResponse> {
        let signer = Signer::new(ctx, self.sign_handle, 2, &self.in_scheme, 2)?;
        let time = ctx.time();
        let attested = Attested::Time {
            time: clock::time_info(ctx.state, time),
            firmware_version: firmware_version(),
        };
        let (time_info, signature) = attest(ctx, signer, &self.qualifying_data, attested)?;
        Ok(GetTimeResponse {
            time_info,
            signature,
        })
    }
}
