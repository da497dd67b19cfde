//! PostgreSQL's own client: psql's backslash commands say of a node what they say of PostgreSQL 15 with the same schema.
//!
//! What differs, and why, is written at [`ours_as_theirs`] and in `docs/limits.md`.

use std::process::Command;

use tuplix_support::PostgresCluster;

use crate::harness::TestServer;

const SCHEMA: &str = include_str!("psql/schema.sql");
const COMPLETION: &str = include_str!("psql/completion.sql");

/// Commands that both answer alike, but for [`ours_as_theirs`].
const COMMANDS: &[&str] = &[
    r"\l test",
    r"\dn shop",
    r"\dn+ shop",
    r"\dn+ public",
    r"\duS",
    r"\dt",
    r"\dt acc*",
    r"\dt shop.*",
    r"\dt public.*",
    r"\dt nothing",
    r"\d",
    r"\d account",
    r"\d+ account",
    r"\d plain",
    r"\d+ plain",
    r"\d kinds",
    r"\d shop.item",
    r"\d shop.*",
    r"\d account_pkey",
    r"\d account_opened",
    r"\d+ account_two",
    r"\d nothing",
    r"\di",
    r"\di shop.*",
    r"\df",
    r"\df+",
    r"\df add_one",
    r"\df add_one int",
    r"\dfn",
    r"\dfp",
    r"\df shop.*",
    r"\sf add_one",
    r"\sf+ pairs",
    r"\sf do_it",
    r"\sf shop.twice",
    r"\sf nothing",
    r"\dT",
    r"\dT+ mood",
    r"\dT posi*",
    r"\dT public.p*",
    r"\dT *.*short",
    r"\dD p*",
    r"\dD+ s*",
    r"\d typed",
    r"\d+ typed",
    r"\d point2",
    r"\df of_mood",
    r"\df poly",
    r"\sf of_mood",
    r"\dT int4",
    r"\dT text",
    r"\du",
    r"\du postgres",
    r"\dg",
    r"\dv",
    r"\dv+ rich",
    r"\dv shop.*",
    r"\d rich",
    r"\d+ rich",
    r"\d+ owners",
    r"\d+ shop.both",
    r"\sv owners",
    r"\dm",
    r"\ds",
    r"\ds made.*",
    r"\d made.numbers",
    r"\d made.owner",
    r"\d made.thing",
    r"\d+ made.thing",
    r"\d made.thing_label",
    r"\d made.thing_sum",
    r"\d made.thing_id_seq",
    r"\d made.owner_id_seq",
    r"\d+ made.numbers",
    r"\dft made.*",
    r"\df made.*",
    r"\sf made.note",
    r"\dE",
    r"\dp",
    r"\z account",
    r"\ddp",
    r"\dx plpgsql",
    r"\db pg_default",
    r"\dc",
    r"\dC uuid",
    r"\dd",
    r"\dD",
    r"\det",
    r"\des",
    r"\dew",
    r"\dL",
    r"\dO",
    r"\do shop.*",
    r"\drds",
    r"\dRp",
    r"\dRs",
    r"\dX",
    r"\dy",
    r"\dA heap",
    r"\da shop.*",
    r"\dP",
    r"\dconfig server_version_num",
    r"\conninfo",
    r"\set AUTOCOMMIT",
    r"\encoding",
    r"\gdesc",
];

/// Commands whose answers have sizes in bytes, which are those of memory here.
const WITH_SIZES: &[&str] = &[r"\dt+", r"\di+", r"\d+", r"\l+ test"];

/// One of the two servers.
struct Server {
    port: u16,
}

impl Server {
    /// What psql prints for one command, errors too.
    fn psql(&self, arguments: &[&str]) -> String {
        let output = Command::new("psql")
            .args(["-X", "-h", "127.0.0.1", "-U", "postgres", "-d", "test", "-p", &self.port.to_string()])
            .args(arguments)
            .env_remove("PGOPTIONS")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("psql is installed: scripts/install-dependencies.sh");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap().replace(&format!("\"{}\"", self.port), "\"PORT\"")
    }
}

/// The differences that are meant, by name: an index that enforces a key is a hash index.
fn ours_as_theirs(text: &str) -> String {
    let hash_keys = [
        ("PRIMARY KEY, hash (", "PRIMARY KEY, btree ("),
        ("UNIQUE CONSTRAINT, hash (", "UNIQUE CONSTRAINT, btree ("),
        ("primary key, hash, for", "primary key, btree, for"),
    ];
    hash_keys.iter().fold(text.to_owned(), |text, (ours, theirs)| text.replace(ours, theirs))
}

/// An unaligned answer without its sizes, and without the access methods of keys' indexes.
fn without_sizes(text: &str) -> String {
    let is_size = |cell: &str| ["bytes", "kB", "MB"].iter().any(|unit| cell.ends_with(unit));
    let cell = |cell: &str| match cell {
        "hash" => "btree".to_owned(),
        cell if is_size(cell) => "SIZE".to_owned(),
        cell => cell.to_owned(),
    };
    let line = |line: &str| line.split('|').map(cell).collect::<Vec<_>>().join("|");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A node whose bootstrap superuser is called as PostgreSQL's.
async fn of_postgres() -> TestServer {
    let node = TestServer::start().await;
    node.execute("DROP ROLE postgres, ada");
    node.execute("SET ROLE NONE; CREATE ROLE other SUPERUSER; SET SESSION AUTHORIZATION other; ALTER ROLE tuplix RENAME TO postgres;
                  RESET SESSION AUTHORIZATION; DROP ROLE other");
    node
}

/// A node and a cluster with the same schema.
async fn both() -> (TestServer, PostgresCluster, Server, Server) {
    let node = of_postgres().await;
    let cluster = PostgresCluster::start().unwrap();
    let (ours, theirs) = (Server { port: node.address.port() }, Server { port: cluster.port() });
    let created = theirs.psql(&["-d", "postgres", "-c", "CREATE DATABASE test"]);
    assert_eq!(created, "CREATE DATABASE\n");
    for server in [&ours, &theirs] {
        let said = server.psql(&["-q", "-v", "ON_ERROR_STOP=1", "-c", SCHEMA]);
        assert_eq!(said, "", "the schema");
    }
    (node, cluster, ours, theirs)
}

#[tokio::test(flavor = "multi_thread")]
async fn backslash_commands_answer_as_postgresql_does() {
    let (_node, _cluster, ours, theirs) = both().await;
    let mut different = String::new();
    for command in COMMANDS {
        let (our, their) = (ours_as_theirs(&ours.psql(&["-c", command])), theirs.psql(&["-c", command]));
        if our != their {
            different.push_str(&format!("=== {command}\n--- PostgreSQL\n{their}--- Tuplix\n{our}"));
        }
    }
    for command in WITH_SIZES {
        let (our, their) = (ours.psql(&["-A", "-c", command]), theirs.psql(&["-A", "-c", command]));
        if without_sizes(&our) != without_sizes(&their) {
            different.push_str(&format!("=== {command}\n--- PostgreSQL\n{their}--- Tuplix\n{our}"));
        }
    }
    assert!(different.is_empty(), "{different}");
}

/// What psql asks when Tab is pressed; the texts were taken from PostgreSQL's log.
#[tokio::test(flavor = "multi_thread")]
async fn tab_completion_finds_what_it_finds_on_postgresql() {
    let (_node, _cluster, ours, theirs) = both().await;
    // The schema `tuplix` is our own; there are no TOAST tables.
    let sorted = |text: String| {
        let lines = text.lines().filter(|line| !matches!(*line, "tuplix" | "|tuplix" | "pg_toast"));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for query in COMPLETION.split(";\n").filter(|query| !query.trim().is_empty()) {
        let (our, their) = (ours.psql(&["-At", "-c", query]), theirs.psql(&["-At", "-c", query]));
        assert_eq!(sorted(our), sorted(their), "{query}");
    }
}

/// The tables of the system are listed and described too, and the node's own schema.
#[tokio::test(flavor = "multi_thread")]
async fn system_tables_describe_themselves() {
    let node = of_postgres().await;
    let server = Server { port: node.address.port() };
    let class = server.psql(&["-c", r"\d pg_class"]);
    assert!(class.contains("Table \"pg_catalog.pg_class\""), "{class}");
    assert!(class.contains(" relname             | name         |           | not null | "), "{class}");
    let tables = server.psql(&["-At", "-c", r"\dtS pg_*"]);
    assert!(tables.contains("pg_catalog|pg_attribute|table|postgres"), "{tables}");
    let own = server.psql(&["-At", "-c", r"\dv tuplix.*"]);
    assert_eq!(
        own,
        "tuplix|buckets|view|postgres\ntuplix|checkpoints|view|postgres\ntuplix|history|view|postgres\ntuplix|log|view|postgres\ntuplix|log_segments|view|postgres\ntuplix|memory|view|postgres\ntuplix|plans|view|postgres\ntuplix|refusals|view|postgres\ntuplix|tables|view|postgres\n"
    );
    let schemas = server.psql(&["-At", "-c", r"\dn"]);
    assert_eq!(schemas, "public|pg_database_owner\ntuplix|postgres\n");
}

/// `regclass` columns travel as names in text and as object ids in binary.
#[tokio::test(flavor = "multi_thread")]
async fn object_names_on_the_wire() {
    let node = of_postgres().await;
    let server = Server { port: node.address.port() };
    let names = server.psql(&[
        "-At",
        "-c",
        "SELECT 'pg_class'::regclass, 'pg_catalog'::regnamespace, 'now'::regproc, 10::regrole, 0::regclass, 77::regclass",
    ]);
    assert_eq!(names, "pg_class|pg_catalog|now|postgres|-|77\n");
    let (client, connection) = node.config_of("postgres").connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let row =
        client.query_one("SELECT 'pg_class'::regclass::oid, count(*) FROM pg_class", &[]).await.unwrap();
    assert_eq!(row.get::<_, u32>(0), 1259);
    assert!(row.get::<_, i64>(1) > 90);
}

/// Each session is a row of `pg_stat_activity` while it lives.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_rows() {
    let node = TestServer::start().await;
    let (first, second) = (node.client().await, node.client().await);
    let count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ada' AND datname = 'test'";
    assert_eq!(first.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 2);
    let own = "SELECT backend_start <= now() FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    assert!(second.query_one(own, &[]).await.unwrap().get::<_, bool>(0));
}
