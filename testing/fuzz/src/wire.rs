//! A client of the PostgreSQL protocol that says anything.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tuplix_wire::{Server, ServerOptions};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime"));
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// StartupMessage of protocol 3.0: user and database.
const STARTUP: &[u8] = b"\x00\x00\x00\x1e\x00\x03\x00\x00user\x00ada\x00database\x00d\x00\x00";

/// How long a conversation may take.
const LIMIT: Duration = Duration::from_secs(10);

/// One client of a node of its own: its first packet is well-formed when the first byte is even. What it hears before it is gone
/// has to be framed as the protocol says.
pub fn wire(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let mut said = if first % 2 == 0 { STARTUP.to_vec() } else { Vec::new() };
    said.extend_from_slice(rest);
    let heard = RUNTIME.block_on(converse(&said));
    if first % 2 == 0 {
        check_frames(&heard);
    }
}

async fn converse(said: &[u8]) -> Vec<u8> {
    let node = crate::node();
    let mut session = node.session(&Default::default()).expect("a session");
    session.execute("CREATE ROLE ada SUPERUSER LOGIN").expect("a role");
    drop(session);
    let options = ServerOptions {
        tcp: None,
        socket_directory: Some(FOLDER.path().to_owned()),
        ..ServerOptions::default()
    };
    let server = Server::bind(options).await.expect("a socket");
    let path = server.socket_path().expect("a socket").to_owned();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = node.clone();
    let served = tokio::spawn(async move { server.serve(serving, async { drop(stopped.await) }).await });
    let mut heard = Vec::new();
    let talk = async {
        let mut stream = UnixStream::connect(path).await.expect("a connection");
        let (mut from, mut to) = stream.split();
        // The node may hang up in the middle of a sentence; what it had said can be read still.
        let speak = async {
            let _ = to.write_all(said).await;
            let _ = to.shutdown().await;
        };
        let ((), _) = tokio::join!(speak, from.read_to_end(&mut heard));
    };
    tokio::time::timeout(LIMIT, talk).await.expect("the conversation ends");
    drop(stop);
    served.await.expect("the server ends");
    node.close().expect("the node ends");
    heard
}

/// A type byte, a length, so many bytes, until the end.
fn check_frames(heard: &[u8]) {
    let mut rest = heard;
    while let [kind, a, b, c, d, ..] = *rest {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        assert!(
            kind.is_ascii_alphanumeric() && length >= 4 && rest.len() > length,
            "{kind} {length} in {heard:?}"
        );
        rest = &rest[length + 1..];
    }
    assert!(rest.is_empty(), "{rest:?} at the end of {heard:?}");
}
