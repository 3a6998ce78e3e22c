//! The server as its clients see it, with a TPM that only records.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use vtpm_server::engine::Engine;
use vtpm_server::machine::Machine;
use vtpm_server::server::{BindError, Server};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Answers a command with its own bytes, and "long" only once it is cancelled.
#[derive(Clone, Default)]
struct Recorder {
    calls: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn note(&self, text: impl Into<String>) {
        self.calls.lock().unwrap().push(text.into());
    }
}

impl Engine for Recorder {
    fn init(&mut self) {
        self.note("init");
    }
    fn power_off(&mut self) {
        self.note("off");
    }
    fn physical_presence(&mut self, asserted: bool) {
        self.note(format!("presence {asserted}"));
    }
    fn nv_available(&mut self, available: bool) {
        self.note(format!("nv {available}"));
    }
    fn hash_start(&mut self) {
        self.note("start");
    }
    fn hash_data(&mut self, data: &[u8]) {
        self.note(format!("data {data:?}"));
    }
    fn hash_end(&mut self) {
        self.note("end");
    }
    fn execute(&mut self, locality: u8, command: &[u8], cancelled: &dyn Fn() -> bool) -> Vec<u8> {
        if command == b"long" {
            let begin = Instant::now();
            while !cancelled() {
                assert!(begin.elapsed() < Duration::from_secs(20), "never cancelled");
                thread::sleep(Duration::from_millis(1));
            }
            return b"cancelled".to_vec();
        }
        [&[locality], command].concat()
    }
}

struct Running {
    port: u16,
    recorder: Recorder,
    thread: thread::JoinHandle<()>,
}

fn start() -> Running {
    let recorder = Recorder::default();
    let server = Server::bind(HOST, 0).unwrap();
    let port = server.port();
    let machine = Machine::new(Box::new(recorder.clone()));
    Running {
        port,
        recorder,
        thread: thread::spawn(move || server.run(machine).unwrap()),
    }
}

struct Client(TcpStream);

impl Client {
    fn new(port: u16) -> Self {
        let stream = TcpStream::connect((HOST, port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Self(stream)
    }
    fn send(&mut self, request: u32) {
        self.0.write_all(&request.to_be_bytes()).unwrap();
    }
    fn word(&mut self) -> u32 {
        let mut word = [0; 4];
        self.0.read_exact(&mut word).unwrap();
        u32::from_be_bytes(word)
    }
    fn signal(&mut self, request: u32) {
        self.send(request);
        assert_eq!(self.word(), 0, "signal {request}");
    }
    fn start_command(&mut self, locality: u8, command: &[u8]) {
        self.send(8);
        self.0.write_all(&[locality]).unwrap();
        self.block(command);
    }
    fn block(&mut self, data: &[u8]) {
        self.0
            .write_all(&(data.len() as u32).to_be_bytes())
            .unwrap();
        self.0.write_all(data).unwrap();
    }
    fn response(&mut self) -> Vec<u8> {
        let mut response = vec![0; self.word() as usize];
        self.0.read_exact(&mut response).unwrap();
        assert_eq!(self.word(), 0);
        response
    }
    fn command(&mut self, locality: u8, command: &[u8]) -> Vec<u8> {
        self.start_command(locality, command);
        self.response()
    }
    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }
}

impl Running {
    fn command(&self) -> Client {
        Client::new(self.port)
    }
    fn platform(&self) -> Client {
        Client::new(self.port + 1)
    }
    fn powered() -> Self {
        let running = start();
        running.platform().signal(1);
        running
    }
    fn calls(&self) -> Vec<String> {
        self.recorder.calls.lock().unwrap().clone()
    }
}

#[test]
fn a_command_reaches_the_tpm_with_its_locality() {
    let server = Running::powered();
    assert_eq!(server.command().command(3, b"abc"), b"\x03abc");
    assert_eq!(server.command().command(0, b""), b"\0");
}

#[test]
fn without_power_there_is_no_answer_but_a_frame() {
    let server = start();
    assert_eq!(server.command().command(0, b"abc"), b"");
    let mut platform = server.platform();
    platform.signal(1);
    assert_eq!(server.command().command(0, b"abc"), b"\0abc");
    platform.signal(2);
    assert_eq!(server.command().command(0, b"abc"), b"");
}

#[test]
fn the_lines_reach_the_tpm_and_power_comes_once() {
    let server = start();
    let mut platform = server.platform();
    platform.signal(17);
    for signal in [1, 1, 11, 3, 4, 12, 17, 2, 2] {
        platform.signal(signal);
    }
    let expected = [
        "init",
        "nv true",
        "presence true",
        "presence false",
        "nv false",
        "init",
        "off",
    ];
    assert_eq!(server.calls(), expected);
}

#[test]
fn the_hash_sequence_is_taken_on_both_ports() {
    let server = Running::powered();
    for mut client in [server.command(), server.platform()] {
        client.signal(5);
        client.send(6);
        client.block(&[7, 8]);
        assert_eq!(client.word(), 0);
        client.signal(7);
    }
    let one = ["start", "data [7, 8]", "end"];
    assert_eq!(server.calls()[1..], [one, one].concat());
}

#[test]
fn a_running_command_is_cancelled_from_the_other_port() {
    let server = Running::powered();
    let mut running = server.command();
    running.start_command(0, b"long");
    let mut platform = server.platform();
    platform.signal(9);
    assert_eq!(running.response(), b"cancelled");
    platform.signal(10);
    assert_eq!(running.command(0, b"x"), b"\0x");
}

#[test]
fn clients_come_one_after_another_and_at_once() {
    let server = Running::powered();
    let mut first = server.command();
    let mut second = server.command();
    for round in 0..50 {
        assert_eq!(first.command(0, &[round]), [0, round]);
        assert_eq!(second.command(1, &[round]), [1, round]);
    }
    first.send(20);
    assert!(first.is_closed());
    // This one goes without a word, as a client that crashed.
    drop(second);
    for _ in 0..200 {
        assert_eq!(server.command().command(0, b"next"), b"\0next");
    }
}

#[test]
fn many_clients_at_once_do_not_mix_their_answers() {
    let server = Running::powered();
    thread::scope(|scope| {
        for number in 0..16_u8 {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.command();
                for round in 0..50 {
                    assert_eq!(client.command(0, &[number, round]), [0, number, round]);
                }
            });
        }
    });
}

#[test]
fn the_handshake_tells_version_and_abilities() {
    let server = start();
    for mut client in [server.command(), server.platform()] {
        client.send(15);
        client.0.write_all(&1_u32.to_be_bytes()).unwrap();
        assert_eq!([client.word(), client.word(), client.word()], [1, 6, 0]);
    }
}

#[test]
fn nonsense_ends_one_connection_and_nothing_else() {
    let server = Running::powered();
    let mut client = server.command();
    client.send(0xdead_beef);
    assert!(client.is_closed());
    let mut client = server.command();
    client.send(8);
    client.0.write_all(&[0, 0xff, 0xff, 0xff, 0xff]).unwrap();
    assert!(client.is_closed());
    let mut platform = server.platform();
    platform.send(0xdead_beef);
    assert_eq!(platform.word(), 1);
    platform.signal(1);
    assert_eq!(server.command().command(0, b"x"), b"\0x");
}

#[test]
fn stop_ends_the_server_from_either_port() {
    for platform in [false, true] {
        let server = Running::powered();
        let mut client = if platform {
            server.platform()
        } else {
            server.command()
        };
        client.send(21);
        let recorder = server.recorder.clone();
        server.thread.join().unwrap();
        assert_eq!(recorder.calls.lock().unwrap().last().unwrap(), "off");
    }
}

#[test]
fn a_taken_port_is_named() {
    let server = start();
    for port in [server.port, server.port - 1] {
        // Port P - 1 may be anyone's, but its platform port is taken for certain.
        let error = Server::bind(HOST, port).unwrap_err();
        assert!(matches!(error, BindError::Taken(_)), "{error}");
        assert!(error.to_string().contains("in use"), "{error}");
    }
    assert!(matches!(
        Server::bind(HOST, 65535),
        Err(BindError::NoPlatformPort)
    ));
}
