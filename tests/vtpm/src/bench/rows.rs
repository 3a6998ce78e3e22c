//! What is measured: a preparation and one timed command for each row.

mod prepare;

use std::time::Duration;

use anyhow::Result;

use crate::command::{Command, Fields};
use crate::constants::{alg, cc, rh, se};
use crate::pair::start_session;
use crate::server::Server;
use crate::templates::{attribute, ecc_key, ecc_storage, keyedhash, rsa_key, rsa_storage};

use prepare::*;

/// One timed run of a row; the number tells the runs apart.
pub type Run = Box<dyn FnMut(&mut Server, u32) -> Result<Duration>>;

/// A class of commands.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What the table calls it.
    pub name: &'static str,
    /// How often it is run on each TPM.
    pub runs: u32,
    /// Makes keys and the like; not timed.
    pub prepare: fn(&mut Server) -> Result<Run>,
}

/// All rows.
pub const ROWS: &[Row] = &[
    Row {
        name: "GetCapability (algorithms)",
        runs: 2000,
        prepare: |_| {
            Ok(again(
                Command::new(cc::GET_CAPABILITY).with(Fields::new().u32(0).u32(0).u32(64)),
            ))
        },
    },
    Row {
        name: "GetRandom 32",
        runs: 2000,
        prepare: |_| {
            Ok(again(
                Command::new(cc::GET_RANDOM).with(Fields::new().u16(32)),
            ))
        },
    },
    Row {
        name: "PCR_Extend SHA-256",
        runs: 2000,
        prepare: |_| {
            Ok(again(
                Command::new(cc::PCR_EXTEND)
                    .handle(16)
                    .password(&[])
                    .with(Fields::new().u32(1).u16(alg::SHA256).raw(&[5; 32])),
            ))
        },
    },
    Row {
        name: "PCR_Read of 8",
        runs: 2000,
        prepare: |_| {
            Ok(again(Command::new(cc::PCR_READ).with(
                Fields::new().pcrs(alg::SHA256, &[0, 1, 2, 3, 4, 5, 6, 7]),
            )))
        },
    },
    Row {
        name: "Hash 1 KiB SHA-256",
        runs: 2000,
        prepare: |_| {
            Ok(again(
                Command::new(cc::HASH).with(
                    Fields::new()
                        .sized(&[5; 1024])
                        .u16(alg::SHA256)
                        .u32(rh::OWNER),
                ),
            ))
        },
    },
    Row {
        name: "HMAC 1 KiB",
        runs: 1000,
        prepare: |server| {
            let key = child(
                server,
                &[3; 32],
                &keyedhash(
                    (SIGNING & !attribute::SENSITIVE_DATA_ORIGIN) | attribute::DECRYPT,
                    alg::NULL,
                    &[],
                ),
            )?;
            Ok(again(
                Command::new(cc::HMAC)
                    .handle(key)
                    .password(&[])
                    .with(Fields::new().sized(&[5; 1024]).u16(alg::SHA256)),
            ))
        },
    },
    Row {
        name: "EncryptDecrypt2 1 KiB AES-128",
        runs: 1000,
        prepare: cipher,
    },
    Row {
        name: "CreatePrimary P-256",
        runs: 300,
        prepare: |_| Ok(making(another(|| ecc_storage(3), 2))),
    },
    Row {
        name: "CreatePrimary P-384",
        runs: 200,
        prepare: |_| Ok(making(another(|| ecc_storage(4), 2))),
    },
    Row {
        name: "CreatePrimary RSA-2048",
        runs: 50,
        prepare: |_| Ok(making(another(|| rsa_storage(2048), 1))),
    },
    Row {
        name: "Create P-256",
        runs: 300,
        prepare: |server| creating(server, &ecc_key(SIGNING, 3, alg::ECDSA)),
    },
    Row {
        name: "Create RSA-2048",
        runs: 40,
        prepare: |server| creating(server, &rsa_key(SIGNING, 2048, alg::NULL)),
    },
    Row {
        name: "Create RSA-3072",
        runs: 15,
        prepare: |server| creating(server, &rsa_key(SIGNING, 3072, alg::NULL)),
    },
    Row {
        name: "Load P-256",
        runs: 300,
        prepare: |server| loading(server, &ecc_key(SIGNING, 3, alg::ECDSA)),
    },
    Row {
        name: "Load RSA-2048",
        runs: 300,
        prepare: |server| loading(server, &rsa_key(SIGNING, 2048, alg::NULL)),
    },
    Row {
        name: "Sign RSASSA-2048",
        runs: 150,
        prepare: |server| {
            Ok(again(signing(
                child(server, &[], &rsa_key(SIGNING, 2048, alg::NULL))?,
                alg::RSASSA,
            )))
        },
    },
    Row {
        name: "Sign ECDSA P-256",
        runs: 300,
        prepare: |server| {
            Ok(again(signing(
                child(server, &[], &ecc_key(SIGNING, 3, alg::NULL))?,
                alg::ECDSA,
            )))
        },
    },
    Row {
        name: "Sign ECDSA P-384",
        runs: 200,
        prepare: |server| {
            Ok(again(signing(
                child(server, &[], &ecc_key(SIGNING, 4, alg::NULL))?,
                alg::ECDSA,
            )))
        },
    },
    Row {
        name: "VerifySignature RSASSA-2048",
        runs: 500,
        prepare: |server| verifying(server, &rsa_key(SIGNING, 2048, alg::NULL), alg::RSASSA),
    },
    Row {
        name: "VerifySignature ECDSA P-256",
        runs: 300,
        prepare: |server| verifying(server, &ecc_key(SIGNING, 3, alg::NULL), alg::ECDSA),
    },
    Row {
        name: "Quote RSASSA-2048",
        runs: 150,
        prepare: |server| {
            Ok(again(quoting(child(
                server,
                &[],
                &rsa_key(AK, 2048, alg::RSASSA),
            )?)))
        },
    },
    Row {
        name: "Quote ECDSA P-256",
        runs: 300,
        prepare: |server| {
            Ok(again(quoting(child(
                server,
                &[],
                &ecc_key(AK, 3, alg::ECDSA),
            )?)))
        },
    },
    Row {
        name: "RSA_Decrypt OAEP 2048",
        runs: 150,
        prepare: rsa_decrypt,
    },
    Row {
        name: "ECDH_ZGen P-256",
        runs: 300,
        prepare: zgen,
    },
    Row {
        name: "Unseal",
        runs: 1000,
        prepare: |server| {
            let sealed = attribute::USUAL & !attribute::SENSITIVE_DATA_ORIGIN;
            Ok(again(
                Command::new(cc::UNSEAL)
                    .handle(child(
                        server,
                        b"secret",
                        &keyedhash(sealed, alg::NULL, &[]),
                    )?)
                    .password(&[]),
            ))
        },
    },
    Row {
        name: "StartAuthSession",
        runs: 1000,
        prepare: |_| Ok(making(|_| start_session(se::POLICY, alg::SHA256))),
    },
    Row {
        name: "StartAuthSession, salted P-256",
        runs: 300,
        prepare: salted_by_ecc,
    },
    Row {
        name: "StartAuthSession, salted RSA-2048",
        runs: 150,
        prepare: salted_by_rsa,
    },
    Row {
        name: "PolicyPCR of 8",
        runs: 1000,
        prepare: policy_pcr,
    },
    Row {
        name: "ContextSave of an RSA key",
        runs: 500,
        prepare: |server| Ok(again(context_save(server)?.1)),
    },
    Row {
        name: "ContextLoad of an RSA key",
        runs: 500,
        prepare: context_load,
    },
    Row {
        name: "NV_Write 32 B",
        runs: 300,
        prepare: |server| {
            nv(server, 0x0150_0001, 0x0206_0006, 32)?;
            Ok(Box::new(|server, run| {
                Ok(timed(server, &nv_write(0x0150_0001, &[(run % 251) as u8; 32]))?.0)
            }))
        },
    },
    Row {
        name: "NV_Read 32 B",
        runs: 1000,
        prepare: |server| {
            nv(server, 0x0150_0002, 0x0206_0006, 32)?;
            done(server, &nv_write(0x0150_0002, &[1; 32]))?;
            Ok(again(
                Command::new(cc::NV_READ)
                    .handle(rh::OWNER)
                    .handle(0x0150_0002)
                    .password(&[])
                    .with(Fields::new().u16(32).u16(0)),
            ))
        },
    },
    Row {
        name: "NV_Increment",
        runs: 300,
        prepare: |server| {
            nv(server, 0x0150_0003, 0x0206_0016, 8)?;
            Ok(again(
                Command::new(cc::NV_INCREMENT)
                    .handle(rh::OWNER)
                    .handle(0x0150_0003)
                    .password(&[]),
            ))
        },
    },
    Row {
        name: "SelfTest (full)",
        runs: 50,
        prepare: |_| Ok(again(Command::new(cc::SELF_TEST).with(Fields::new().u8(1)))),
    },
];
