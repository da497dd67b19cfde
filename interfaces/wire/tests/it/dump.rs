//! pg_dump: of a node it writes what it writes of PostgreSQL 15 with the same schema and rows, and both load it.

use tuplix_support::PostgresCluster;

use crate::harness::TestServer;
use crate::tools::said;

const SCHEMA: &str = concat!(include_str!("psql/schema.sql"), include_str!("dump/more.sql"));
const WRITTEN: &str = include_str!("dump/written.sql");

/// A database of a node or of a cluster.
struct Database<'a> {
    port: u16,
    name: &'a str,
}

impl Database<'_> {
    fn psql(&self, arguments: &[&str]) -> String {
        let own = ["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", self.name];
        said("psql", self.port, "postgres", &[&own, arguments].concat())
    }

    /// Runs a script up to the first error.
    fn load(&self, script: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), script).unwrap();
        self.psql(&["-f", file.path().to_str().unwrap()]);
    }

    /// What pg_dump writes, without rights, its version and its random key.
    fn dump(&self, arguments: &[&str]) -> String {
        let written = said("pg_dump", self.port, "postgres", &[arguments, &["--no-acl", self.name]].concat());
        let varies = |line: &&str| {
            ["\\restrict ", "\\unrestrict ", "-- Dumped "].iter().any(|start| line.starts_with(start))
        };
        written.lines().filter(|line| !varies(line)).map(|line| format!("{line}\n")).collect()
    }
}

/// A dump with PostgreSQL's owner of the database in place of a node's bootstrap role.
fn of_postgres(dump: &str) -> String {
    dump.replace("Type: DATABASE; Schema: -; Owner: tuplix", "Type: DATABASE; Schema: -; Owner: postgres")
        .replace("ALTER DATABASE test OWNER TO tuplix;", "ALTER DATABASE test OWNER TO postgres;")
}

/// The first lines in which two dumps differ.
fn assert_same(ours: &str, theirs: &str, what: &str) {
    let (mut left, mut right) = (ours.lines(), theirs.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (left.next(), right.next()) {
            (None, None) => return,
            (a, b) => assert_eq!(a, b, "{what}, line {number}"),
        }
    }
}

const FORMS: [&[&str]; 5] = [
    &["--schema-only"],
    &["--data-only"],
    &["--data-only", "--column-inserts"],
    &[],
    &["--clean", "--if-exists", "--create"],
];

#[tokio::test(flavor = "multi_thread")]
async fn dumps_are_postgresqls_and_load_into_both() {
    let (first, second) = (TestServer::start().await, TestServer::start().await);
    let (third, fourth) = (TestServer::start().await, TestServer::start().await);
    let cluster = PostgresCluster::start().unwrap();
    let there = |name| Database { port: cluster.port(), name };
    ["test", "loaded", "reloaded"].iter().for_each(|name| {
        there("postgres").psql(&["-c", &format!("CREATE DATABASE {name}")]);
    });
    let (ours, theirs) = (Database { port: first.address.port(), name: "test" }, there("test"));
    [&ours, &theirs].iter().for_each(|database| database.load(SCHEMA));
    for form in FORMS {
        let (our, their) = (of_postgres(&ours.dump(form)), theirs.dump(form));
        assert_same(&our, &their, &format!("pg_dump {form:?}"));
    }
    ours.load(WRITTEN);
    let whole = ours.dump(&[]);
    let here = |node: &TestServer| Database { port: node.address.port(), name: "test" };
    // Both write some conditions otherwise once they have read them as they were written.
    let again = moved(&whole, &here(&second));
    assert_same(&moved(&again, &here(&third)), &again, "a node's dump through a node");
    let loaded = moved(&whole, &there("loaded"));
    assert_same(&data_of(&loaded), &data_of(&whole), "rows that went to PostgreSQL");
    let returned = moved(&loaded, &here(&fourth));
    assert_same(&data_of(&returned), &data_of(&whole), "rows that came back");
    assert_same(&objects_of(&returned), &objects_of(&whole), "what came back");
    let reloaded = moved(&returned, &there("reloaded"));
    assert_same(&objects_of(&reloaded), &objects_of(&loaded), "there, back, there");
}

/// What a database dumps that has loaded a dump.
fn moved(dump: &str, to: &Database<'_>) -> String {
    to.load(dump);
    to.dump(&[])
}

/// The rows in a dump, and where sequences stand.
fn data_of(dump: &str) -> String {
    let is_data =
        |block: &&str| block.contains("; Type: TABLE DATA; ") || block.contains("; Type: SEQUENCE SET; ");
    dump.split("\n--\n--").filter(is_data).collect()
}

/// The objects in a dump, in order.
fn objects_of(dump: &str) -> String {
    dump.lines().filter(|line| line.starts_with("-- Name: ")).map(|line| format!("{line}\n")).collect()
}
