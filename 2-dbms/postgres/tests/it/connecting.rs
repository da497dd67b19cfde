//! Addresses, loss of the connection, Citus's functions.

use tuplix_postgres::Server;
use tuplix_support::{PostgresCluster, PostgresOptions};

use crate::{cluster, query, server, session};

fn refusal(url: &str) -> String {
    Server::connect(url).unwrap_err().sqlstate().as_str().to_owned()
}

#[test]
fn addresses_that_lead_nowhere() {
    assert_eq!(refusal("mailto:postgres"), "22023");
    assert_eq!(refusal("postgres://postgres@127.0.0.1:1/postgres"), "08006");
    assert_eq!(refusal("host=/nowhere user=postgres"), "08006");
    assert_eq!(refusal(&format!("{}?sslmode=require", cluster().url())), "08001");
    let url = cluster().url();
    assert_eq!(refusal(&url.replace("/postgres", "/nowhere").replace("nowhere@", "postgres@")), "3D000");
    assert_eq!(refusal(&url.replace("postgres@", "nobody@")), "28000");
}

#[test]
fn the_local_socket_works_too() {
    let mut session = Server::connect(&cluster().socket_url()).unwrap().session("", "socket").unwrap();
    let rows =
        query(&mut session, "SELECT current_setting('application_name'), pg_backend_pid()", &[]).unwrap();
    assert_eq!(rows.get(0, 0).unwrap().as_str(), Some("socket"));
    assert_eq!(rows.get(0, 1).unwrap().as_i64(), Some(i64::from(session.id())));
}

#[test]
fn an_address_without_a_user_takes_the_session_s() {
    let url = format!("postgres://127.0.0.1:{}/postgres", cluster().port());
    let server = Server::connect(&url).unwrap();
    let mut session = server.session("postgres", "").unwrap();
    assert_eq!(
        query(&mut session, "SELECT current_user::text", &[]).unwrap().get(0, 0).unwrap().as_str(),
        Some("postgres")
    );
    assert_eq!(server.session("nobody", "").unwrap_err().sqlstate().as_str(), "28000");
}

#[test]
fn passwords() {
    let options = PostgresOptions { passwords: true, ..PostgresOptions::default() };
    let cluster = PostgresCluster::start_with(&options).unwrap();
    let mut admin = Server::connect(&cluster.url()).unwrap().session("", "").unwrap();
    for (user, method) in [("scram_user", "scram-sha-256"), ("md5_user", "md5")] {
        admin
            .execute(&format!(
                "SET password_encryption = '{method}'; CREATE ROLE {user} LOGIN PASSWORD 'secret'"
            ))
            .unwrap();
    }
    for user in ["scram_user", "md5_user"] {
        let url = |login: &str| format!("postgres://{login}@127.0.0.1:{}/postgres", cluster.port());
        let mut session = Server::connect(&url(&format!("{user}:secret"))).unwrap().session("", "").unwrap();
        query(&mut session, "SELECT 1", &[]).unwrap();
        assert_eq!(refusal(&url(&format!("{user}:guess"))), "28P01");
        assert_eq!(refusal(&url(user)), "28P01");
    }
}

#[test]
fn a_lost_connection_is_08006() {
    let cluster = PostgresCluster::start().unwrap();
    let server = Server::connect(&cluster.url()).unwrap();
    let mut session = server.session("", "").unwrap();
    let prepared = session.prepare("SELECT 1", &[]).unwrap();
    drop(cluster);
    // The server's last words come first, if it had time for them.
    let first = session.call(&prepared, &[], &mut tuplix_types::Rows::new()).unwrap_err();
    assert!(["57P01", "57P02", "08006"].contains(&first.sqlstate().as_str()), "{first}");
    assert_eq!(session.execute("SELECT 1").unwrap_err().sqlstate().as_str(), "08006");
    assert_eq!(server.session("", "").unwrap_err().sqlstate().as_str(), "08006");
}

#[test]
fn a_plain_server_gets_the_functions_of_citus() {
    let mut session = session("shims");
    server().install_shims().unwrap();
    session.execute(
        "CREATE TABLE worker (p_key int, id int, PRIMARY KEY (p_key, id)); CREATE TABLE settings (name text PRIMARY KEY);
         CREATE FUNCTION f(p int, x int) RETURNS int LANGUAGE sql AS 'SELECT x';
         SELECT create_distributed_table('worker', 'p_key', colocate_with => 'none');
         SELECT create_reference_table('settings');
         SELECT create_distributed_function('f(int,int)', 'p', colocate_with => 'worker', force_delegation => true)",
    ).unwrap();
    let mut state = |sql: &str| session.execute(sql).unwrap_err().sqlstate().as_str().to_owned();
    assert_eq!(state("SELECT create_distributed_table('worker', 'none')"), "42703");
    assert_eq!(
        state("CREATE TABLE t (p_key int, id int UNIQUE); SELECT create_distributed_table('t', 'p_key')"),
        "0A000"
    );
    assert_eq!(state("SELECT create_distributed_function('f(int,int)', 'y')"), "42P13");
}

#[test]
fn every_server_gets_the_functions_of_history() {
    let mut session = session("history");
    server().install_shims().unwrap();
    session
        .execute(
            "CREATE TABLE past (id int, at timestamptz); SELECT spool_table('past');
             INSERT INTO past VALUES (1, '2026-01-01'), (2, '2026-02-01');
             SELECT forget_spooled('past', 'at', '2026-01-15'); CREATE TABLE k (id int PRIMARY KEY)",
        )
        .unwrap();
    let results = session.execute("SELECT id FROM past").unwrap();
    let rows = &results[0];
    assert_eq!(rows.iter().map(|row| row[0].as_i64()).collect::<Vec<_>>(), [Some(2)]);
    assert_eq!(session.execute("SELECT spool_table('k')").unwrap_err().sqlstate().as_str(), "0A000");
}

#[test]
fn who_may_not_make_functions_connects_all_the_same() {
    let cluster = PostgresCluster::start().unwrap();
    let admin = Server::connect(&cluster.url()).unwrap();
    let mut session = admin.session("", "").unwrap();
    session.execute("CREATE ROLE guest LOGIN; CREATE DATABASE bare").unwrap_err();
    session.execute("CREATE ROLE guest LOGIN").unwrap();
    session.execute("CREATE DATABASE bare").unwrap();
    let url = format!("postgres://guest@127.0.0.1:{}/bare", cluster.port());
    let guest = Server::connect(&url).unwrap();
    assert_eq!(guest.install_shims().unwrap_err().sqlstate().as_str(), "42501");
    query(&mut guest.session("", "").unwrap(), "SELECT 1", &[]).unwrap();
}
