//! Connections that share a thread do not wait for each other.

use std::time::Duration;

use crate::harness::TestServer;

/// Longer than a loaded machine needs for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// One thread serves all connections here, and the drivers beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_waits_for_a_lock_holds_nobody_up() {
    let node = TestServer::start().await;
    let holder = node.client().await;
    holder
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0), (2, 0)")
        .await
        .unwrap();
    const ADD: &str = "UPDATE t SET v = v + 1 WHERE id = 1";
    holder.batch_execute("BEGIN").await.unwrap();
    // It goes to one row by its key, which makes it a short one.
    holder.execute(ADD, &[]).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let waiter = node.client().await;
        waiting.push(tokio::spawn(async move { waiter.execute(ADD, &[]).await.unwrap() }));
    }
    let other = node.client().await;
    for _ in 0..100 {
        let change = other.execute("UPDATE t SET v = v + 1 WHERE id = 2", &[]);
        assert_eq!(tokio::time::timeout(PATIENCE, change).await.unwrap().unwrap(), 1);
    }
    assert!(waiting.iter().all(|waiter| !waiter.is_finished()));
    tokio::time::timeout(PATIENCE, holder.batch_execute("COMMIT")).await.unwrap().unwrap();
    for waiter in waiting {
        assert_eq!(tokio::time::timeout(PATIENCE, waiter).await.unwrap().unwrap(), 1);
    }
    let row = other.query_one("SELECT v FROM t WHERE id = 1", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 4);
}

/// What is long is known by its plan or by how long it took.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_long_query_holds_nobody_up() {
    let node = TestServer::start().await;
    let (long, other) = (node.client().await, node.client().await);
    other.batch_execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await.unwrap();
    let cancel = long.cancel_token();
    let query = "SELECT count(*) FROM generate_series(1, 1000000000000)";
    let running = tokio::spawn(async move { long.query_one(query, &[]).await.unwrap_err() });
    for _ in 0..100 {
        let row = other.query_one("SELECT id FROM t WHERE id = 1", &[]);
        assert_eq!(tokio::time::timeout(PATIENCE, row).await.unwrap().unwrap().get::<_, i32>(0), 1);
    }
    while !running.is_finished() {
        cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(crate::harness::sqlstate(&running.await.unwrap()), "57014");
}
