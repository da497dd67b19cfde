//! Who is let in: passwords, host rules, the local socket, TLS, limits; and what is remembered of the others.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use tokio_postgres::{Client, Config, NoTls};
use tuplix::Value;
use tuplix_wire::{Tls, TlsFiles};

use crate::harness::{TestServer, sqlstate};
use crate::sessions::ENDLESS;

/// Lets somebody in.
async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// SQLSTATE and message of a refusal.
async fn refusal(config: &Config) -> (String, String) {
    let Err(error) = connect(config).await else { panic!("nobody refused") };
    let said = error.as_db_error().expect("what the server said");
    (said.code().code().to_owned(), said.message().to_owned())
}

fn with_password(server: &TestServer, user: &str, password: &str) -> Config {
    let mut config = server.config_of(user);
    config.password(password);
    config
}

async fn current_user(client: &Client) -> String {
    client.query_one("SELECT current_user::text", &[]).await.unwrap().get(0)
}

/// psql, which takes the password from its environment.
fn psql(connection: &str, password: &str, sql: &str) -> Output {
    let mut command = Command::new("psql");
    command
        .args(["-X", "-At", "-d", connection, "-c", sql])
        .env("PGPASSWORD", password)
        .env("LC_ALL", "C.UTF-8");
    command.env_remove("PGHOST").stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn complained(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_lets_its_role_in_and_nobody_else() {
    let server = TestServer::start().await;
    server.execute(
        "CREATE ROLE bob LOGIN PASSWORD 'it''s \u{e9}'; CREATE ROLE blank LOGIN;
                    CREATE ROLE old LOGIN PASSWORD 'good' VALID UNTIL '2001-01-01';
                    CREATE ROLE later LOGIN PASSWORD 'good' VALID UNTIL 'infinity';
                    CREATE ROLE crowd PASSWORD 'good'",
    );
    let client = connect(&with_password(&server, "bob", "it's \u{e9}")).await.unwrap();
    assert_eq!(current_user(&client).await, "bob");
    assert!(connect(&with_password(&server, "later", "good")).await.is_ok());
    // A role that is not there, has no password or an old one: the words are the same.
    for (user, password) in
        [("bob", "it's e"), ("nobody", "x"), ("blank", ""), ("blank", "x"), ("old", "good"), ("tuplix", "x")]
    {
        let message = format!("password authentication failed for user \"{user}\"");
        assert_eq!(refusal(&with_password(&server, user, password)).await, ("28P01".to_owned(), message));
    }
    // It was the right one, so it may be told.
    let (state, message) = refusal(&with_password(&server, "crowd", "good")).await;
    assert_eq!((state.as_str(), message.as_str()), ("28000", "role \"crowd\" is not permitted to log in"));
    // A change counts from the next connection on, also one that was given as a verifier.
    server.execute("ALTER ROLE blank PASSWORD 'SCRAM-SHA-256$4096:INK2FzIfYNroRi1BIvyy0w==$rvy+18+uiEjlK6JQmRZusUGCkeH3Ee1ubz1eGuAsa6Y=:Fsil9llLaebLQYHENnHvLRbKvtlJceY4QWzzE8YsotU='");
    assert!(connect(&with_password(&server, "blank", "pencil")).await.is_ok());
    server.execute("ALTER ROLE blank PASSWORD NULL");
    assert_eq!(refusal(&with_password(&server, "blank", "pencil")).await.0, "28P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_remembered() {
    let server = TestServer::start().await;
    server.execute("CREATE ROLE bob LOGIN PASSWORD 'b'");
    assert_eq!(refusal(&with_password(&server, "bob", "wrong")).await.0, "28P01");
    assert_eq!(refusal(&with_password(&server, "mallory", "wrong")).await.0, "28P01");
    let mut session = server.node.session(&Default::default()).unwrap();
    let sql = "SELECT action || ' ' || user_name || ' ' || address || ' ' || sqlstate FROM tuplix.refusals ORDER BY refusal";
    let rows = session.query(sql, &[]).unwrap();
    let all: Vec<&str> = (0..2).filter_map(|row| rows.get(row, 0).and_then(Value::as_str)).collect();
    assert_eq!(all, ["login bob 127.0.0.1 28P01", "login mallory 127.0.0.1 28P01"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn host_rules_are_read_at_each_connection() {
    let server = TestServer::start().await;
    server.execute(
        "CREATE ROLE bob LOGIN; CREATE ROLE staff ROLE bob;
                    SELECT set_host_rule(10, 'host', 'all', '+staff', '127.0.0.0/8', 'trust')",
    );
    let bob = server.config_of("bob");
    assert!(connect(&bob).await.is_ok());
    assert_eq!(refusal(&with_password(&server, "nobody", "x")).await.0, "28P01");
    server.execute("SELECT set_host_rule(5, 'host', 'all', 'bob', 'all', 'reject')");
    let rejected = "a host rule rejects connection for host \"127.0.0.1\", user \"bob\", database \"test\", no encryption";
    assert_eq!(refusal(&bob).await, ("28000".to_owned(), rejected.to_owned()));
    server.execute("BEGIN; SELECT drop_host_rule(5); ROLLBACK");
    assert_eq!(refusal(&bob).await.0, "28000");
    server.execute(
        "SELECT drop_host_rule(5); SELECT set_host_rule(6, 'hostssl', 'all', 'bob', 'all', 'reject')",
    );
    assert!(connect(&bob).await.is_ok());
    server.execute("SELECT drop_host_rule(10); SELECT drop_host_rule(200)");
    let none = "no host rule for host \"127.0.0.1\", user \"bob\", database \"test\", no encryption";
    assert_eq!(refusal(&bob).await, ("28000".to_owned(), none.to_owned()));
    // As PostgreSQL shows them.
    let ada = server.client().await;
    let rules = "SELECT string_agg(format('%s %s %s %s %s %s', type, database, user_name, address, netmask, auth_method), '; ' ORDER BY line_number)
                   FROM pg_hba_file_rules";
    let row = ada.query_one(rules, &[]).await.unwrap();
    assert_eq!(
        row.get::<_, String>(0),
        "host {all} {ada,postgres} 127.0.0.1 255.255.255.255 trust; hostssl {all} {bob} all  reject; local {all} {all}   peer; \
         host {all} {all} ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff scram-sha-256"
    );
    for (call, state) in [
        ("set_host_rule(1, 'pipe', 'all', 'all', NULL, 'trust')", "22023"),
        ("set_host_rule(1, 'host', 'all', 'all', '10.0.0.1/8', 'trust')", "22023"),
        ("set_host_rule(1, 'host', 'all', 'all', 'all', 'peer')", "22023"),
        ("set_host_rule(1, 'host', 'all', 'all', 'all', 'md5')", "22023"),
        ("set_host_rule(1, 'local', 'all', 'all', 'all', 'peer')", "22023"),
        ("set_host_rule(1, 'local', '', 'all', NULL, 'peer')", "22023"),
        ("set_host_rule(NULL, 'local', 'all', 'all', NULL, 'peer')", "22004"),
        ("drop_host_rule(77)", "42704"),
    ] {
        let error = ada.batch_execute(&format!("SELECT {call}")).await.unwrap_err();
        assert_eq!(sqlstate(&error), state, "{call}");
    }
    ada.batch_execute("SET ROLE bob").await.unwrap();
    for sql in [
        "SELECT drop_host_rule(1)",
        "SELECT type FROM pg_hba_file_rules",
        "SELECT action FROM tuplix.refusals",
    ] {
        assert_eq!(sqlstate(&ada.batch_execute(sql).await.unwrap_err()), "42501");
    }
}

/// Who runs the node may be anybody over its socket; rules can make even that a password's business.
#[tokio::test(flavor = "multi_thread")]
async fn the_local_socket_knows_its_peer() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::with(|options| options.socket_directory = Some(folder.path().to_owned())).await;
    server.execute("CREATE ROLE bob LOGIN PASSWORD 'b'; CREATE ROLE crowd");
    let local = |user: &str| {
        let mut config = Config::new();
        config.host_path(folder.path()).port(server.address.port()).user(user).dbname("test");
        config
    };
    assert_eq!(current_user(&connect(&local("tuplix")).await.unwrap()).await, "tuplix");
    assert!(connect(&local("bob")).await.is_ok());
    assert_eq!(refusal(&local("crowd")).await.0, "28000");
    let (state, message) = refusal(&local("nobody")).await;
    assert_eq!((state.as_str(), message.as_str()), ("28000", "role \"nobody\" does not exist"));
    server.execute("SELECT set_host_rule(100, 'local', 'all', 'all', NULL, 'scram-sha-256')");
    assert_eq!(refusal(local("bob").password("x")).await.0, "28P01");
    assert!(connect(local("bob").password("b")).await.is_ok());
}

/// Rules that keep everybody out, and a superuser that may not log in.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_out_is_undone_by_a_rescue() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::with(|options| {
        options.socket_directory = Some(folder.path().to_owned());
        options.rescue = true;
    })
    .await;
    server.execute("SELECT drop_host_rule(line_number) FROM pg_hba_file_rules; ALTER ROLE tuplix NOLOGIN");
    let mut local = Config::new();
    local.host_path(folder.path()).port(server.address.port()).user("tuplix").dbname("test");
    let client = connect(&local).await.unwrap();
    let again = "SELECT set_host_rule(100, 'local', 'all', 'all', NULL, 'peer'); ALTER ROLE tuplix LOGIN";
    client.batch_execute(again).await.unwrap();
    assert_eq!(refusal(&server.config_of("ada")).await.0, "28000");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_limited_by_role_and_some_are_kept_for_superusers() {
    let server = TestServer::with(|options| {
        options.connections_max = 4;
        options.connections_reserved = 2;
    })
    .await;
    server.execute(
        "CREATE ROLE bob LOGIN CONNECTION LIMIT 1; CREATE ROLE eve LOGIN;
                    SELECT set_host_rule(2, 'host', 'all', 'all', 'all', 'trust')",
    );
    let bob = connect(&server.config_of("bob")).await.unwrap();
    let (state, message) = refusal(&server.config_of("bob")).await;
    assert_eq!((state.as_str(), message.as_str()), ("53300", "too many connections for role \"bob\""));
    let _eve = connect(&server.config_of("eve")).await.unwrap();
    let (state, message) = refusal(&server.config_of("eve")).await;
    assert!(state == "53300" && message.starts_with("remaining connection slots are reserved"), "{message}");
    let (_ada, _postgres) = (server.client().await, server.client().await);
    assert_eq!(
        refusal(&server.config()).await,
        ("53300".to_owned(), "sorry, too many clients already".to_owned())
    );
    drop(bob);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_begin_with_the_settings_of_their_role() {
    let server = TestServer::start().await;
    server.execute("CREATE ROLE bob LOGIN PASSWORD 'b'; ALTER ROLE ALL SET work_mem = '1MB'; ALTER ROLE ALL SET statement_timeout = '9s';
                    ALTER ROLE bob SET statement_timeout = '100ms'; ALTER ROLE bob SET application_name = 'of bob'");
    let config = with_password(&server, "bob", "b");
    let client = connect(&config).await.unwrap();
    let shown = "SELECT concat_ws(' ', current_setting('work_mem'), current_setting('statement_timeout'), current_setting('is_superuser'))";
    assert_eq!(client.query_one(shown, &[]).await.unwrap().get::<_, String>(0), "1MB 100ms off");
    server.execute(ENDLESS);
    let error = client.batch_execute("SELECT endless()").await.unwrap_err();
    assert_eq!(sqlstate(&error), "57014");
    client.batch_execute("SET statement_timeout = 0; RESET statement_timeout").await.unwrap();
    assert_eq!(client.query_one(shown, &[]).await.unwrap().get::<_, String>(0), "1MB 100ms off");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_sessions_are_ended_when_they_want_to_be() {
    let server = TestServer::start().await;
    for (settings, state) in [
        ("SET idle_session_timeout = 50", "57P05"),
        ("SET idle_in_transaction_session_timeout = 50; BEGIN", "25P03"),
    ] {
        let (client, mut connection) = server.config().connect(NoTls).await.unwrap();
        let task = tokio::spawn(async move {
            loop {
                match std::future::poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return error.code().map(|code| code.code().to_owned()),
                    None => return None,
                }
            }
        });
        client.batch_execute(settings).await.unwrap();
        assert_eq!(task.await.unwrap().as_deref(), Some(state));
        drop(client);
    }
}

/// A server with a certificate of its own making.
async fn encrypted(folder: &Path) -> TestServer {
    let tls = Arc::new(Tls::new(TlsFiles::of_directory(folder).unwrap()).unwrap());
    let server = TestServer::with(|options| options.tls = Some(tls)).await;
    server.execute("CREATE ROLE bob LOGIN PASSWORD 'b'");
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_encrypts_and_binds_the_channel() {
    let folder = tempfile::tempdir().unwrap();
    let server = encrypted(folder.path()).await;
    let at = format!("host=localhost hostaddr=127.0.0.1 port={} user=bob dbname=test", server.address.port());
    let connection = |rest: &str| format!("{at} {rest}");
    let one = "SELECT current_user";
    for rest in
        ["sslmode=require", "sslmode=require channel_binding=require", "sslmode=disable", "sslmode=prefer"]
    {
        assert_eq!(said(&psql(&connection(rest), "b", one)), "bob", "{rest}");
        let complaint = complained(&psql(&connection(rest), "c", one));
        assert!(complaint.contains("password authentication failed for user \"bob\""), "{complaint}");
    }
    // The certificate is checked by those who have it.
    let certificate = folder.path().join("server.crt");
    let full = format!("sslmode=verify-full sslrootcert={}", certificate.display());
    assert_eq!(said(&psql(&connection(&full), "b", one)), "bob");
    server.execute("SELECT set_host_rule(3, 'hostnossl', 'all', 'bob', 'all', 'reject')");
    assert!(complained(&psql(&connection("sslmode=disable"), "b", one)).contains("no encryption"));
    assert_eq!(said(&psql(&connection("sslmode=require"), "b", one)), "bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_says_so() {
    let server = TestServer::start().await;
    let at = format!("host=127.0.0.1 port={} user=ada dbname=test sslmode=require", server.address.port());
    assert!(complained(&psql(&at, "", "SELECT 1")).contains("does not support SSL"));
}
