//! Arithmetic on `smallint`, `integer`, `bigint` and `oid`, also between widths. Overflow is 22003.

use tuplix_types::{Result, Value};

use super::Scalars;
use super::args::{division_by_zero, int, int4, int8, oid, out_of_range};

fn narrow2(value: Option<i64>) -> Result<Value> {
    value.and_then(|v| i16::try_from(v).ok()).map(Value::Int2).ok_or_else(|| out_of_range("smallint"))
}

fn narrow4(value: Option<i64>) -> Result<Value> {
    value.and_then(|v| i32::try_from(v).ok()).map(Value::Int4).ok_or_else(|| out_of_range("integer"))
}

fn narrow8(value: Option<i64>) -> Result<Value> {
    value.map(Value::Int8).ok_or_else(|| out_of_range("bigint"))
}

fn divide(a: &[Value]) -> Result<Option<i64>> {
    match int(a, 1)? {
        0 => Err(division_by_zero()),
        divisor => Ok(int(a, 0)?.checked_div(divisor)),
    }
}

fn remainder(a: &[Value]) -> Result<Option<i64>> {
    match int(a, 1)? {
        0 => Err(division_by_zero()),
        divisor => Ok(Some(int(a, 0)?.wrapping_rem(divisor))),
    }
}

fn gcd(a: &[Value]) -> Result<Option<i64>> {
    let (mut x, mut y) = (int(a, 0)?.unsigned_abs(), int(a, 1)?.unsigned_abs());
    while y != 0 {
        (x, y) = (y, x % y);
    }
    Ok(i64::try_from(x).ok())
}

fn lcm(a: &[Value]) -> Result<Option<i64>> {
    if int(a, 0)? == 0 || int(a, 1)? == 0 {
        return Ok(Some(0));
    }
    let Some(divisor) = gcd(a)? else { return Ok(None) };
    Ok((int(a, 0)? / divisor).checked_mul(int(a, 1)?).and_then(i64::checked_abs))
}

/// PostgreSQL's `&`, `|`, `#` of one width: sign extension makes the wide answer right for the narrow type.
macro_rules! bitwise {
    ($op:tt, $narrow:ident) => {
        |_, a| $narrow(Some(int(a, 0)? $op int(a, 1)?))
    };
}

macro_rules! arithmetic {
    ($prefix:literal, $narrow:ident) => {
        [
            (concat!($prefix, "pl"), |_, a| $narrow(int(a, 0)?.checked_add(int(a, 1)?))),
            (concat!($prefix, "mi"), |_, a| $narrow(int(a, 0)?.checked_sub(int(a, 1)?))),
            (concat!($prefix, "mul"), |_, a| $narrow(int(a, 0)?.checked_mul(int(a, 1)?))),
            (concat!($prefix, "div"), |_, a| $narrow(divide(a)?)),
            (concat!($prefix, "mod"), |_, a| $narrow(remainder(a)?)),
            (concat!($prefix, "um"), |_, a| $narrow(int(a, 0)?.checked_neg())),
            (concat!($prefix, "up"), |_, a| Ok(a[0].clone())),
            (concat!($prefix, "abs"), |_, a| $narrow(int(a, 0)?.checked_abs())),
            (concat!($prefix, "inc"), |_, a| $narrow(int(a, 0)?.checked_add(1))),
            (concat!($prefix, "gcd"), |_, a| $narrow(gcd(a)?)),
            (concat!($prefix, "lcm"), |_, a| $narrow(lcm(a)?)),
            (concat!($prefix, "and"), bitwise!(&, $narrow)),
            (concat!($prefix, "or"), bitwise!(|, $narrow)),
            (concat!($prefix, "xor"), bitwise!(^, $narrow)),
            (concat!($prefix, "not"), |_, a| $narrow(Some(!int(a, 0)?))),
        ]
    };
}

type Arithmetic = [(&'static str, crate::registry::ScalarFn); 15];

const FAMILIES: [Arithmetic; 9] = [
    arithmetic!("int2", narrow2),
    arithmetic!("int4", narrow4),
    arithmetic!("int8", narrow8),
    arithmetic!("int24", narrow4),
    arithmetic!("int42", narrow4),
    arithmetic!("int28", narrow8),
    arithmetic!("int82", narrow8),
    arithmetic!("int48", narrow8),
    arithmetic!("int84", narrow8),
];

// `int48` and `int84` are casts, too; these are the symbols without an operation behind them.
const SINGLES: [(&str, crate::registry::ScalarFn); 20] = [
    ("i2toi4", |_, a| Ok(Value::Int4(int(a, 0)? as i32))),
    ("i4toi2", |_, a| narrow2(Some(int(a, 0)?))),
    ("int48", |_, a| Ok(Value::Int8(int(a, 0)?))),
    ("int28", |_, a| Ok(Value::Int8(int(a, 0)?))),
    ("int84", |_, a| narrow4(Some(int(a, 0)?))),
    ("int82", |_, a| narrow2(Some(int(a, 0)?))),
    ("oidtoi8", |_, a| Ok(Value::Int8(i64::from(oid(a, 0)?)))),
    ("i8tooid", |_, a| u32::try_from(int8(a, 0)?).map(Value::Oid).map_err(|_| out_of_range("OID"))),
    ("int2_oid", |_, a| Ok(Value::Oid(int(a, 0)? as i32 as u32))),
    ("int4_oid", |_, a| Ok(Value::Oid(int4(a, 0)? as u32))),
    ("oid_int4", |_, a| Ok(Value::Int4(oid(a, 0)? as i32))),
    // Shift counts beyond the width wrap as they do on PostgreSQL's usual machines.
    ("int2shl", |_, a| Ok(Value::Int2((int(a, 0)? as i32).wrapping_shl(int4(a, 1)? as u32) as i16))),
    ("int2shr", |_, a| Ok(Value::Int2((int(a, 0)? as i32).wrapping_shr(int4(a, 1)? as u32) as i16))),
    ("int4shl", |_, a| Ok(Value::Int4(int4(a, 0)?.wrapping_shl(int4(a, 1)? as u32)))),
    ("int4shr", |_, a| Ok(Value::Int4(int4(a, 0)?.wrapping_shr(int4(a, 1)? as u32)))),
    ("int8shl", |_, a| Ok(Value::Int8(int8(a, 0)?.wrapping_shl(int4(a, 1)? as u32)))),
    ("int8shr", |_, a| Ok(Value::Int8(int8(a, 0)?.wrapping_shr(int4(a, 1)? as u32)))),
    ("to_hex32", |_, a| Ok(Value::text(format!("{:x}", int4(a, 0)?)))),
    ("to_hex64", |_, a| Ok(Value::text(format!("{:x}", int8(a, 0)?)))),
    ("int8dec", |_, a| narrow8(int(a, 0)?.checked_sub(1))),
];

const COUNT: usize = FAMILIES.len() * 15 + SINGLES.len();

const ALL: [(&str, crate::registry::ScalarFn); COUNT] = {
    let mut all = [SINGLES[0]; COUNT];
    let mut at = 0;
    while at < FAMILIES.len() * 15 {
        all[at] = FAMILIES[at / 15][at % 15];
        at += 1;
    }
    let mut single = 0;
    while single < SINGLES.len() {
        all[at] = SINGLES[single];
        single += 1;
        at += 1;
    }
    all
};

pub(crate) const FUNCTIONS: Scalars = &ALL;
