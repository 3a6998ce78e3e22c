//! What the rows are made of: keys, commands, and what comes before them.

use std::time::{Duration, Instant};

use super::Run;
use anyhow::{Result, ensure};

use crate::command::{Command, Fields};
use crate::constants::{alg, cc, rh, se};
use crate::pair::start_session;
use crate::response::Response;
use crate::server::Server;
use crate::templates::{
    attribute, create, create_primary, ecc_key, ecc_storage, load_public, public, rsa_key,
    rsa_storage,
};

pub(super) fn timed(server: &mut Server, command: &Command) -> Result<(Duration, Response)> {
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

pub(super) fn done(server: &mut Server, command: &Command) -> Result<Response> {
    Ok(timed(server, command)?.1)
}

pub(super) fn flush(server: &mut Server, handle: u32) -> Result<()> {
    done(
        server,
        &Command::new(cc::FLUSH_CONTEXT).with(Fields::new().u32(handle)),
    )?;
    Ok(())
}

/// The same command again and again.
pub(super) fn again(command: Command) -> Run {
    Box::new(move |server, _| Ok(timed(server, &command)?.0))
}

/// A command that makes an object or session, which is removed after the clock stopped.
pub(super) fn making(command: impl Fn(u32) -> Command + 'static) -> Run {
    Box::new(move |server, run| {
        let (time, response) = timed(server, &command(run))?;
        flush(server, response.handle())?;
        Ok(time)
    })
}

pub(super) fn primary(server: &mut Server, template: &Fields) -> Result<u32> {
    Ok(done(server, &create_primary(rh::OWNER, template))?.handle())
}

/// A child of a P-256 primary, loaded; the primary is removed.
pub(super) fn child(server: &mut Server, data: &[u8], template: &Fields) -> Result<u32> {
    let (parent, load) = made(server, data, template)?;
    let handle = done(server, &load)?.handle();
    flush(server, parent)?;
    Ok(handle)
}

/// A parent, and the command that loads a child of it.
pub(super) fn made(server: &mut Server, data: &[u8], template: &Fields) -> Result<(u32, Command)> {
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

pub(super) const SIGNING: u32 = attribute::USUAL | attribute::SIGN;
pub(super) const DECRYPTING: u32 = attribute::USUAL | attribute::DECRYPT;
pub(super) const AK: u32 = SIGNING | attribute::RESTRICTED;

pub(super) fn signing(key: u32, scheme: u16) -> Command {
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

pub(super) fn quoting(key: u32) -> Command {
    let fields = Fields::new().sized(b"nonce").u16(alg::NULL);
    let fields = fields.pcrs(alg::SHA256, &[0, 1, 2, 3, 4, 5, 6, 7]);
    Command::new(cc::QUOTE)
        .handle(key)
        .password(&[])
        .with(fields)
}

pub(super) fn verifying(server: &mut Server, template: &Fields, scheme: u16) -> Result<Run> {
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
pub(super) fn copy_without_restriction(
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

pub(super) fn salted(key: u32, secret: &[u8]) -> Command {
    let fields = Fields::new().sized(&[7; 16]).sized(secret).u8(se::HMAC);
    Command::new(cc::START_AUTH_SESSION)
        .handle(key)
        .handle(rh::NULL)
        .with(fields.u16(alg::AES).u16(128).u16(alg::CFB).u16(alg::SHA256))
}

pub(super) fn salted_by_ecc(server: &mut Server) -> Result<Run> {
    let key = primary(server, &ecc_storage(3))?;
    let copy = copy_without_restriction(server, key, Fields::new().u16(alg::NULL), 4)?;
    let made = done(server, &Command::new(cc::ECDH_KEYGEN).handle(copy))?;
    let mut body = made.body(0);
    body.sized();
    let point = body.sized().to_vec();
    flush(server, copy)?;
    Ok(making(move |_| salted(key, &point)))
}

pub(super) fn salted_by_rsa(server: &mut Server) -> Result<Run> {
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
pub(super) fn another(template: fn() -> Fields, coordinates: usize) -> impl Fn(u32) -> Command {
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

pub(super) fn nv(server: &mut Server, index: u32, attributes: u32, size: u16) -> Result<()> {
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

pub(super) fn nv_write(index: u32, data: &[u8]) -> Command {
    let fields = Fields::new().sized(data).u16(0);
    Command::new(cc::NV_WRITE)
        .handle(rh::OWNER)
        .handle(index)
        .password(&[])
        .with(fields)
}

pub(super) fn context_save(server: &mut Server) -> Result<(u32, Command)> {
    let key = child(server, &[], &rsa_key(SIGNING, 2048, alg::NULL))?;
    Ok((key, Command::new(cc::CONTEXT_SAVE).handle(key)))
}

pub(super) fn context_load(server: &mut Server) -> Result<Run> {
    let (key, save) = context_save(server)?;
    let saved = done(server, &save)?;
    flush(server, key)?;
    let context = saved.0[10..].to_vec();
    Ok(making(move |_| {
        Command::new(cc::CONTEXT_LOAD).with(Fields::new().raw(&context))
    }))
}

pub(super) fn cipher(server: &mut Server) -> Result<Run> {
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

pub(super) fn rsa_decrypt(server: &mut Server) -> Result<Run> {
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

pub(super) fn zgen(server: &mut Server) -> Result<Run> {
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

pub(super) fn policy_pcr(server: &mut Server) -> Result<Run> {
    let session = done(server, &start_session(se::POLICY, alg::SHA256))?.handle();
    let fields = Fields::new()
        .sized(&[])
        .pcrs(alg::SHA256, &[0, 1, 2, 3, 4, 5, 6, 7]);
    Ok(again(
        Command::new(cc::POLICY_PCR).handle(session).with(fields),
    ))
}

pub(super) fn creating(server: &mut Server, template: &Fields) -> Result<Run> {
    let parent = primary(server, &ecc_storage(3))?;
    Ok(again(create(parent, &[], &[], template)))
}

pub(super) fn loading(server: &mut Server, template: &Fields) -> Result<Run> {
    let (_, load) = made(server, &[], template)?;
    Ok(making(move |_| load.clone()))
}
