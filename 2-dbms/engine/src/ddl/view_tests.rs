//! Views: what holds them up in DROP, and that they are there again after a restart.

use std::sync::Arc;

use tuplix_machine::Machine;
use tuplix_types::{SqlError, Value};

use crate::{Node, Session, SessionOptions, Shape, open_in_memory};

fn shape() -> Shape {
    Shape { partitions: 1, buckets: 8, log_segment_bytes: 1 << 20 }
}

fn session(node: &Arc<Node>) -> Session {
    Session::new(node, &SessionOptions::default()).unwrap()
}

fn error(session: &mut Session, sql: &str) -> SqlError {
    session.execute(sql).unwrap_err()
}

#[test]
fn what_reads_a_table_holds_it_up() {
    let node = open_in_memory(&Machine::linux_seeded(1), &shape()).unwrap();
    let mut session = session(&node);
    session
        .execute(
            "create table t (a int, b text); create view v as select a from t; create schema s;
             create view s.w as select * from v; create view other as select b from t",
        )
        .unwrap();
    let refused = error(&mut session, "drop table t");
    assert_eq!(refused.message(), "cannot drop table t because other objects depend on it");
    let fields = refused.fields();
    let detail = "view v depends on table t\nview s.w depends on view v\nview other depends on table t";
    assert_eq!(fields.detail.as_deref(), Some(detail));
    let hint = "Use DROP ... CASCADE to drop the dependent objects too.";
    assert_eq!(fields.hint.as_deref(), Some(hint));
    session.execute("drop view v, s.w").unwrap();
    session.execute("drop table t cascade").unwrap();
    let notices = session.take_notices();
    assert_eq!(notices[0].message(), "drop cascades to view other");
    assert_eq!(error(&mut session, "select * from other").message(), "relation \"other\" does not exist");
}

#[test]
fn views_survive() {
    let folder = std::env::temp_dir().join(format!("tuplix-views-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let machine = Machine::linux_seeded(1);
    let open = || {
        crate::open(&machine, machine.disk(folder.to_str().unwrap()), &shape(), &crate::Durability::default())
            .unwrap()
            .node
    };
    let node = open();
    let setup = "create table t (a int primary key, b text); insert into t values (1, 'x'), (20, 'y');
                 create view small as select * from t where a < 10 with check option;
                 create view above (key) as select a * 2 from small";
    session(&node).execute(setup).unwrap();
    crate::close(&node).unwrap();
    drop(node);
    let node = open();
    let mut session = session(&node);
    let rows = session.query("select key from above", &[]).unwrap();
    assert_eq!(rows.iter().collect::<Vec<_>>(), [&[Value::Int4(2)][..]]);
    session.execute("insert into small values (2, 'z')").unwrap();
    assert_eq!(error(&mut session, "insert into small values (11, 'z')").sqlstate().as_str(), "44000");
    assert_eq!(error(&mut session, "drop table t").sqlstate().as_str(), "2BP01");
    drop(session);
    crate::close(&node).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
