//! The types, and values of them: mostly small ones that meet each other, some at the borders.

use tuplix_sim::random::Random;
use tuplix_types::TypeId;

/// The types of columns and expressions; frequent ones stand twice.
pub const TYPES: &[TypeId] = &[
    TypeId::INT4,
    TypeId::INT4,
    TypeId::INT4,
    TypeId::INT8,
    TypeId::INT2,
    TypeId::TEXT,
    TypeId::TEXT,
    TypeId::NUMERIC,
    TypeId::NUMERIC,
    TypeId::FLOAT8,
    TypeId::FLOAT4,
    TypeId::BOOL,
    TypeId::BOOL,
    TypeId::VARCHAR,
    TypeId::BPCHAR,
    TypeId::BYTEA,
    TypeId::DATE,
    TypeId::TIME,
    TypeId::TIMESTAMP,
    TypeId::TIMESTAMPTZ,
    TypeId::INTERVAL,
    TypeId::UUID,
    TypeId::JSONB,
    TypeId(1007),
    TypeId(1009),
    TypeId(1231),
];

/// Its name in SQL.
pub fn name(ty: TypeId) -> String {
    let internal = ty.internal_name().unwrap_or("text");
    match internal.strip_prefix('_') {
        Some(element) => format!("{element}[]"),
        None => internal.to_owned(),
    }
}

/// A short value.
pub fn plain(ty: TypeId) -> String {
    match ty {
        TypeId::BOOL => "t",
        TypeId::TEXT | TypeId::VARCHAR | TypeId::BPCHAR => "a",
        TypeId::BYTEA => "\\x61",
        TypeId::DATE | TypeId::TIMESTAMP | TypeId::TIMESTAMPTZ => "2020-01-02",
        TypeId::TIME => "01:02",
        TypeId::INTERVAL => "1 day",
        TypeId::UUID => "00000000-0000-0000-0000-000000000001",
        TypeId::JSONB | TypeId::JSON => "{}",
        _ if ty.element().is_some() => "{}",
        _ => "1",
    }
    .to_owned()
}

const SMALL: &[&str] = &["0", "1", "2", "3", "4", "5", "7", "10", "42", "-1", "-3", "100"];

const TEXTS: &[&str] = &[
    "a", "b", "abc", "", "A", "ab", "Ä", "😀", "a%b", "a_b", " x ", "ABC", "zebra", "1", "42", "é", "aa",
    "it's", "x,y", "a\\b", "ß", "b ", "foo bar",
];

fn extremes(ty: TypeId) -> &'static [&'static str] {
    match ty {
        TypeId::INT2 => &["32767", "-32768", "255"],
        TypeId::INT4 => &["2147483647", "-2147483648", "65536"],
        TypeId::INT8 => &["9223372036854775807", "-9223372036854775808", "4294967296"],
        TypeId::NUMERIC => &[
            "NaN",
            "Infinity",
            "-Infinity",
            "99999999999999999999999999.99",
            "-0.00000000000000000001",
            "123456789012345678901234567890",
            "1e40",
        ],
        TypeId::FLOAT8 => &["NaN", "Infinity", "-Infinity", "-0", "1e300", "1e-300", "9007199254740993"],
        TypeId::FLOAT4 => &["NaN", "Infinity", "-Infinity", "-0", "1e30", "1e-30", "16777217"],
        TypeId::DATE => &["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31"],
        // Not the last ones: PostgreSQL 15's differences of them overflow without a word.
        TypeId::TIMESTAMP | TypeId::TIMESTAMPTZ => {
            &["infinity", "-infinity", "4713-01-01 00:00:00 BC", "99999-12-31 23:59:59.999999"]
        }
        TypeId::INTERVAL => &["178000000 years", "-178000000 years", "2147483647 days", "0"],
        _ => &[],
    }
}

fn ordinary(ty: TypeId) -> &'static [&'static str] {
    match ty {
        TypeId::NUMERIC => {
            &["0", "1", "2", "1.5", "-2.25", "10", "0.001", "3.14159", "-1", "100", "12345.678", "0.5"]
        }
        TypeId::FLOAT8 | TypeId::FLOAT4 => {
            &["0", "1", "2", "1.5", "-2.25", "10", "0.125", "-1", "100", "0.5"]
        }
        TypeId::BOOL => &["t", "f"],
        TypeId::TEXT | TypeId::VARCHAR | TypeId::BPCHAR => TEXTS,
        TypeId::BYTEA => &["\\x", "\\x00", "\\xdeadbeef", "\\x61", "\\x6162", "\\xff"],
        TypeId::DATE => &["2020-01-01", "1999-12-31", "2024-02-29", "2020-03-01", "1970-01-01", "2020-01-02"],
        TypeId::TIME => &["00:00", "12:34:56.789", "23:59:59.999999", "01:02:03", "24:00"],
        TypeId::TIMESTAMP => &[
            "2020-01-01 00:00:00",
            "1999-12-31 23:59:59.999999",
            "2024-02-29 12:00:00",
            "1970-01-01 00:00:00",
            "2020-01-01 00:00:01",
        ],
        TypeId::TIMESTAMPTZ => &[
            "2020-01-01 00:00:00+00",
            "1999-12-31 23:59:59.999999+02",
            "2024-02-29 12:00:00-05",
            "1970-01-01 00:00:00+00",
        ],
        TypeId::INTERVAL => &[
            "1 day",
            "1 mon",
            "-1 day",
            "00:00:01",
            "1 year 2 mons 3 days 04:05:06.7",
            "1 mon -1 day",
            "02:30",
        ],
        TypeId::UUID => &[
            "00000000-0000-0000-0000-000000000001",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ],
        TypeId::JSONB | TypeId::JSON => &[
            "{}",
            "[]",
            "null",
            "1",
            "\"a\"",
            "{\"a\": 1, \"b\": [1, 2, {\"c\": null}]}",
            "[1, 2, 3]",
            "true",
            "{\"a\": {\"b\": \"x\"}}",
            "{\"a\": null}",
            "[\"a\", \"b\"]",
            "2.5",
        ],
        _ => SMALL,
    }
}

/// The text of a random value; `None` is NULL.
pub fn random(random: &mut Random, ty: TypeId) -> Option<String> {
    if random.chance(1, 10) { None } else { Some(random_not_null(random, ty)) }
}

/// The text of a random value that is not NULL.
pub fn random_not_null(random: &mut Random, ty: TypeId) -> String {
    if let Some(element) = ty.element() {
        return array(random, element);
    }
    let extremes = extremes(ty);
    if !extremes.is_empty() && random.chance(1, 14) {
        return random.pick(extremes).to_owned();
    }
    random.pick(ordinary(ty)).to_owned()
}

fn array(random: &mut Random, element: TypeId) -> String {
    if random.chance(1, 10) {
        let row = |random: &mut Random| format!("{{{},{}}}", item(random, element), item(random, element));
        return format!("{{{},{}}}", row(random), row(random));
    }
    let count = random.below(4);
    let items: Vec<String> = (0..count).map(|_| item(random, element)).collect();
    format!("{{{}}}", items.join(","))
}

fn item(from: &mut Random, element: TypeId) -> String {
    match random(from, element) {
        None => "NULL".to_owned(),
        Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}
