//! Start-up, cancel, notices, notifications, limits, shutdown.

use std::os::unix::fs::FileTypeExt as _;

use tokio_postgres::{AsyncMessage, NoTls};

use crate::harness::{TestServer, sqlstate};

/// A function that runs until it is ended.
pub const ENDLESS: &str = "CREATE FUNCTION endless() RETURNS integer LANGUAGE plpgsql AS
    'DECLARE i bigint := 0; BEGIN LOOP i := i + 1; END LOOP; END'";

#[tokio::test(flavor = "multi_thread")]
async fn the_greeting_names_settings() {
    let server = TestServer::start().await;
    let (client, connection) = server.config().application_name("it").connect(NoTls).await.unwrap();
    assert!(connection.parameter("server_version").unwrap().starts_with("15."));
    assert_eq!(connection.parameter("client_encoding"), Some("UTF8"));
    assert_eq!(connection.parameter("standard_conforming_strings"), Some("on"));
    assert_eq!(connection.parameter("integer_datetimes"), Some("on"));
    assert_eq!(connection.parameter("application_name"), Some("it"));
    drop((client, connection));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_start_up_packet_are_applied() {
    let server = TestServer::start().await;
    let mut config = server.config();
    let (client, connection) = config.options("-c search_path=elsewhere").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let row = client.query_one("SELECT current_setting('search_path')", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "elsewhere");
    let refused = server.config().options("-c no_such_setting=1").connect(NoTls).await;
    assert_eq!(sqlstate(&refused.err().unwrap()), "42704");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_socket_is_served_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server =
        TestServer::with(|options| options.socket_directory = Some(folder.path().to_owned())).await;
    let socket = folder.path().join(format!(".s.PGSQL.{}", server.address.port()));
    assert!(std::fs::symlink_metadata(&socket).unwrap().file_type().is_socket());
    let mut config = tokio_postgres::Config::new();
    config.host_path(folder.path()).port(server.address.port()).user("ada").dbname("test");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(client.query_one("SELECT 42", &[]).await.unwrap().get::<_, i32>(0), 42);
    server.stop();
    server.stopped().await;
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_cancelled() {
    let server = TestServer::start().await;
    let client = server.client().await;
    client.batch_execute(ENDLESS).await.unwrap();
    let token = client.cancel_token();
    let running = tokio::spawn(async move {
        let error = client.query("SELECT endless()", &[]).await.unwrap_err();
        (client, sqlstate(&error).to_owned())
    });
    // A request that comes before the statement does nothing, so it is repeated until one hits.
    while !running.is_finished() {
        token.cancel_query(NoTls).await.unwrap();
        tokio::task::yield_now().await;
    }
    let (client, state) = running.await.unwrap();
    assert_eq!(state, "57014");
    // One more may have been on its way.
    let after = client.query_one("SELECT 1", &[]).await;
    assert!(after.is_ok() || sqlstate(&after.unwrap_err()) == "57014");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_refused() {
    let server = TestServer::with(|options| options.connections_max = 2).await;
    let (_first, _second) = (server.client().await, server.client().await);
    let refused = server.config().connect(NoTls).await.err().unwrap();
    assert_eq!(sqlstate(&refused), "53300");
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_arrive_before_the_result() {
    let server = TestServer::start().await;
    let (client, mut said) = server.listener().await;
    client.batch_execute("DO $$ BEGIN RAISE NOTICE 'it is %', 'so'; END $$").await.unwrap();
    match said.recv().await.unwrap() {
        AsyncMessage::Notice(notice) => {
            assert_eq!((notice.severity(), notice.message()), ("NOTICE", "it is so"));
        }
        other => panic!("not a notice: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_reaches_an_idle_listener() {
    let server = TestServer::start().await;
    let (listener, mut said) = server.listener().await;
    listener.batch_execute("LISTEN news").await.unwrap();
    let sender = server.client().await;
    sender.batch_execute("NOTIFY news, 'hello'").await.unwrap();
    match said.recv().await.unwrap() {
        AsyncMessage::Notification(news) => assert_eq!((news.channel(), news.payload()), ("news", "hello")),
        other => panic!("not a notification: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_tells_idle_clients_and_cancels_running_statements() {
    let mut server = TestServer::start().await;
    let idle = server.client().await;
    let busy = server.client().await;
    busy.batch_execute(ENDLESS).await.unwrap();
    let running = tokio::spawn(async move {
        let error = busy.query("SELECT endless()", &[]).await.unwrap_err();
        // The connection may be closed before the query gets there.
        error.code().map_or_else(|| "closed".to_owned(), |state| state.code().to_owned())
    });
    let address = server.address;
    server.stop();
    server.stopped().await;
    let state = running.await.unwrap();
    assert!(["57014", "57P01", "closed"].contains(&state.as_str()), "{state}");
    assert!(idle.simple_query("SELECT 1").await.is_err());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
