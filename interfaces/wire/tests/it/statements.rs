//! Statements, transactions, portals.

use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::ErrorPosition;

use crate::harness::{TestServer, sqlstate};

const ACCOUNTS: &str =
    "CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0))";

async fn count(client: &tokio_postgres::Client) -> i64 {
    client.query_one("SELECT count(*) FROM account", &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_and_results_travel_in_binary() {
    let server = TestServer::start().await;
    let client = server.client().await;
    client.batch_execute(ACCOUNTS).await.unwrap();
    let insert = client.prepare("INSERT INTO account VALUES ($1, $2)").await.unwrap();
    for id in 0..10 {
        assert_eq!(client.execute(&insert, &[&id, &(i64::from(id) * 10)]).await.unwrap(), 1);
    }
    let rows = client
        .query("SELECT id, balance, balance::text FROM account WHERE id >= $1 ORDER BY id", &[&8])
        .await
        .unwrap();
    let rows: Vec<(i32, i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(rows, [(8, 80, "80".to_owned()), (9, 90, "90".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_statements_is_one_transaction() {
    let server = TestServer::start().await;
    let client = server.client().await;
    client.batch_execute(ACCOUNTS).await.unwrap();
    client
        .batch_execute("INSERT INTO account VALUES (1, 1); INSERT INTO account VALUES (2, 2)")
        .await
        .unwrap();
    let error = client
        .batch_execute("INSERT INTO account VALUES (3, 3); INSERT INTO account VALUES (1, 1)")
        .await
        .unwrap_err();
    assert_eq!(sqlstate(&error), "23505");
    assert_eq!(count(&client).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_up_to_sync_is_answered_in_order() {
    let server = TestServer::start().await;
    let client = server.client().await;
    client.batch_execute(ACCOUNTS).await.unwrap();
    let insert = client.prepare("INSERT INTO account VALUES ($1, 7) RETURNING id").await.unwrap();
    let ids: Vec<i32> = (0..500).collect();
    let pending: Vec<_> = ids
        .iter()
        .map(|id| {
            let arguments: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [id];
            let (client, insert) = (&client, &insert);
            async move { client.query_one(insert, &arguments).await }
        })
        .collect();
    for (id, answer) in ids.iter().zip(futures::future::join_all(pending).await) {
        assert_eq!(answer.unwrap().get::<_, i32>(0), *id);
    }
    assert_eq!(count(&client).await, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_carry_sqlstate_and_position() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let error = client.simple_query("SELECT 1; SELECT é FROM nowhere").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.severity()), ("42P01", "ERROR"));
    assert_eq!(error.position(), Some(&ErrorPosition::Original(25)));

    client.batch_execute(ACCOUNTS).await.unwrap();
    let error = client.batch_execute("INSERT INTO account VALUES (1, -1)").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "23514");
    assert_eq!((error.table(), error.constraint()), (Some("account"), Some("account_balance_check")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transaction_waits_for_its_end() {
    let server = TestServer::start().await;
    let client = server.client().await;
    client.batch_execute(ACCOUNTS).await.unwrap();
    client.batch_execute("BEGIN; INSERT INTO account VALUES (1, 1)").await.unwrap();
    assert_eq!(sqlstate(&client.batch_execute("SELECT 1/0").await.unwrap_err()), "22012");
    assert_eq!(sqlstate(&client.batch_execute("SELECT 1").await.unwrap_err()), "25P02");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(count(&client).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_is_fetched_in_parts() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    client.batch_execute(ACCOUNTS).await.unwrap();
    client.batch_execute("INSERT INTO account SELECT i, i FROM generate_series(1, 10) i").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT id FROM account ORDER BY id", &[]).await.unwrap();
    let mut sizes = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 4).await.unwrap();
        sizes.push(rows.len());
        if rows.len() < 4 {
            break;
        }
    }
    assert_eq!(sizes, [4, 4, 2]);
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_text_is_answered() {
    let server = TestServer::start().await;
    let client = server.client().await;
    for text in ["", " ; -- nothing"] {
        let answer = client.simple_query(text).await.unwrap();
        assert!(matches!(answer.as_slice(), [SimpleQueryMessage::CommandComplete(0)]), "{text:?}");
    }
    assert_eq!(client.execute("", &[]).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_named() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let error = client.prepare("SELECT 1; SELECT 2").await.unwrap_err();
    assert_eq!(sqlstate(&error), "42601");
    let error = client.simple_query("SELECT $1::integer").await.unwrap_err();
    assert_eq!(sqlstate(&error), "42P02");
    let error = client.simple_query("COPY nowhere FROM STDIN").await.unwrap_err();
    assert_eq!(sqlstate(&error), "42P01");
    client.batch_execute(ACCOUNTS).await.unwrap();
    let error = client.simple_query("COPY account FROM '/etc/passwd'").await.unwrap_err();
    assert_eq!(sqlstate(&error), "0A000");
}
