//! Bytes and hashes that are on disk somewhere: they must never change by accident.

use std::sync::Arc;

use tuplix_types::{
    DecodeError, Interval, IoContext, TypeId, Value, encode_key, encoding, hash, parse_text, text_io,
};

fn value(ty: TypeId, text: &str) -> Value {
    parse_text(ty, -1, text, &IoContext::default()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    text_io::encode_hex(bytes, &mut out);
    out
}

fn samples() -> Vec<Value> {
    vec![
        Value::Null,
        Value::Bool(true),
        Value::Int4(-3),
        Value::Int8(1_000_000),
        Value::Float8(-1.5),
        Value::Date(-1),
        Value::Timestamp(1),
        Value::Interval(Arc::new(Interval { months: 1, days: -2, microseconds: 3 })),
        value(TypeId::NUMERIC, "-12.50"),
        Value::text("a\u{e9}"),
        Value::bytea([0, 255]),
        value(TypeId::JSONB, "{\"k\":[1,true]}"),
        Value::Array(Arc::new(tuplix_types::Array::from_elements(
            TypeId::INT4,
            vec![Value::Int4(1), Value::Null],
        ))),
    ]
}

/// Log encoding, index key and hash of each sample.
const EXPECTED: [(&str, &str, u64); 13] = [
    ("00", "02", 0xa0761d6478bd642f),
    ("02", "0101", 0x6dcb9b90778a877),
    ("0405", "017ffffffd", 0xa103207f87822459),
    ("0580897a", "0180000000000f4240", 0x84b23eab324c0e3e),
    ("07000000000000f8bf", "014007ffffffffffff", 0x2a6008fb6c6c5fc),
    ("0901", "017fffffff", 0x669237ca85292c72),
    ("0b0100000000000000", "018000000000000001", 0x6dcb9b90778a877),
    ("0d020306", "01800000000000000000000233438e8003", 0x506af0d66a42eeea),
    ("0e02021efb", "01027ffffffdf2ccff", 0x2d198e2e37a7ce8),
    ("100361c3a9", "0161c3a90001", 0x9be793692ae5f056),
    ("110200ff", "0100ffff0001", 0x2f6d2c017725d43b),
    ("130601016b0502030e00010102", "0106000000016b000105000000020304800000010b000401", 0x8fef45517f4cb806),
    ("141701040202040200", "0101800000010200018000000280000001", 0xbec05a64951562a5),
];

#[test]
fn encodings_keys_and_hashes_stay_as_they_are() {
    for (value, (encoding, key, word)) in samples().iter().zip(EXPECTED) {
        let (mut bytes, mut key_bytes) = (Vec::new(), Vec::new());
        encoding::encode(value, &mut bytes);
        encode_key(value, false, false, &mut key_bytes);
        assert_eq!(hex(&bytes), encoding, "{value:?}");
        assert_eq!(hex(&key_bytes), key, "{value:?}");
        assert_eq!(hash(value), word, "{value:?}");
    }
}

#[test]
fn damaged_encodings_say_what_is_wrong() {
    let refused = |bytes: &[u8]| encoding::decode(&mut &*bytes).unwrap_err();
    assert_eq!(refused(&[]), DecodeError::Truncated);
    assert_eq!(refused(&[0x10, 5, b'a']), DecodeError::Truncated);
    assert_eq!(refused(&[0x77]), DecodeError::UnknownTag(0x77));
    assert_eq!(refused(&[0x10, 1, 0xff]), DecodeError::NotUtf8);
    assert_eq!(refused(&[0x03, 0xff, 0xff, 0xff, 0x7f]), DecodeError::IntegerOutOfRange);
    assert_eq!(refused(&[&[0x05][..], &[0xff; 10]].concat()), DecodeError::IntegerOutOfRange);
    assert_eq!(refused(&[0x15, 1].repeat(100)), DecodeError::TooDeep);
    assert_eq!(refused(&[0x14, 23, 1, 4, 2, 1, 0]), DecodeError::Malformed("array"));
}
