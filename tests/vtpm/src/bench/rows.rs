//! What is measured: a preparation and one timed command for each row.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::command::{Command, Fields};
use crate::constants::{alg, cc, rh, se};
use crate::pair::start_session;
use crate::response::Response;
use crate::server::Server;
use crate::templates::{
    attribute, create, create_primary, ecc_key, ecc_storage, keyedhash, load_public, public,
    rsa_key, rsa_storage,
};

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

fn timed(server: &mut Server, command: &Command) -> Result<(Duration, Response)> {
    let bytes = command.bytes();
    let begin = Instant::now();
    let response = server.send_from(0, &bytes)?;
    let time = begin.elapsed();
    ensure!(
        response.code() == 0,
        "command {:#x} failed: {response:?}",
        command.code()
    );
    Ok((time, response))
}

fn done(server: &mut Server, command: &Command) -> Result<Response> {
    Ok(timed(server, command)?.1)
}

fn flush(server: &mut Server, handle: u32) -> Result<()> {
    done(
        server,
        &Command::new(cc::FLUSH_CONTEXT).with(Fields::new().u32(handle)),
    )?;
    Ok(())
}

/// The same command again and again.
fn again(command: Command) -> Run {
    Box::new(move |server, _| Ok(timed(server, &command)?.0))
}

/// A command that makes an object or session, which is removed after the clock stopped.
fn making(command: impl Fn(u32) -> Command + 'static) -> Run {
    Box::new(move |server, run| {
        let (time, response) = timed(server, &command(run))?;
        flush(server, response.handle())?;
        Ok(time)
    })
}

fn primary(server: &mut Server, template: &Fields) -> Result<u32> {
    Ok(done(server, &create_primary(rh::OWNER, template))?.handle())
}

/// A child of a P-256 primary, loaded; the primary is removed.
fn child(server: &mut Server, data: &[u8], template: &Fields) -> Result<u32> {
    let (parent, load) = made(server, data, template)?;
    let handle = done(server, &load)?.handle();
    flush(server, parent)?;
    Ok(handle)
}

/// A parent, and the command that loads a child of it.
fn made(server: &mut Server, data: &[u8], template: &Fields) -> Result<(u32, Command)> {
    let parent = primary(server, &ecc_storage(3))?;
    let created = done(server, &create(parent, &[], data, template))?;
    let mut body = created.body(0);
    let (private, public) = (body.sized(), body.sized());
    let load = Command::new(cc::LOAD).handle(parent).password(&[]);
    Ok((
        parent,
        load.with(Fields::new().sized(private).sized(public)),
    ))
}

const SIGNING: u32 = attribute::USUAL | attribute::SIGN;
const DECRYPTING: u32 = attribute::USUAL | attribute::DECRYPT;
const AK: u32 = SIGNING | attribute::RESTRICTED;

fn signing(key: u32, scheme: u16) -> Command {
    let fields = Fields::new()
        .sized(&[0x42; 32])
        .u16(scheme)
        .u16(alg::SHA256);
    let fields = fields.u16(0x8024).u32(rh::NULL).sized(&[]);
    Command::new(cc::SIGN)
        .handle(key)
        .password(&[])
        .with(fields)
}

fn quoting(key: u32) -> Command {
    let fields = Fields::new().sized(b"nonce").u16(alg::NULL);
    let fields = fields.pcrs(alg::SHA256, &[0, 1, 2, 3, 4, 5, 6, 7]);
    Command::new(cc::QUOTE)
        .handle(key)
        .password(&[])
        .with(fields)
}

fn verifying(server: &mut Server, template: &Fields, scheme: u16) -> Result<Run> {
    let key = child(server, &[], template)?;
    let signed = done(server, &signing(key, scheme))?;
    let body = signed.body(0);
    // What follows the parameters: an empty nonce, attributes, an empty password.
    let signature = &body.0[..body.0.len() - 5];
    let fields = Fields::new().sized(&[0x42; 32]).raw(signature);
    Ok(again(
        Command::new(cc::VERIFY_SIGNATURE).handle(key).with(fields),
    ))
}

/// A primary key's public area with other attributes, loaded beside it.
fn copy_without_restriction(
    server: &mut Server,
    key: u32,
    scheme: Fields,
    skip: usize,
) -> Result<u32> {
    let read = done(server, &Command::new(cc::READ_PUBLIC).handle(key))?;
    let area = read.body(0).sized();
    // Type, name algorithm, attributes, an empty policy, AES-128 CFB, no scheme.
    let rest = &area[10 + 6 + 2..];
    let (parameters, unique) = rest.split_at(skip);
    let kind = u16::from_be_bytes([area[0], area[1]]);
    let copy = public(
        kind,
        alg::SHA256,
        attribute::DECRYPT | attribute::USER_WITH_AUTH,
        &[],
    )
    .u16(alg::NULL)
    .raw(&scheme.0)
    .raw(parameters)
    .raw(unique);
    Ok(done(server, &load_public(&copy, rh::NULL))?.handle())
}

fn salted(key: u32, secret: &[u8]) -> Command {
    let fields = Fields::new().sized(&[7; 16]).sized(secret).u8(se::HMAC);
    Command::new(cc::START_AUTH_SESSION)
        .handle(key)
        .handle(rh::NULL)
        .with(fields.u16(alg::AES).u16(128).u16(alg::CFB).u16(alg::SHA256))
}

fn salted_by_ecc(server: &mut Server) -> Result<Run> {
    let key = primary(server, &ecc_storage(3))?;
    let copy = copy_without_restriction(server, key, Fields::new().u16(alg::NULL), 4)?;
    let made = done(server, &Command::new(cc::ECDH_KEYGEN).handle(copy))?;
    let mut body = made.body(0);
    body.sized();
    let point = body.sized().to_vec();
    flush(server, copy)?;
    Ok(making(move |_| salted(key, &point)))
}

fn salted_by_rsa(server: &mut Server) -> Result<Run> {
    let key = primary(server, &rsa_storage(2048))?;
    let scheme = Fields::new().u16(alg::OAEP).u16(alg::SHA256);
    let copy = copy_without_restriction(server, key, scheme, 6)?;
    let fields = Fields::new()
        .sized(&[5; 32])
        .u16(alg::NULL)
        .sized(b"SECRET\0");
    let encrypted = done(
        server,
        &Command::new(cc::RSA_ENCRYPT).handle(copy).with(fields),
    )?;
    let secret = encrypted.body(0).sized().to_vec();
    flush(server, copy)?;
    Ok(making(move |_| salted(key, &secret)))
}

/// A template with another unique field in every run, so that another key is made.
fn another(template: fn() -> Fields, coordinates: usize) -> impl Fn(u32) -> Command {
    move |run| {
        let mut fields = template();
        // Its empty unique fields, of two bytes each.
        fields.0.truncate(fields.0.len() - 2 * coordinates);
        for _ in 0..coordinates {
            fields = fields.sized(&run.to_be_bytes());
        }
        create_primary(rh::OWNER, &fields)
    }
}

fn nv(server: &mut Server, index: u32, attributes: u32, size: u16) -> Result<()> {
    let area = Fields::new()
        .u32(index)
        .u16(alg::SHA256)
        .u32(attributes)
        .sized(&[])
        .u16(size);
    let fields = Fields::new().sized(&[]).sized(&area.0);
    done(
        server,
        &Command::new(cc::NV_DEFINE_SPACE)
            .handle(rh::OWNER)
            .password(&[])
            .with(fields),
    )?;
    Ok(())
}

fn nv_write(index: u32, data: &[u8]) -> Command {
    let fields = Fields::new().sized(data).u16(0);
    Command::new(cc::NV_WRITE)
        .handle(rh::OWNER)
        .handle(index)
        .password(&[])
        .with(fields)
}

fn context_save(server: &mut Server) -> Result<(u32, Command)> {
    let key = child(server, &[], &rsa_key(SIGNING, 2048, alg::NULL))?;
    Ok((key, Command::new(cc::CONTEXT_SAVE).handle(key)))
}

fn context_load(server: &mut Server) -> Result<Run> {
    let (key, save) = context_save(server)?;
    let saved = done(server, &save)?;
    flush(server, key)?;
    let context = saved.0[10..].to_vec();
    Ok(making(move |_| {
        Command::new(cc::CONTEXT_LOAD).with(Fields::new().raw(&context))
    }))
}

fn cipher(server: &mut Server) -> Result<Run> {
    let template = public(
        alg::SYMCIPHER,
        alg::SHA256,
        SIGNING | attribute::DECRYPT,
        &[],
    );
    let template = template.u16(alg::AES).u16(128).u16(alg::CFB).sized(&[]);
    let key = child(server, &[], &template)?;
    let fields = Fields::new()
        .sized(&[5; 1024])
        .u8(0)
        .u16(alg::NULL)
        .sized(&[8; 16]);
    Ok(again(
        Command::new(cc::ENCRYPT_DECRYPT_2)
            .handle(key)
            .password(&[])
            .with(fields),
    ))
}

fn rsa_decrypt(server: &mut Server) -> Result<Run> {
    let key = child(server, &[], &rsa_key(DECRYPTING, 2048, alg::OAEP))?;
    let fields = Fields::new().sized(b"secret").u16(alg::NULL).sized(&[]);
    let encrypted = done(
        server,
        &Command::new(cc::RSA_ENCRYPT).handle(key).with(fields),
    )?;
    let secret = encrypted.body(0).sized().to_vec();
    let fields = Fields::new().sized(&secret).u16(alg::NULL).sized(&[]);
    Ok(again(
        Command::new(cc::RSA_DECRYPT)
            .handle(key)
            .password(&[])
            .with(fields),
    ))
}

fn zgen(server: &mut Server) -> Result<Run> {
    let key = child(server, &[], &ecc_key(DECRYPTING, 3, alg::NULL))?;
    let made = done(server, &Command::new(cc::ECDH_KEYGEN).handle(key))?;
    let mut body = made.body(0);
    body.sized();
    let fields = Fields::new().sized(body.sized());
    Ok(again(
        Command::new(cc::ECDH_ZGEN)
            .handle(key)
            .password(&[])
            .with(fields),
    ))
}

fn policy_pcr(server: &mut Server) -> Result<Run> {
    let session = done(server, &start_session(se::POLICY, alg::SHA256))?.handle();
    let fields = Fields::new()
        .sized(&[])
        .pcrs(alg::SHA256, &[0, 1, 2, 3, 4, 5, 6, 7]);
    Ok(again(
        Command::new(cc::POLICY_PCR).handle(session).with(fields),
    ))
}

fn creating(server: &mut Server, template: &Fields) -> Result<Run> {
    let parent = primary(server, &ecc_storage(3))?;
    Ok(again(create(parent, &[], &[], template)))
}

fn loading(server: &mut Server, template: &Fields) -> Result<Run> {
    let (_, load) = made(server, &[], template)?;
    Ok(making(move |_| load.clone()))
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
