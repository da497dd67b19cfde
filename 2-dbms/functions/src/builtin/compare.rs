//! Comparison functions of every type: `int4eq`, `text_lt`, `numeric_cmp`, `date_larger`, ...

use std::cmp::Ordering;

use tuplix_types::compare::{compare, compare_float, compare_typed};
use tuplix_types::{Result, TypeId, Value};

use super::Scalars;
use super::args::{array, float};
use crate::registry::ScalarFn;

/// The order of two values of one type (integers and floats also of different widths).
fn plain(a: &[Value]) -> Result<Ordering> {
    Ok(compare(&a[0], &a[1]))
}

fn floats(a: &[Value]) -> Result<Ordering> {
    Ok(compare_float(float(a, 0)?, float(a, 1)?))
}

fn bpchar(a: &[Value]) -> Result<Ordering> {
    Ok(compare_typed(TypeId::BPCHAR, &a[0], &a[1]))
}

/// The shorter one comes first.
fn vectors(a: &[Value]) -> Result<Ordering> {
    let by_length = array(a, 0)?.elements.len().cmp(&array(a, 1)?.elements.len());
    Ok(by_length.then_with(|| compare(&a[0], &a[1])))
}

macro_rules! six {
    ($prefix:literal, $order:ident) => {
        [
            (concat!($prefix, "eq"), (|_, a| Ok(Value::Bool($order(a)?.is_eq()))) as ScalarFn),
            (concat!($prefix, "ne"), |_, a| Ok(Value::Bool($order(a)?.is_ne()))),
            (concat!($prefix, "lt"), |_, a| Ok(Value::Bool($order(a)?.is_lt()))),
            (concat!($prefix, "le"), |_, a| Ok(Value::Bool($order(a)?.is_le()))),
            (concat!($prefix, "gt"), |_, a| Ok(Value::Bool($order(a)?.is_gt()))),
            (concat!($prefix, "ge"), |_, a| Ok(Value::Bool($order(a)?.is_ge()))),
            (concat!($prefix, "cmp"), |_, a| Ok(Value::Int4($order(a)? as i32))),
            (concat!("bt", $prefix, "cmp"), |_, a| Ok(Value::Int4($order(a)? as i32))),
            (concat!($prefix, "larger"), |_, a| Ok(a[usize::from(!$order(a)?.is_gt())].clone())),
            (concat!($prefix, "smaller"), |_, a| Ok(a[usize::from(!$order(a)?.is_lt())].clone())),
        ]
    };
}

const FAMILIES: [[(&str, ScalarFn); 10]; 34] = [
    six!("bool", plain),
    six!("char", plain),
    six!("name", plain),
    six!("text", plain),
    six!("text_", plain),
    six!("text_pattern_", plain),
    six!("bpchar_pattern_", bpchar),
    six!("bpchar_", bpchar),
    six!("bpchar", bpchar),
    six!("bytea", plain),
    six!("int2", plain),
    six!("int4", plain),
    six!("int8", plain),
    six!("int24", plain),
    six!("int42", plain),
    six!("int28", plain),
    six!("int82", plain),
    six!("int48", plain),
    six!("int84", plain),
    six!("oid", plain),
    six!("float4", floats),
    six!("float8", floats),
    six!("float48", floats),
    six!("float84", floats),
    six!("numeric_", plain),
    six!("date_", plain),
    six!("time_", plain),
    six!("timestamp_", plain),
    six!("interval_", plain),
    six!("uuid_", plain),
    six!("jsonb_", plain),
    six!("array_", plain),
    six!("oidvector", vectors),
    six!("xid", plain),
];

const RECORDS: [[(&str, ScalarFn); 10]; 3] =
    [six!("record_", plain), six!("nameeqtext_", plain), six!("btrecord", plain)];

const SINGLES: [(&str, ScalarFn); 15] = [
    ("nameeqtext", |_, a| Ok(Value::Bool(plain(a)?.is_eq()))),
    ("namenetext", |_, a| Ok(Value::Bool(plain(a)?.is_ne()))),
    ("namelttext", |_, a| Ok(Value::Bool(plain(a)?.is_lt()))),
    ("nameletext", |_, a| Ok(Value::Bool(plain(a)?.is_le()))),
    ("namegttext", |_, a| Ok(Value::Bool(plain(a)?.is_gt()))),
    ("namegetext", |_, a| Ok(Value::Bool(plain(a)?.is_ge()))),
    ("texteqname", |_, a| Ok(Value::Bool(plain(a)?.is_eq()))),
    ("textnename", |_, a| Ok(Value::Bool(plain(a)?.is_ne()))),
    ("textltname", |_, a| Ok(Value::Bool(plain(a)?.is_lt()))),
    ("textlename", |_, a| Ok(Value::Bool(plain(a)?.is_le()))),
    ("textgtname", |_, a| Ok(Value::Bool(plain(a)?.is_gt()))),
    ("textgename", |_, a| Ok(Value::Bool(plain(a)?.is_ge()))),
    ("xidneq", |_, a| Ok(Value::Bool(plain(a)?.is_ne()))),
    ("btarraycmp", |_, a| Ok(Value::Int4(plain(a)? as i32))),
    ("btrecordcmp", |_, a| Ok(Value::Int4(plain(a)? as i32))),
];

const COUNT: usize = FAMILIES.len() * 10 + SINGLES.len() + 10;

/// All of them in one table; symbols that no function has do no harm.
const ALL: [(&str, ScalarFn); COUNT] = {
    let mut all = [SINGLES[0]; COUNT];
    let mut at = 0;
    while at < FAMILIES.len() * 10 {
        all[at] = FAMILIES[at / 10][at % 10];
        at += 1;
    }
    let mut single = 0;
    while single < SINGLES.len() {
        all[at] = SINGLES[single];
        single += 1;
        at += 1;
    }
    let mut record = 0;
    while record < 10 {
        all[at] = RECORDS[0][record];
        record += 1;
        at += 1;
    }
    all
};

pub(crate) const FUNCTIONS: Scalars = &ALL;
