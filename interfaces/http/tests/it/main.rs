//! What docs/metrics.md lists is what a node tells: metrics, health, events of its log.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use tuplix::{Options, Tuplix};
use tuplix_http::{CONNECTIONS_MAX, Metrics, Monitor, State};
use tuplix_wire::{Server, ServerOptions};

/// The status and body of a GET.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The names and types in a text of Prometheus's format.
fn told(text: &str) -> BTreeSet<(String, String)> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let pair = |line: &str| line.split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    types.filter_map(pair).collect()
}

/// The names and types in the table of the document.
fn documented() -> BTreeSet<(String, String)> {
    let document = include_str!("../../../../docs/metrics.md").split("## The node").next().unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.to_owned()))
    };
    document.lines().filter_map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_what_the_document_says() {
    let node = Tuplix::open_with(&Options::default()).unwrap();
    tuplix_services::install(&mut node.session(&Default::default()).unwrap()).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = ServerOptions { tcp: Some(any), ..ServerOptions::default() };
    let server = Server::bind(options).await.unwrap();
    let monitor = Monitor::start(any).await.unwrap();
    let address = monitor.address();
    let ask = |path: &'static str| tokio::task::block_in_place(|| get(address, path));

    assert_eq!(ask("/readyz"), (503, "starting\n".to_owned()));
    assert_eq!(ask("/metrics"), (503, "starting\n".to_owned()));
    assert_eq!(ask("/healthz"), (200, "ok\n".to_owned()));

    monitor.ready(Metrics::new(&node, server.statistics(), Arc::default()));
    assert_eq!(ask("/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(ask("/nothing").0, 404);
    let (status, text) = ask("/metrics");
    assert_eq!(status, 200);
    assert_eq!(told(&text), documented());
    assert!(text.contains("tuplix_connections 0\n"), "{text}");

    monitor.enter(State::Stopping);
    assert_eq!(ask("/readyz"), (503, "stopping\n".to_owned()));
    node.close().unwrap();
    assert_eq!(ask("/healthz"), (200, "ok\n".to_owned()));
}

/// A log that has failed is a reason to restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_log_has_ended_is_not_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let logged = Tuplix::open(folder.path()).unwrap();
    let monitor = Monitor::start(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    monitor.ready(Metrics::new(&logged, Arc::default(), Arc::default()));
    let address = monitor.address();
    assert_eq!(tokio::task::block_in_place(|| get(address, "/healthz")).0, 200);
    logged.close().unwrap();
    let (status, why) = tokio::task::block_in_place(|| get(address, "/healthz"));
    assert_eq!(status, 503, "{why}");
    assert_eq!(tokio::task::block_in_place(|| get(address, "/readyz")).0, 503);
}

/// A client that says nothing loses its connection, and those that wait for a place get one.
#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_keep_nobody_out() {
    let monitor = Monitor::start(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = monitor.address();
    let silent: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert_eq!(tokio::task::block_in_place(|| get(address, "/healthz")).0, 200);
    drop(silent);
}

/// Every event that a program's source names is in the table, at its level, and every one of the table is in a source.
#[test]
fn the_document_lists_every_event() {
    let mut named = BTreeSet::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for folder in ["interfaces/wire/src", "interfaces/http/src", "interfaces/cli/src", "4-user/worker/src"] {
        sources(&root.join(folder), &mut |text| {
            for call in text.split("tracing::").skip(1) {
                let Some((level, rest)) = call.split_once("!(") else { continue };
                let event =
                    rest.trim_start().strip_prefix("event = \"").and_then(|rest| rest.split('"').next());
                named.insert((event.unwrap_or(rest).to_owned(), level.to_owned()));
            }
        });
    }
    let document = include_str!("../../../../docs/metrics.md").split("| event |").nth(1).unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.to_owned()))
    };
    assert_eq!(named, document.lines().filter_map(row).collect());
}

/// Shows the text of every source file in a folder.
fn sources(folder: &std::path::Path, show: &mut dyn FnMut(&str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, show);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            show(&std::fs::read_to_string(&path).unwrap());
        }
    }
}
