//! Every type's values, there and back.

use tuplix_types::text_io::{self, IoContext};
use tuplix_types::{Rows, TypeId, Value, equal};

use crate::{query, session};

/// Type and text of values that go through the server unchanged.
const VALUES: &[(&str, &str)] = &[
    ("bool", "t"),
    ("int2", "-32768"),
    ("int4", "2147483647"),
    ("int8", "-9223372036854775808"),
    ("float4", "1.5e-10"),
    ("float8", "NaN"),
    ("float8", "-0.1"),
    ("numeric", "-12345678901234567890.000100"),
    ("numeric", "NaN"),
    ("numeric", "Infinity"),
    ("text", "grüße \"'\\"),
    ("text", ""),
    ("varchar", "x"),
    ("name", "n"),
    ("bpchar", "pad  "),
    ("bytea", "\\x00ff10"),
    ("date", "1969-07-20"),
    ("date", "infinity"),
    ("time", "23:59:59.999999"),
    ("timestamp", "2024-02-29 12:00:00.5"),
    ("timestamptz", "2024-02-29 12:00:00+00"),
    ("timestamp", "-infinity"),
    ("interval", "1 year 2 mons -3 days +04:05:06.789"),
    ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("json", "{\"a\" : 1}"),
    ("jsonb", "{\"a\": [1, null, \"x\"]}"),
    ("oid", "4294967295"),
    ("_int4", "{1,NULL,3}"),
    ("_int4", "[0:1]={1,2}"),
    ("_text", "{{a,b},{\"c d\",NULL}}"),
    ("_int8", "{}"),
    ("_numeric", "{1.50,NaN}"),
    ("_timestamptz", "{\"2024-02-29 12:00:00+00\"}"),
    ("_bytea", "{\"\\\\x01\"}"),
];

#[test]
fn values_come_back_as_they_went() {
    let mut session = session("there_and_back");
    let ctx = IoContext::default();
    for (name, text) in VALUES {
        let ty = TypeId::from_internal_name(name).unwrap();
        let value = text_io::parse_text(ty, -1, text, &ctx).unwrap();
        let prepared = session.prepare(&format!("SELECT $1, $1::{name}, $1::text"), &[ty]).unwrap();
        let mut rows = Rows::new();
        session.call(&prepared, std::slice::from_ref(&value), &mut rows).unwrap();
        assert!(equal(rows.get(0, 0).unwrap(), &value), "{name} {text}");
        assert_eq!(text_io::to_text(ty, rows.get(0, 1).unwrap(), &ctx), *text, "{name}");
        let literal = text.replace('\'', "''");
        let simple = session.execute(&format!("SELECT '{literal}'::{name}")).unwrap();
        assert_eq!(simple[0].columns[0].ty, ty);
        assert_eq!(
            text_io::to_text(ty, simple[0].get(0, 0).unwrap(), &ctx),
            *text,
            "{name} by the simple protocol"
        );
        session.call(&prepared, &[Value::Null], &mut rows).unwrap();
        assert!(rows.row(0).iter().all(Value::is_null));
    }
}

#[test]
fn types_that_users_create_travel_as_text() {
    let mut session = session("user_types");
    session.execute(
        "CREATE TYPE color AS ENUM ('red', 'green'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN small AS int CHECK (VALUE < 10);
         CREATE TABLE t (c color, p pair, s small, cs color[])",
    ).unwrap();
    let sql = "INSERT INTO t VALUES ($1, $2, $3, $4) RETURNING *";
    let arguments = [Value::text("red"), Value::text("(1,x)"), Value::Int4(3), Value::text("{green,red}")];
    let rows = query(&mut session, sql, &arguments).unwrap();
    let row = rows.row(0);
    assert_eq!((row[0].as_str(), row[1].as_str()), (Some("red"), Some("(1,x)")));
    assert_eq!((row[2].as_i64(), row[3].as_str()), (Some(3), Some("{green,red}")));
    let error =
        query(&mut session, sql, &[Value::text("blue"), Value::Null, Value::Null, Value::Null]).unwrap_err();
    assert_eq!(error.sqlstate().as_str(), "22P02");
    let row = query(&mut session, "SELECT (1, 'x')", &[]).unwrap();
    assert_eq!(row.get(0, 0).unwrap().as_str(), Some("(1,x)"));
}
