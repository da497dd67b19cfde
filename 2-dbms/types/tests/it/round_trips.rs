//! What must hold for every value: encodings read back, keys are ordered as values are, equal values
//! have equal hashes, and garbage is refused without a panic.

use std::cmp::Ordering;
use std::sync::Arc;

use proptest::prelude::*;
use tuplix_types::jsonb::Jsonb;
use tuplix_types::{
    Array, ArrayDimension, Interval, IoContext, Numeric, TypeId, Value, binary_io, compare, encode_key,
    encoding, equal, hash, parse_text, text_io,
};

fn numeric() -> impl Strategy<Value = Numeric> {
    let small =
        (any::<i64>(), 0u32..25).prop_map(|(unscaled, scale)| Numeric::small(i128::from(unscaled), scale));
    let few = (-50i128..50, 0u32..4).prop_map(|(unscaled, scale)| Numeric::small(unscaled, scale));
    let wide = (any::<i128>(), 0u32..60).prop_map(|(unscaled, scale)| Numeric::small(unscaled, scale));
    let big = "-?[1-9][0-9]{38,70}(\\.[0-9]{1,20})?".prop_map(|text| Numeric::parse(&text).unwrap());
    let special = prop_oneof![Just(Numeric::NAN), Just(Numeric::INFINITY), Just(Numeric::NEGATIVE_INFINITY)];
    prop_oneof![4 => small, 4 => few, 2 => wide, 2 => big, 1 => special]
}

fn finite_numeric() -> impl Strategy<Value = Numeric> {
    numeric().prop_filter("finite", Numeric::is_finite)
}

fn json() -> impl Strategy<Value = Jsonb> {
    let leaf = prop_oneof![
        Just(Jsonb::Null),
        any::<bool>().prop_map(Jsonb::Bool),
        finite_numeric().prop_map(Jsonb::Number),
        "[a-c\"\\\\\n]{0,3}".prop_map(|text| Jsonb::String(text.into())),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Jsonb::Array),
            prop::collection::vec(("[a-c]{0,2}", inner), 0..4).prop_map(|members| {
                Jsonb::object(members.into_iter().map(|(key, item)| (key.into(), item)).collect())
            }),
        ]
    })
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), Just(0.0), Just(-0.0), Just(f64::NAN), Just(f64::INFINITY), -3.0..3.0f64]
}

/// A type and a way to make values of it.
fn scalar_type() -> impl Strategy<Value = TypeId> {
    prop::sample::select(vec![
        TypeId::BOOL,
        TypeId::INT2,
        TypeId::INT4,
        TypeId::INT8,
        TypeId::FLOAT4,
        TypeId::FLOAT8,
        TypeId::OID,
        TypeId::DATE,
        TypeId::TIME,
        TypeId::TIMESTAMP,
        TypeId::TIMESTAMPTZ,
        TypeId::INTERVAL,
        TypeId::NUMERIC,
        TypeId::TEXT,
        TypeId::BYTEA,
        TypeId::UUID,
        TypeId::JSONB,
    ])
}

fn scalar(ty: TypeId) -> BoxedStrategy<Value> {
    let micros = -211_813_488_000_000_000i64..9_223_371_331_200_000_000;
    match ty {
        TypeId::BOOL => any::<bool>().prop_map(Value::Bool).boxed(),
        TypeId::INT2 => any::<i16>().prop_map(Value::Int2).boxed(),
        TypeId::INT4 => prop_oneof![any::<i32>(), -5..5].prop_map(Value::Int4).boxed(),
        TypeId::INT8 => prop_oneof![any::<i64>(), -5i64..5].prop_map(Value::Int8).boxed(),
        TypeId::FLOAT4 => double().prop_map(|v| Value::Float4(v as f32)).boxed(),
        TypeId::FLOAT8 => double().prop_map(Value::Float8).boxed(),
        TypeId::OID => any::<u32>().prop_map(Value::Oid).boxed(),
        TypeId::DATE => prop_oneof![-2_451_545..2_145_031_948i32, Just(i32::MIN), Just(i32::MAX)]
            .prop_map(Value::Date)
            .boxed(),
        TypeId::TIME => (0..=86_400_000_000i64).prop_map(Value::Time).boxed(),
        TypeId::TIMESTAMP => {
            prop_oneof![micros, Just(i64::MIN), Just(i64::MAX)].prop_map(Value::Timestamp).boxed()
        }
        TypeId::TIMESTAMPTZ => micros.prop_map(Value::Timestamptz).boxed(),
        TypeId::INTERVAL => (-1000..1000i32, -1000..1000i32, -1_000_000_000_000..1_000_000_000_000i64)
            .prop_map(|(months, days, microseconds)| {
                Value::Interval(Arc::new(Interval { months, days, microseconds }))
            })
            .boxed(),
        TypeId::NUMERIC => numeric().prop_map(|v| Value::Numeric(Arc::new(v))).boxed(),
        TypeId::TEXT => prop_oneof!["[ab]{0,3}", "\\PC{0,40}"].prop_map(Value::text).boxed(),
        TypeId::BYTEA => {
            prop_oneof![prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(0..3u8, 0..4)]
                .prop_map(Value::bytea)
                .boxed()
        }
        TypeId::UUID => any::<[u8; 16]>().prop_map(|v| Value::Uuid(Arc::new(v))).boxed(),
        _ => json().prop_map(|v| Value::Jsonb(Arc::new(v))).boxed(),
    }
}

fn array(ty: TypeId) -> impl Strategy<Value = Value> {
    let element = prop_oneof![5 => scalar(ty), 1 => Just(Value::Null)];
    (prop::collection::vec(element, 0..5), -2..3i32).prop_map(move |(elements, lower)| {
        let mut array = Array::from_elements(ty, elements);
        if let Some(dimension) = array.dimensions.first_mut() {
            *dimension = ArrayDimension { lower, ..*dimension };
        }
        Value::Array(Arc::new(array))
    })
}

/// A type and three values of it, NULL among them.
fn typed_values() -> impl Strategy<Value = (TypeId, [Value; 3])> {
    let any_type = prop_oneof![3 => scalar_type(), 1 => scalar_type().prop_map(|ty| ty.array_of().unwrap())];
    any_type.prop_flat_map(|ty| {
        let value = match ty.element() {
            Some(element) => array(element).boxed(),
            None => scalar(ty),
        };
        let value = prop_oneof![12 => value, 1 => Just(Value::Null)].boxed();
        [value.clone(), value.clone(), value].prop_map(move |values| (ty, values))
    })
}

fn key(value: &Value, descending: bool, nulls_first: bool) -> Vec<u8> {
    let mut key = Vec::new();
    encode_key(value, descending, nulls_first, &mut key);
    key
}

/// The order that a key must have.
fn expected_order(a: &Value, b: &Value, descending: bool, nulls_first: bool) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, true) => {
            if nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (false, false) if descending => compare(b, a),
        (false, false) => compare(a, b),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_encoding_reads_back((_, values) in typed_values()) {
        let record = Value::Record(values.to_vec().into());
        let mut bytes = Vec::new();
        values.iter().chain([&record]).for_each(|value| encoding::encode(value, &mut bytes));
        let mut rest = bytes.as_slice();
        for value in values.iter().chain([&record]) {
            let back = encoding::decode(&mut rest).unwrap();
            prop_assert_eq!(&back, value);
            // Equality forgives a numeric's scale; the text does not.
            prop_assert_eq!(format!("{back:?}"), format!("{value:?}"));
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn a_cut_or_changed_encoding_never_panics((_, values) in typed_values(), cut in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = Vec::new();
        encoding::encode(&Value::Record(values.to_vec().into()), &mut bytes);
        let at = cut.index(bytes.len());
        prop_assert!(encoding::decode(&mut &bytes[..at]).is_err());
        bytes[at] = byte;
        let _ = encoding::decode(&mut bytes.as_slice());
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60), ty in scalar_type()) {
        let _ = encoding::decode(&mut bytes.as_slice());
        let _ = binary_io::receive(ty, -1, &bytes);
        let _ = binary_io::receive(ty.array_of().unwrap(), -1, &bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = parse_text(ty, -1, &text, &IoContext::default());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-+0-9a-zT:./ {},\"\\\\\\[\\]eéJ]{0,20}", ty in scalar_type()) {
        let ctx = IoContext::default();
        let _ = parse_text(ty, -1, &text, &ctx);
        let _ = parse_text(ty.array_of().unwrap(), -1, &text, &ctx);
        let _ = text_io::split_record(&text);
    }

    #[test]
    fn keys_are_ordered_as_values_are((_, [a, b, c]) in typed_values(), descending: bool, nulls_first: bool) {
        let keys = [&a, &b, &c].map(|value| key(value, descending, nulls_first));
        for (x, left) in [&a, &b, &c].into_iter().zip(&keys) {
            for (y, right) in [&a, &b, &c].into_iter().zip(&keys) {
                prop_assert_eq!(left.cmp(right), expected_order(x, y, descending, nulls_first), "{:?} {:?}", x, y);
                prop_assert!(left == right || !right.starts_with(left), "a prefix: {:?} {:?}", x, y);
            }
        }
    }

    #[test]
    fn equal_values_have_equal_hashes((_, [a, b, c]) in typed_values()) {
        for (x, y) in [(&a, &b), (&b, &c), (&a, &c), (&a, &a)] {
            prop_assert_eq!(equal(x, y), compare(x, y).is_eq());
            prop_assert_eq!(compare(x, y), compare(y, x).reverse());
            if equal(x, y) {
                prop_assert_eq!(hash(x), hash(y));
            }
        }
    }

    #[test]
    fn numerics_of_any_scale_hash_alike(unscaled: i64, scale in 0u32..20, zeros in 0u32..40) {
        let short = Numeric::small(i128::from(unscaled), scale);
        let long = Numeric::parse(&format!("{short}{}{}", if scale == 0 { "." } else { "" }, "0".repeat(zeros as usize + 1))).unwrap();
        let (a, b) = (Value::Numeric(Arc::new(short)), Value::Numeric(Arc::new(long)));
        prop_assert_eq!(&a, &b);
        prop_assert_eq!(hash(&a), hash(&b));
        prop_assert_eq!(key(&a, false, false), key(&b, false, false));
    }

    #[test]
    fn text_reads_back((ty, values) in typed_values()) {
        let ctx = IoContext::default();
        for value in values.iter().filter(|value| !value.is_null()) {
            let text = text_io::to_text(ty, value, &ctx);
            let back = parse_text(ty, -1, &text, &ctx).unwrap();
            prop_assert_eq!(&back, value, "{}", text);
            prop_assert_eq!(text_io::to_text(ty, &back, &ctx), text);
        }
    }

    #[test]
    fn the_binary_form_reads_back((ty, values) in typed_values()) {
        for value in values.iter().filter(|value| !value.is_null()) {
            let mut bytes = Vec::new();
            binary_io::send(ty, value, &mut bytes);
            let back = binary_io::receive(ty, -1, &bytes).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{value:?}"));
        }
    }
}
