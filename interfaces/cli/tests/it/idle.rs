//! Connections that do nothing cost nothing.

use std::net::TcpStream;
use std::time::Duration;

use crate::harness::Node;

/// Below the limit of connections, with room for those that look.
const CONNECTIONS: usize = 990;
/// How long nothing happens. A thread that wakes up for each connection once a second is seen many times over.
const WINDOW: Duration = Duration::from_secs(3);
/// What a node does by itself in the window, generously.
const WAKE_UPS_MAX: u64 = 200;
const CPU_TICKS_MAX: u64 = 5;

/// How often the threads of a process were woken up, and the clock ticks of processor time that they used.
fn used(process: u32) -> (u64, u64) {
    let mut wake_ups = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        // A thread may end meanwhile.
        let Ok(status) = std::fs::read_to_string(thread.unwrap().path().join("status")) else { continue };
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        wake_ups += line.unwrap().trim().parse::<u64>().unwrap();
    }
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // Behind the name in parentheses: state, then numbers; the 14th and 15th of the whole line are times.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (wake_ups, fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
}

/// A session that has been greeted.
fn session(port: u16) -> TcpStream {
    use std::io::{Read as _, Write as _};
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"\0\0\0\x12\0\x03\0\0user\0ada\0\0").unwrap();
    let mut greeting = Vec::new();
    let mut byte = [0; 256];
    // ReadyForQuery is the last message of the greeting: its length and the state of the transaction.
    while !greeting.ends_with(b"Z\0\0\0\x05I") {
        let length = stream.read(&mut byte).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&greeting));
        greeting.extend_from_slice(&byte[..length]);
    }
    stream
}

#[test]
fn a_thousand_idle_connections_cost_nothing() {
    // Each is a file here and one in the node, which inherits the limit.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = rustix::process::Rlimit { current: limit.maximum.or(Some(4096)), maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, wanted).unwrap();
    let data = tempfile::tempdir().unwrap();
    let node = Node::with(data.path(), &["--no-worker"]).trusts(data.path());
    let connections: Vec<TcpStream> = (0..CONNECTIONS).map(|_| session(node.port)).collect();
    let before = used(node.id());
    std::thread::sleep(WINDOW);
    let after = used(node.id());
    let (wake_ups, ticks) = (after.0 - before.0, after.1 - before.1);
    assert!(
        wake_ups <= WAKE_UPS_MAX,
        "{wake_ups} wake-ups in {WINDOW:?} with {CONNECTIONS} idle connections"
    );
    assert!(ticks <= CPU_TICKS_MAX, "{ticks} ticks of processor time in {WINDOW:?}");
    drop(connections);
}
