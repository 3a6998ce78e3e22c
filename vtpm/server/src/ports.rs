//! What a client of either port asks for, and the answers.

use std::io::{self, BufReader, Read, Write};

use tracing::{debug, warn};

use crate::machine::Machine;
use crate::protocol::{self, Request};

/// Which of the two ports a client is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Commands.
    Command,
    /// Power, lines, presence.
    Platform,
}

/// How a client's connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// This client is done.
    Connection,
    /// The client asked the server to stop.
    Server,
}

/// Serves one client until it goes.
///
/// # Errors
/// The stream's own, and `InvalidData` for a block that is too long; the
/// connection is of no more use then.
pub fn serve<S>(port: Port, stream: &S, machine: &Machine) -> io::Result<End>
where
    for<'a> &'a S: Read + Write,
{
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(request) = protocol::next_request(&mut reader)? {
        debug!(?port, ?request);
        match request {
            Request::SESSION_END => return Ok(End::Connection),
            Request::STOP => return Ok(End::Server),
            _ => {}
        }
        let answer = match port {
            Port::Command => command(request, &mut reader, machine)?,
            Port::Platform => platform(request, &mut reader, machine)?,
        };
        let Some(answer) = answer else {
            warn!("{port:?} port: request {} does not exist", request.0);
            return Ok(End::Connection);
        };
        writer.write_all(&answer)?;
    }
    Ok(End::Connection)
}

fn success() -> Vec<u8> {
    protocol::SUCCESS.to_be_bytes().to_vec()
}

/// The answer of the command port; `None` if there is no such request.
fn command(
    request: Request,
    reader: &mut impl Read,
    machine: &Machine,
) -> io::Result<Option<Vec<u8>>> {
    if request == Request::SEND_COMMAND {
        let locality = protocol::read_u8(reader)?;
        let command = protocol::read_block(reader)?;
        let response = machine.execute(locality, &command);
        // One write for all of it: one packet.
        let mut answer = Vec::with_capacity(response.len() + 8);
        let length = u32::try_from(response.len()).map_err(io::Error::other)?;
        answer.extend(length.to_be_bytes());
        answer.extend(response);
        answer.extend(protocol::SUCCESS.to_be_bytes());
        return Ok(Some(answer));
    }
    both(request, reader, machine)
}

/// What the reference simulator takes on its command port and IBM's on the other.
fn both(
    request: Request,
    reader: &mut impl Read,
    machine: &Machine,
) -> io::Result<Option<Vec<u8>>> {
    match request {
        Request::HASH_START => machine.with_power(|engine| engine.hash_start()),
        Request::HASH_DATA => {
            let data = protocol::read_block(reader)?;
            machine.with_power(|engine| engine.hash_data(&data));
        }
        Request::HASH_END => machine.with_power(|engine| engine.hash_end()),
        Request::REMOTE_HANDSHAKE => {
            let _version = protocol::read_u32(reader)?;
            let words = [protocol::VERSION, protocol::ABILITIES, protocol::SUCCESS];
            return Ok(Some(
                words.iter().flat_map(|word| word.to_be_bytes()).collect(),
            ));
        }
        _ => return Ok(None),
    }
    Ok(Some(success()))
}

/// The answer of the platform port; there always is one.
fn platform(
    request: Request,
    reader: &mut impl Read,
    machine: &Machine,
) -> io::Result<Option<Vec<u8>>> {
    match request {
        Request::POWER_ON => machine.power_on(),
        Request::POWER_OFF => machine.power_off(),
        Request::RESET | Request::RESTART => machine.reset(),
        Request::CANCEL_ON => machine.cancel(true),
        Request::CANCEL_OFF => machine.cancel(false),
        Request::PHYSICAL_PRESENCE_ON => {
            machine.with_engine(|engine| engine.physical_presence(true))
        }
        Request::PHYSICAL_PRESENCE_OFF => {
            machine.with_engine(|engine| engine.physical_presence(false));
        }
        Request::NV_ON => machine.with_engine(|engine| engine.nv_available(true)),
        Request::NV_OFF => machine.with_engine(|engine| engine.nv_available(false)),
        Request::KEY_CACHE_ON | Request::KEY_CACHE_OFF => {}
        _ => {
            return Ok(both(request, reader, machine)?.or_else(|| {
                warn!("platform port: request {} does not exist", request.0);
                Some(protocol::FAILURE.to_be_bytes().to_vec())
            }));
        }
    }
    Ok(Some(success()))
}
