//! Bytes that no driver sends: random ones, and a conversation with changed bytes. Whatever comes, the node goes on and other
//! clients' answers are right; seeds are fixed, so that a failure can be seen again.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::TestServer;

/// Conversations that are tried.
const CASES: u64 = 1_500;
/// After so many of them somebody looks whether the node is well.
const LOOK: u64 = 100;
/// Longest run of random bytes.
const RANDOM_MAX: u64 = 600;

/// A small generator: the same bytes in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn start_up() -> Vec<u8> {
    let body = b"user\0ada\0database\0test\0options\0-c search_path=public\0\0";
    let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
    bytes.extend_from_slice(&(3_u32 << 16).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Something of every kind of message.
fn conversation() -> Vec<Vec<u8>> {
    vec![
        message(b'Q', b"SELECT id, name FROM kept ORDER BY id\0"),
        message(b'P', b"s\0SELECT $1::integer + 1, $2::text\0\0\x02\0\0\0\x17\0\0\0\x19"),
        message(b'B', b"p\0s\0\0\x02\0\x01\0\0\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x02hi\0\x01\0\x01"),
        message(b'D', b"Pp\0"),
        message(b'E', b"p\0\0\0\0\x01"),
        message(b'C', b"Pp\0"),
        message(b'H', b""),
        message(b'S', b""),
        message(b'Q', b"BEGIN; INSERT INTO scratch VALUES (1, 'x')\0"),
        message(b'Q', b"COPY scratch FROM STDIN\0"),
        message(b'd', b"2\ttwo\n"),
        message(b'c', b""),
        message(b'Q', b"ROLLBACK\0"),
        message(b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
        message(b'X', b""),
    ]
}

/// A conversation of one case: what is wrong with it depends on its number.
fn case(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    match random.below(4) {
        // Not even a start-up packet.
        0 => {
            let length = random.below(RANDOM_MAX);
            return random.bytes(length);
        }
        // A session, then anything.
        1 => {
            bytes.extend(start_up());
            let length = random.below(RANDOM_MAX);
            bytes.extend(random.bytes(length));
        }
        // Whole messages in any order, with bodies of anything.
        2 => {
            bytes.extend(start_up());
            for _ in 0..random.below(12) {
                let kinds = b"QPBDECHSdcfFpX\0!";
                let kind = kinds[random.below(kinds.len() as u64) as usize];
                let length = random.below(40);
                bytes.extend(message(kind, &random.bytes(length)));
            }
        }
        // A good conversation with a few changed bytes, and a part of it missing or twice.
        _ => {
            bytes.extend(start_up());
            let messages = conversation();
            for part in &messages {
                match random.below(12) {
                    0 => {}
                    1 => bytes.extend(part.iter().chain(part)),
                    _ => bytes.extend(part),
                }
            }
            for _ in 0..random.below(9) {
                let at = random.below(bytes.len() as u64) as usize;
                match random.below(3) {
                    0 => bytes[at] ^= 1 << random.below(8),
                    1 => bytes[at] = random.below(256) as u8,
                    _ => drop(bytes.remove(at)),
                }
            }
        }
    }
    bytes
}

/// Says it all, then that there is no more; the node has to end the connection.
fn say(server: &TestServer, bytes: &[u8], number: u64) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // It may have hung up before the end.
    let said = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => {
            let hung_up = matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
            assert!(hung_up, "case {number} ({said:?}): {error}: {bytes:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_sent_harms_the_node() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        hook(panic);
    }));
    let server = TestServer::start().await;
    let client = server.client().await;
    client
        .batch_execute(
            "CREATE TABLE kept (id integer PRIMARY KEY, name text);
             INSERT INTO kept SELECT i, 'row ' || i FROM generate_series(1, 100) i;
             CREATE TABLE scratch (id integer, name text)",
        )
        .await
        .unwrap();
    let before = PANICS.load(Ordering::SeqCst);
    for number in 1..=CASES {
        let bytes = case(&mut Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
        tokio::task::block_in_place(|| say(&server, &bytes, number));
        if number % LOOK == 0 {
            let row = client.query_one("SELECT count(*), sum(id), max(name) FROM kept", &[]).await.unwrap();
            let seen: (i64, i64, String) = (row.get(0), row.get(1), row.get(2));
            assert_eq!(seen, (100, 5_050, "row 99".to_owned()), "after case {number}");
        }
    }
    assert_eq!(PANICS.load(Ordering::SeqCst), before, "a thread of the node panicked");
    // Nobody is left behind: what the cases opened is closed, and none of their transactions holds the table.
    client.batch_execute("SET lock_timeout = '10s'; DROP TABLE scratch").await.unwrap();
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'test'";
    assert_eq!(client.query_one(sessions, &[]).await.unwrap().get::<_, i64>(0), 1);
}
