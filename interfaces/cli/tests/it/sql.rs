//! `tuplix sql`

use crate::harness::{Node, answer, sql, text, tuplix};

#[test]
fn answers_come_as_table_json_and_csv() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let query = "SELECT i AS id, 'row ' || i AS name FROM generate_series(1, 2) i ORDER BY i";
    assert_eq!(
        answer(data.path(), &[], query),
        " id | name\n----+-------\n  1 | row 1\n  2 | row 2\n(2 rows)\n\n".replace("name\n", "name  \n")
    );
    assert_eq!(
        answer(data.path(), &["--json"], query),
        "[\n{\"id\": 1, \"name\": \"row 1\"},\n{\"id\": 2, \"name\": \"row 2\"}\n]\n"
    );
    assert_eq!(answer(data.path(), &["--csv"], query), "id,name\n1,row 1\n2,row 2\n");
}

#[test]
fn an_error_shows_its_place_and_fails() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let output = sql(data.path(), &[], "SELECT 1;\nSELECT x FROM nowhere");
    assert_eq!(output.status.code(), Some(1));
    let expected = "ERROR:  relation \"nowhere\" does not exist\n\
                    LINE 2: SELECT x FROM nowhere\n\
                    \x20                     ^\n\
                    SQLSTATE:  42P01\n";
    assert_eq!(text(&output.stderr), expected);
}

#[test]
fn without_a_node_it_says_how_to_start_one() {
    let data = tempfile::tempdir().unwrap();
    let output = tuplix(&["sql", "--port", "1", "SELECT 1", "--data"]).arg(data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("no node answers at 127.0.0.1:1") && said.contains("tuplix up"), "{said}");
}

/// Clients read the version in three places.
#[test]
fn the_version_is_one() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let query = "SELECT current_setting('server_version'), current_setting('server_version_num'), version()";
    let said = answer(data.path(), &["--csv"], query);
    let row: Vec<&str> = said.lines().nth(1).unwrap().split(',').collect();
    let (major, minor) = row[0].split_once('.').unwrap();
    assert_eq!(row[1], format!("{major}{:04}", minor.parse::<u32>().unwrap()));
    assert!(row[2].starts_with(&format!("PostgreSQL {} (Tuplix ", row[0])), "{said}");
}
