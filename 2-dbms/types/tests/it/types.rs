//! Reads the type names in the data files.

use tuplix_types::{TypeId, numeric};

fn field_mask(fields: &str) -> i32 {
    let order = [("year", 2), ("month", 1), ("day", 3), ("hour", 10), ("minute", 11), ("second", 12)];
    let place = |name: &str| order.iter().position(|(field, _)| *field == name).unwrap();
    let (first, last) = fields.split_once(" to ").unwrap_or((fields, fields));
    order[place(first)..=place(last)].iter().map(|(_, bit)| 1 << bit).sum()
}

/// The type and typmod of `numeric(5,2)[]`, `interval day to second`, `varchar`.
pub fn parse_type(text: &str) -> (TypeId, i32) {
    if let Some(element) = text.strip_suffix("[]") {
        let (ty, typmod) = parse_type(element);
        return (ty.array_of().unwrap(), typmod);
    }
    let (name, parameters) = match text.split_once('(') {
        Some((name, rest)) => {
            let numbers = rest.trim_end_matches(')').split(',').map(|n| n.parse().unwrap()).collect();
            (name, numbers)
        }
        None => (text, Vec::<i32>::new()),
    };
    if let Some(fields) = name.strip_prefix("interval ") {
        return (TypeId::INTERVAL, field_mask(fields) << 16 | 0xffff);
    }
    let ty = match name {
        "char" => TypeId::BPCHAR,
        "\"char\"" => TypeId::CHAR,
        _ => TypeId::BUILT_IN
            .iter()
            .copied()
            .find(|ty| ty.internal_name() == Some(name) || ty.display_name() == Some(name))
            .unwrap(),
    };
    let typmod = match (ty, &parameters[..]) {
        (TypeId::NUMERIC, [precision]) => numeric::make_typmod(*precision, 0).unwrap(),
        (TypeId::NUMERIC, [precision, scale]) => numeric::make_typmod(*precision, *scale).unwrap(),
        (TypeId::VARCHAR | TypeId::BPCHAR, [length]) => length + 4,
        (TypeId::BPCHAR, []) => 5,
        (TypeId::INTERVAL, [digits]) => 0x7fff << 16 | digits,
        (_, [digits]) => *digits,
        _ => -1,
    };
    (ty, typmod)
}
