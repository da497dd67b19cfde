//! A statement that sleeps keeps nobody else waiting, and can be cancelled.

use std::time::Duration;

use tokio_postgres::NoTls;

use crate::harness::{TestServer, sqlstate};

/// Longer than a loaded machine needs for anything.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_holds_no_latch() {
    let node = TestServer::start().await;
    let (sleeper, other) = (node.client().await, node.client().await);
    sleeper
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0)")
        .await
        .unwrap();
    let cancel = sleeper.cancel_token();
    let sleeps = tokio::spawn(async move {
        sleeper.query("UPDATE t SET v = v + 1 RETURNING pg_sleep(3600)::text", &[]).await.unwrap_err()
    });
    for _ in 0..100 {
        let change = other.execute("UPDATE t SET v = v + 100", &[]);
        assert_eq!(tokio::time::timeout(PATIENCE, change).await.unwrap().unwrap(), 1);
    }
    let give_up = tokio::time::Instant::now() + PATIENCE;
    // A request that comes before the statement cancels nothing.
    while !sleeps.is_finished() && tokio::time::Instant::now() < give_up {
        cancel.cancel_query(NoTls).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let error = tokio::time::timeout(PATIENCE, sleeps).await.unwrap().unwrap();
    assert_eq!(sqlstate(&error), "57014");
    let row = other.query_one("SELECT v FROM t", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 10_000);
}
