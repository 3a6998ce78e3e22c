//! Starts the TPMs and speaks with them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::command::Command;
use crate::response::Response;

/// Which TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rampart's.
    Vtpm,
    /// The yardstick.
    Swtpm,
}

/// The TPM under test: Rampart's, unless the harness itself is tested; then two
/// of the same kind must agree.
#[must_use]
pub fn under_test() -> Kind {
    match std::env::var_os("RAMPART_SWTPM_WITH_ITSELF") {
        Some(_) => Kind::Swtpm,
        None => Kind::Vtpm,
    }
}

/// A TPM that runs in a process of its own, and ends with this value.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    process: Child,
    command: TcpStream,
    platform: TcpStream,
    port: u16,
    _folder: tempfile::TempDir,
}

/// How long a server may take to start, and a command to run.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program: `RAMPART_VTPM_SERVER`, or what `scripts/build vtpm-server` makes.
#[must_use]
pub fn vtpm_program() -> PathBuf {
    std::env::var_os("RAMPART_VTPM_SERVER").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/server/vtpm-server"),
        PathBuf::from,
    )
}

/// Two ports in a row that were free a moment ago.
fn free_ports() -> Result<u16> {
    for _ in 0..100 {
        let first = TcpListener::bind(("127.0.0.1", 0))?;
        let port = first.local_addr()?.port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no two free ports in a row")
}

/// A folder for state files: in memory, if it can be.
fn folder() -> Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .context("a folder for the state")
}

fn connect(port: u16, process: &mut Child) -> Result<TcpStream> {
    let begin = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(_) if begin.elapsed() < PATIENCE => {
                if let Some(status) = process.try_wait()? {
                    bail!("the server ended: {status}");
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

impl Server {
    /// Starts one with a new state, powered, before its Startup.
    ///
    /// # Errors
    /// The program is missing or does not start.
    pub fn start(kind: Kind) -> Result<Self> {
        match kind {
            Kind::Vtpm => Self::start_vtpm(&[]),
            Kind::Swtpm => Self::start_swtpm(),
        }
    }

    /// The same with a state file, as swtpm always has one, and both in memory
    /// where there is such a folder: `vtpm-server` flushes every change to the
    /// disk, swtpm does not, and it is not the disk that is measured.
    ///
    /// # Errors
    /// The program is missing or does not start.
    pub fn start_with_state(kind: Kind) -> Result<Self> {
        match kind {
            Kind::Vtpm => Self::start_vtpm(&["--state", "tpm.state"]),
            Kind::Swtpm => Self::start_swtpm(),
        }
    }

    fn start_vtpm(options: &[&str]) -> Result<Self> {
        let program = vtpm_program();
        let folder = folder()?;
        let mut process = Process::new(&program)
            .args(["--port", "0"])
            .args(options)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!("{}: scripts/build vtpm-server makes it", program.display())
            })?;
        let output = process.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line
            .split_whitespace()
            .find_map(|word| word.trim_end_matches(',').parse().ok())
            .ok_or_else(|| anyhow!("{line:?} names no port"))?;
        let mut server = Self {
            kind: Kind::Vtpm,
            command: connect(port, &mut process)?,
            platform: connect(port + 1, &mut process)?,
            process,
            port,
            _folder: folder,
        };
        server.platform(1)?;
        server.platform(11)?;
        Ok(server)
    }

    fn start_swtpm() -> Result<Self> {
        // Ports that are free for one thread are free for another one, too.
        static STARTING: Mutex<()> = Mutex::new(());
        let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = folder()?;
        for _ in 0..5 {
            let port = free_ports()?;
            let mut process = Process::new("swtpm")
                .arg("socket")
                .arg("--tpm2")
                .args([
                    "--flags",
                    "not-need-init",
                    "--locality",
                    "allow-set-locality",
                ])
                .arg("--server")
                .arg(format!("type=tcp,port={port}"))
                .arg("--ctrl")
                .arg(format!("type=tcp,port={}", port + 1))
                .arg("--tpmstate")
                .arg(format!("dir={}", folder.path().display()))
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .context("swtpm: scripts/setup installs it")?;
            // Someone else may have taken the port in the meantime.
            let Ok(command) = connect(port, &mut process) else {
                continue;
            };
            let platform = connect(port + 1, &mut process)?;
            return Ok(Self {
                kind: Kind::Swtpm,
                process,
                command,
                platform,
                port,
                _folder: folder,
            });
        }
        bail!("swtpm does not start")
    }

    /// Which TPM it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The port on which it takes commands.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What tpm2-tools call it.
    #[must_use]
    pub fn tcti(&self) -> String {
        let name = match self.kind {
            Kind::Vtpm => "mssim",
            Kind::Swtpm => "swtpm",
        };
        format!("{name}:host=127.0.0.1,port={}", self.port)
    }

    fn platform(&mut self, signal: u32) -> Result<()> {
        self.platform.write_all(&signal.to_be_bytes())?;
        let mut answer = [0; 4];
        self.platform.read_exact(&mut answer)?;
        ensure!(answer == [0; 4], "the platform port answered {answer:?}");
        Ok(())
    }

    /// The reset line: `_TPM_Init`.
    ///
    /// # Errors
    /// The server did not answer.
    pub fn reset(&mut self) -> Result<()> {
        match self.kind {
            Kind::Vtpm => self.platform(17),
            Kind::Swtpm => {
                // CMD_INIT without flags.
                self.platform.write_all(&[0, 0, 0, 2, 0, 0, 0, 0])?;
                let mut answer = [0; 4];
                self.platform.read_exact(&mut answer)?;
                ensure!(answer == [0; 4], "swtpm's control answered {answer:?}");
                Ok(())
            }
        }
    }

    /// The response to a command of any bytes, sent from a locality.
    ///
    /// # Errors
    /// The server did not answer.
    pub fn send_from(&mut self, locality: u8, bytes: &[u8]) -> Result<Response> {
        match self.kind {
            Kind::Vtpm => {
                let mut frame = vec![0, 0, 0, 8, locality];
                frame.extend((bytes.len() as u32).to_be_bytes());
                frame.extend(bytes);
                self.command.write_all(&frame)?;
                let mut length = [0; 4];
                self.command.read_exact(&mut length)?;
                let mut answer = vec![0; u32::from_be_bytes(length) as usize + 4];
                self.command.read_exact(&mut answer)?;
                answer.truncate(answer.len() - 4);
                Ok(Response(answer))
            }
            Kind::Swtpm => {
                if locality != 0 {
                    self.swtpm_locality(locality)?;
                }
                let answer = self.swtpm_send(bytes);
                if locality != 0 {
                    self.swtpm_locality(0)?;
                }
                answer
            }
        }
    }

    fn swtpm_locality(&mut self, locality: u8) -> Result<()> {
        self.platform.write_all(&[0, 0, 0, 5, locality])?;
        let mut answer = [0; 4];
        self.platform.read_exact(&mut answer)?;
        ensure!(answer == [0; 4], "swtpm's locality answered {answer:?}");
        Ok(())
    }

    fn swtpm_send(&mut self, bytes: &[u8]) -> Result<Response> {
        self.command.write_all(bytes)?;
        let mut header = vec![0; 10];
        self.command.read_exact(&mut header)?;
        let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]) as usize;
        header.resize(length.max(10), 0);
        self.command.read_exact(&mut header[10..])?;
        Ok(Response(header))
    }

    /// The response to a command.
    ///
    /// # Errors
    /// The server did not answer.
    pub fn run(&mut self, command: &Command) -> Result<Response> {
        self.send_from(0, &command.bytes())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
