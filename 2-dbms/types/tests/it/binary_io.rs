//! Binary forms, line by line of `data/binary_io.txt`, and what is refused.

use tuplix_types::{IoContext, TypeId, binary_io, parse_text, text_io};

use crate::text_io::unescape;
use crate::types::parse_type;

#[test]
fn every_line_is_sent_and_received_as_postgresql_does() {
    let ctx = IoContext::default();
    for line in include_str!("data/binary_io.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, text, expected] = fields[..] else { panic!("bad line {line}") };
        let (ty, _) = parse_type(name);
        let value = parse_text(ty, -1, &unescape(text), &ctx).unwrap();
        let mut bytes = Vec::new();
        binary_io::send(ty, &value, &mut bytes);
        let mut hex = String::new();
        text_io::encode_hex(&bytes, &mut hex);
        assert_eq!(hex, expected, "{name} {text}");
        let back = binary_io::receive(ty, -1, &bytes).unwrap();
        assert_eq!(text_io::to_text(ty, &back, &ctx), text_io::to_text(ty, &value, &ctx), "{name} {text}");
    }
}

/// Wording and codes are PostgreSQL 15's.
#[test]
fn malformed_bytes_are_refused() {
    let check = |ty: TypeId, bytes: &[u8], expected: &str| {
        let error = binary_io::receive(ty, -1, bytes).unwrap_err();
        assert_eq!(format!("{} {}", error.sqlstate(), error.message()), expected);
    };
    check(TypeId::INT4, &[0, 0, 1], "08P01 insufficient data left in message");
    check(TypeId::INT4, &[0, 0, 0, 1, 2], "22P03 incorrect binary data format");
    check(TypeId::TEXT, &[b'a', 0xff], "22021 invalid byte sequence for encoding \"UTF8\": 0xff");
    check(TypeId::TEXT, &[b'a', 0], "22021 invalid byte sequence for encoding \"UTF8\": 0x00");
    check(TypeId::TEXT, &[0xc3, 0x28], "22021 invalid byte sequence for encoding \"UTF8\": 0xc3 0x28");
    check(TypeId::NUMERIC, &[0, 0, 0, 0, 0x12, 0, 0, 0], "22P03 invalid sign in external \"numeric\" value");
    check(
        TypeId::NUMERIC,
        &[0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10],
        "22P03 invalid digit in external \"numeric\" value",
    );
    check(TypeId::TIME, &[0xff; 8], "22008 time out of range");
    check(TypeId::JSONB, &[2, b'1'], "XX000 unsupported jsonb version number 2");
    let mut nested = vec![0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 23];
    check(
        TypeId::INT4.array_of().unwrap(),
        &nested,
        "54000 number of array dimensions (7) exceeds the maximum allowed (6)",
    );
    nested[3] = 0;
    nested[11] = 20;
    check(
        TypeId::INT4.array_of().unwrap(),
        &nested,
        "42804 binary data has array element type 20 (bigint) instead of expected 23 (integer)",
    );
}
