//! Raw messages: what a driver would not send, byte for byte.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::TestServer;

/// A connection that speaks bytes.
struct Raw(TcpStream);

/// A message of the server: its type and body.
type Received = (char, Vec<u8>);

impl Raw {
    fn connect(server: &TestServer) -> Raw {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Raw(stream)
    }

    /// Connects and reads the greeting.
    fn started(server: &TestServer) -> Raw {
        let mut raw = Raw::connect(server);
        raw.startup(3 << 16, b"user\0ada\0\0");
        let greeting = raw.until('Z');
        assert_eq!(greeting[0], ('R', vec![0, 0, 0, 0]));
        assert!(greeting.iter().any(|(kind, _)| *kind == 'K'));
        raw
    }

    fn startup(&mut self, version: u32, body: &[u8]) {
        let mut packet = (body.len() as u32 + 8).to_be_bytes().to_vec();
        packet.extend_from_slice(&version.to_be_bytes());
        packet.extend_from_slice(body);
        self.0.write_all(&packet).unwrap();
    }

    fn send(&mut self, messages: &[(u8, &[u8])]) {
        let mut bytes = Vec::new();
        for (kind, body) in messages {
            bytes.push(*kind);
            bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
            bytes.extend_from_slice(body);
        }
        self.0.write_all(&bytes).unwrap();
    }

    /// The next message; `None` at the end of the connection.
    fn receive(&mut self) -> Option<Received> {
        let mut head = [0; 5];
        if self.0.read_exact(&mut head).is_err() {
            return None;
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        Some((head[0] as char, body))
    }

    /// Messages up to one of `kind`.
    fn until(&mut self, kind: char) -> Vec<Received> {
        let mut received = Vec::new();
        while received.last().is_none_or(|(last, _)| *last != kind) {
            received.push(self.receive().unwrap());
        }
        received
    }
}

fn kinds(received: &[Received]) -> String {
    received.iter().map(|(kind, _)| *kind).collect()
}

/// A field of an error.
fn field(body: &[u8], code: u8) -> String {
    let field = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&code)).unwrap();
    String::from_utf8(field[1..].to_vec()).unwrap()
}

const SYNC: (u8, &[u8]) = (b'S', b"");
const BIND: (u8, &[u8]) = (b'B', b"\0\0\0\0\0\0\0\0");
const EXECUTE: (u8, &[u8]) = (b'E', b"\0\0\0\0\0");

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_declined_and_the_session_goes_on() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        let mut raw = Raw::connect(&server);
        for request in [80_877_104, 80_877_103] {
            raw.startup(request, b"");
            let mut answer = [0];
            raw.0.read_exact(&mut answer).unwrap();
            assert_eq!(answer, *b"N");
        }
        raw.startup(3 << 16, b"user\0ada\0\0");
        assert!(kinds(&raw.until('Z')).starts_with("RSS"));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_protocols_are_negotiated_down() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        let mut raw = Raw::connect(&server);
        raw.startup((3 << 16) + 2, b"user\0ada\0_pq_.wish\0on\0\0");
        assert_eq!(raw.receive(), Some(('v', b"\0\0\0\0\0\0\0\x01_pq_.wish\0".to_vec())));
        raw.until('Z');
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_error_everything_is_skipped_up_to_sync() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        let mut raw = Raw::started(&server);
        let broken = (b'P', &b"\0SELEC\0\0\0"[..]);
        let fine = (b'P', &b"\0SELECT 1\0\0\0"[..]);
        raw.send(&[broken, BIND, EXECUTE, fine, BIND, EXECUTE, SYNC, fine, BIND, EXECUTE, SYNC]);
        assert_eq!(kinds(&raw.until('Z')), "EZ");
        assert_eq!(kinds(&raw.until('Z')), "12DCZ");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn several_executions_before_sync_are_one_transaction() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        let mut raw = Raw::started(&server);
        raw.send(&[(b'Q', b"CREATE TABLE seen (id integer PRIMARY KEY)\0")]);
        raw.until('Z');
        let insert = (b'P', &b"\0INSERT INTO seen VALUES (1)\0\0\0"[..]);
        // The second of these fails, so the first must be undone.
        raw.send(&[insert, BIND, EXECUTE, BIND, EXECUTE, SYNC]);
        let received = raw.until('Z');
        assert_eq!(kinds(&received), "12C2EZ");
        assert_eq!(field(&received[4].1, b'C'), "23505");
        raw.send(&[(b'Q', b"SELECT count(*) FROM seen\0")]);
        let received = raw.until('Z');
        assert_eq!(received[1], ('D', b"\0\x01\0\0\0\x010".to_vec()));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_is_suspended_at_its_limit() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        let mut raw = Raw::started(&server);
        let parse = (b'P', &b"\0SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3\0\0\0"[..]);
        let two = (b'E', &b"\0\0\0\0\x02"[..]);
        raw.send(&[parse, BIND, two, two, SYNC]);
        let received = raw.until('Z');
        assert_eq!(kinds(&received), "12DDsDCZ");
        assert_eq!(received[6].1, b"SELECT 1\0");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_brings_the_answers_without_sync() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        let mut raw = Raw::started(&server);
        raw.send(&[(b'P', b"\0SELECT 1\0\0\0"), BIND, EXECUTE, (b'H', b"")]);
        assert_eq!(kinds(&raw.until('C')), "12DC");
        raw.send(&[SYNC]);
        assert_eq!(raw.receive(), Some(('Z', b"I".to_vec())));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transactions_state_is_told() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        let mut raw = Raw::started(&server);
        for (text, state) in
            [(&b"BEGIN\0"[..], b"T"), (b"SELECT 1/0\0", b"E"), (b"SELECT 1\0", b"E"), (b"ROLLBACK\0", b"I")]
        {
            raw.send(&[(b'Q', text)]);
            assert_eq!(raw.until('Z').last().unwrap().1, state);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_names_are_errors() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        let mut raw = Raw::started(&server);
        let cases: [(u8, &[u8], &str); 5] = [
            (b'B', b"\0nothing\0\0\0\0\0\0\0", "26000"),
            (b'E', b"nothing\0\0\0\0\0", "34000"),
            (b'D', b"Snothing\0", "26000"),
            (b'D', b"Pnothing\0", "34000"),
            (b'D', b"Xnothing\0", "08P01"),
        ];
        for (kind, body, state) in cases {
            raw.send(&[(kind, body), SYNC]);
            let received = raw.until('Z');
            assert_eq!((kinds(&received).as_str(), field(&received[0].1, b'C').as_str()), ("EZ", state));
        }
        // Closing what does not exist is no error.
        raw.send(&[(b'C', b"Snothing\0"), SYNC]);
        assert_eq!(kinds(&raw.until('Z')), "3Z");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_message_ends_the_connection() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        for bytes in [&b"!\0\0\0\x04"[..], b"Q\0\0\0\0", b"Q\x7f\xff\xff\xff", b"S\0\x01\0\0"] {
            let mut raw = Raw::started(&server);
            raw.0.write_all(bytes).unwrap();
            let (kind, body) = raw.receive().unwrap();
            assert_eq!(
                (kind, field(&body, b'S').as_str(), field(&body, b'C').as_str()),
                ('E', "FATAL", "08P01")
            );
            assert_eq!(raw.receive(), None);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_start_up_packets_are_refused() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        for packet in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"\0\0\0\x04",
            b"\0\0\0\x09\0\x02\0\0\0",
            b"\0\0\0\x0c\0\x03\0\0user",
            b"\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\x01",
        ] {
            let mut raw = Raw::connect(&server);
            raw.0.write_all(packet).unwrap();
            let (kind, body) = raw.receive().unwrap();
            assert_eq!((kind, field(&body, b'S').as_str()), ('E', "FATAL"), "{packet:?}");
            assert_eq!(raw.receive(), None);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_bodies_are_errors_of_the_session() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        let mut raw = Raw::started(&server);
        raw.send(&[(b'B', b"\0\0\0\x05"), SYNC]);
        assert_eq!(field(&raw.until('Z')[0].1, b'C'), "08P01");
        raw.send(&[(b'Q', b"SELECT '\xff'\0")]);
        assert_eq!(field(&raw.until('Z')[0].1, b'C'), "22021");
        raw.send(&[(b'Q', b"SELECT 1\0")]);
        assert_eq!(kinds(&raw.until('Z')), "TDCZ");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn old_function_calls_are_refused() {
    let server = TestServer::start().await;
    tokio::task::block_in_place(|| {
        let mut raw = Raw::started(&server);
        raw.send(&[(b'F', b"\0\0\0\x01\0\0\0\0\0\0")]);
        let received = raw.until('Z');
        assert_eq!((kinds(&received).as_str(), field(&received[0].1, b'C').as_str()), ("EZ", "0A000"));
    });
}
