//! kill -9 of the node under load: what was acknowledged is there afterwards.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;

use tokio_postgres::NoTls;

use crate::harness::{Node, answer};

/// Kills, at moments spread over the load.
const ROUNDS: u64 = 20;
/// Clients at a time.
const CLIENTS: i64 = 4;

/// Inserts into the table's rows of `client` from `first` on until the node dies; reports each
/// acknowledged one. Odd ids go in pairs, by transactions of two statements.
fn load(port: u16, client: i64, first: i64, acknowledged: &mpsc::Sender<(i64, i64)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(port).user("ada").dbname("load");
        let Ok((driver, connection)) = config.connect(NoTls).await else { return };
        tokio::spawn(connection);
        let Ok(insert) = driver.prepare("INSERT INTO kept VALUES ($1, $2)").await else { return };
        for id in first.. {
            let done = if id % 8 == 7 {
                let text = format!(
                    "BEGIN; INSERT INTO kept VALUES ({client}, {id}); INSERT INTO pair VALUES ({client}, {id}); COMMIT"
                );
                driver.batch_execute(&text).await
            } else {
                driver.execute(&insert, &[&client, &id]).await.map(drop)
            };
            if done.is_err() || acknowledged.send((client, id)).is_err() {
                return;
            }
        }
    });
}

/// So often that many kills meet one.
const CHECKPOINTS: &[&str] = &["--checkpoint-log-size", "20KB", "--checkpoint-rate", "4MB"];

#[test]
fn what_was_acknowledged_is_recovered() {
    let data = tempfile::tempdir().unwrap();
    let mut node = Node::with(data.path(), CHECKPOINTS).trusts(data.path());
    answer(
        data.path(),
        &[],
        "CREATE TABLE kept (client bigint, id bigint, PRIMARY KEY (client, id));
         CREATE TABLE pair (client bigint, id bigint, PRIMARY KEY (client, id));
         SELECT create_distributed_table('kept', 'client');
         SELECT create_distributed_table('pair', 'client')",
    );
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let port = node.port;
        let (send, receive) = mpsc::channel();
        let first = i64::try_from(round).unwrap() * 1_000_000;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let send = send.clone();
                thread::spawn(move || load(port, client, first, &send))
            })
            .collect();
        drop(send);
        // Another number each round, so that the kill meets another moment.
        let until = usize::try_from(round * 37 % 211 + 1).unwrap();
        acknowledged.extend(receive.iter().take(until));
        node.kill();
        acknowledged.extend(receive.iter());
        for client in clients {
            client.join().unwrap();
        }
        node = Node::with(data.path(), CHECKPOINTS);
        let rows = answer(data.path(), &["--csv"], "SELECT client, id FROM kept");
        let recovered: BTreeSet<(i64, i64)> = rows.lines().skip(1).map(pair).collect();
        let lost: Vec<_> = acknowledged.difference(&recovered).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
        let torn = "SELECT count(*) FROM kept WHERE id % 8 = 7";
        let paired = answer(data.path(), &["--csv"], "SELECT count(*) FROM pair");
        assert_eq!(answer(data.path(), &["--csv"], torn), paired, "round {round}: half a transaction");
    }
}

fn pair(line: &str) -> (i64, i64) {
    let (client, id) = line.split_once(',').unwrap();
    (client.parse().unwrap(), id.parse().unwrap())
}
