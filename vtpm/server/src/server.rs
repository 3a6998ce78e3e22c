//! Two listening ports and a thread for each client.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::machine::Machine;
use crate::ports::{self, End, Port};

/// So many clients at once; one more is sent away. A TPM has a handful.
pub const MAX_CLIENTS: usize = 64;

/// Pairs of ports that are tried when any will do.
const TRIES: usize = 100;

/// The two ports cannot be had; the text names the one.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Someone else listens there.
    #[error(
        "port {0} is in use already: is another simulator running? Give another one with --port, or --port 0 for any"
    )]
    Taken(SocketAddr),
    /// There is no port after the last one.
    #[error("--port 65535 leaves no number for the platform port, which is the next one")]
    NoPlatformPort,
    /// The system refused.
    #[error("cannot listen on {0}: {1}")]
    System(SocketAddr, #[source] io::Error),
    /// No two free ports in a row.
    #[error("no two free ports in a row were found on {0}")]
    NoneFree(IpAddr),
}

/// Both ports, listening.
#[derive(Debug)]
pub struct Server {
    command: TcpListener,
    platform: TcpListener,
    port: u16,
}

fn listen(address: IpAddr, port: u16) -> Result<TcpListener, BindError> {
    let address = SocketAddr::new(address, port);
    TcpListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken(address),
        _ => BindError::System(address, error),
    })
}

impl Server {
    /// Listens for commands on the port, and for the platform on the next; port 0
    /// takes any two.
    ///
    /// # Errors
    /// [`BindError`] says which port cannot be had, and why.
    pub fn bind(address: IpAddr, port: u16) -> Result<Self, BindError> {
        if port != 0 {
            let next = port.checked_add(1).ok_or(BindError::NoPlatformPort)?;
            return Ok(Self {
                command: listen(address, port)?,
                platform: listen(address, next)?,
                port,
            });
        }
        for _ in 0..TRIES {
            let command = listen(address, 0)?;
            let port = command
                .local_addr()
                .map_err(|error| BindError::System(SocketAddr::new(address, 0), error))?
                .port();
            let Some(next) = port.checked_add(1) else {
                continue;
            };
            match listen(address, next) {
                Err(BindError::Taken(_)) => {}
                other => {
                    return Ok(Self {
                        command,
                        platform: other?,
                        port,
                    });
                }
            }
        }
        Err(BindError::NoneFree(address))
    }

    /// The command port; the platform port is the next.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Serves clients until one of them asks the server to stop.
    ///
    /// # Errors
    /// A thread cannot be made.
    pub fn run(self, machine: Machine) -> io::Result<()> {
        let machine = Arc::new(machine);
        let (stop, stopped) = mpsc::channel();
        let clients = Arc::new(AtomicUsize::new(0));
        for (port, listener) in [
            (Port::Command, self.command),
            (Port::Platform, self.platform),
        ] {
            let (machine, stop, clients) = (machine.clone(), stop.clone(), clients.clone());
            thread::Builder::new()
                .name(format!("{port:?}"))
                .spawn(move || accept(port, &listener, &machine, &stop, &clients))?;
        }
        // Both ends of the channel live on in the threads: this waits for a stop.
        let _ = stopped.recv();
        machine.power_off();
        info!("stopped by a client");
        Ok(())
    }
}

fn accept(
    port: Port,
    listener: &TcpListener,
    machine: &Arc<Machine>,
    stop: &Sender<()>,
    clients: &Arc<AtomicUsize>,
) {
    loop {
        let (stream, from) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, say: others may free some.
                warn!("{port:?} port: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if clients.fetch_add(1, Ordering::AcqRel) >= MAX_CLIENTS {
            warn!("{from} is one client too many");
            clients.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (machine, stop, counter) = (machine.clone(), stop.clone(), clients.clone());
        let serving = move || {
            client(port, &stream, &machine, &stop);
            counter.fetch_sub(1, Ordering::AcqRel);
        };
        if let Err(error) = thread::Builder::new().spawn(serving) {
            warn!("no thread for {from}: {error}");
            clients.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn client(port: Port, stream: &TcpStream, machine: &Machine, stop: &Sender<()>) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!("{port:?} port: {error}");
    }
    match ports::serve(port, stream, machine) {
        Ok(End::Connection) => debug!("{port:?} port: a client went"),
        // The other side may have stopped already.
        Ok(End::Server) => drop(stop.send(())),
        Err(error) => warn!("{port:?} port: a client was cut off: {error}"),
    }
}
