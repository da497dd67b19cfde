//! The rules on known cases; `tests/it` compares many more with PostgreSQL's answers.

#![allow(clippy::unwrap_used)]

use tuplix_types::TypeId;

use super::*;

fn operator(name: &str, left: TypeId, right: TypeId) -> String {
    match resolve_operator(name, Some(left), right) {
        Ok(found) => found.function.symbol.to_owned(),
        Err(error) => error.message().to_owned(),
    }
}

fn function(name: &str, args: &[TypeId]) -> String {
    match resolve_function(name, args, &[]) {
        Ok(ResolvedCall { callee: Callee::Function(f), .. }) => f.symbol.to_owned(),
        Ok(ResolvedCall { callee: Callee::Aggregate(a), .. }) => a.function.symbol.to_owned(),
        Ok(other) => format!("{:?}", other.callee),
        Err(error) => error.message().to_owned(),
    }
}

#[test]
fn operators_are_chosen_as_postgresql_does() {
    use TypeId as T;
    assert_eq!(operator("+", T::INT4, T::INT8), "int48pl");
    assert_eq!(operator("+", T::INT4, T::UNKNOWN), "int4pl");
    assert_eq!(operator("=", T::VARCHAR, T::VARCHAR), "texteq");
    assert_eq!(operator("=", T::BPCHAR, T::UNKNOWN), "bpchareq");
    assert_eq!(operator("!=", T::NUMERIC, T::INT4), "numeric_ne");
    assert_eq!(operator("+", T::INT4, T::TEXT), "operator does not exist: integer + text");
    assert_eq!(operator("+", T::UNKNOWN, T::UNKNOWN), "operator is not unique: unknown + unknown");
    assert_eq!(operator("||", T::UNKNOWN, T::UNKNOWN), "textcat");
}

#[test]
fn functions_are_chosen_as_postgresql_does() {
    use TypeId as T;
    assert_eq!(function("length", &[T::UNKNOWN]), "textlen");
    assert_eq!(function("max", &[T::VARCHAR]), "max_text");
    assert_eq!(function("sum", &[T::INT2]), "sum_int2");
    assert_eq!(
        function("nosuch", &[T::INT4, T::UNKNOWN]),
        "function nosuch(integer, unknown) does not exist"
    );
}

/// What speaks in types that are not there is not there yet, whatever it is called with; it is not unknown.
#[test]
fn functions_of_missing_types_are_not_supported() {
    use TypeId as T;
    for (name, args) in [
        ("int4range", &[T::INT4, T::INT4][..]),
        ("point", &[T::INT4, T::INT4]),
        ("to_tsvector", &[T::UNKNOWN]),
        ("jsonb_to_tsvector", &[T::JSONB, T::UNKNOWN]),
    ] {
        let error = resolve_function(name, args, &[]).unwrap_err();
        assert_eq!(error.message(), format!("function {name} is not supported"));
        assert_eq!(error.sqlstate().as_str(), "0A000");
    }
    // One of a user's own that does not fit is a mistake.
    let mine = Candidate {
        id: 7,
        args: vec![TypeId::TEXT],
        arg_names: Vec::new(),
        defaults: 0,
        variadic: false,
        result: TypeId::BOOL,
    };
    let error = resolve_function("point", &[T::INT4, T::INT4], &[mine]).unwrap_err();
    assert_eq!(error.sqlstate().as_str(), "42883");
}

/// A name is in one list only.
#[test]
fn left_out_names_have_no_function() {
    for name in include_str!("../../catalog/left_out.txt").lines() {
        assert!(crate::registry::functions_named(name).is_empty(), "{name}");
    }
}

#[test]
fn user_functions_take_part() {
    let mine = Candidate {
        id: 7,
        args: vec![TypeId::INT8, TypeId::TEXT],
        arg_names: vec!["a".into(), "b".into()],
        defaults: 1,
        variadic: false,
        result: TypeId::BOOL,
    };
    let found = resolve_function("mine", &[TypeId::INT4], std::slice::from_ref(&mine)).unwrap();
    assert!(matches!(found.callee, Callee::User(7)));
    assert_eq!((found.args, found.defaults), (vec![TypeId::INT8], vec![1]));
    let call = CallShape { args: &[TypeId::UNKNOWN, TypeId::INT8], names: &["b", "a"], variadic: false };
    let found = BUILT_IN.function("mine", call, &[mine]).unwrap();
    assert_eq!(found.positions, Some(vec![1, 0]));
}

#[test]
fn common_types() {
    use TypeId as T;
    assert_eq!(select_common_type("CASE", &[T::UNKNOWN, T::INT4, T::INT8]).unwrap(), T::INT8);
    assert_eq!(select_common_type("CASE", &[T::UNKNOWN]).unwrap(), T::TEXT);
    let error = select_common_type("UNION", &[T::INT4, T::TEXT]).unwrap_err();
    assert_eq!(error.message(), "UNION types integer and text cannot be matched");
}

/// An enum, its array, and a domain over `integer`.
struct UserTypes;

const MOOD: TypeId = TypeId(16400);
const MOODS: TypeId = TypeId(16401);
const POSITIVE: TypeId = TypeId(16402);

impl Types for UserTypes {
    fn category(&self, id: TypeId) -> char {
        match id {
            MOOD => 'E',
            MOODS => 'A',
            _ => BuiltInTypes.category(self.base(id)),
        }
    }
    fn element(&self, id: TypeId) -> Option<TypeId> {
        if id == MOODS { Some(MOOD) } else { BuiltInTypes.element(id) }
    }
    fn array_of(&self, id: TypeId) -> Option<TypeId> {
        if id == MOOD { Some(MOODS) } else { BuiltInTypes.array_of(id) }
    }
    fn base(&self, id: TypeId) -> TypeId {
        if id == POSITIVE { TypeId::INT4 } else { id }
    }
    fn is_enum(&self, id: TypeId) -> bool {
        id == MOOD
    }
}

#[test]
fn enums_domains_and_their_arrays() {
    let resolver = Resolver::new(&UserTypes);
    let equal = resolver.operator("=", Some(MOOD), TypeId::UNKNOWN).unwrap();
    assert_eq!((equal.function.symbol, &equal.args[..]), ("enum_eq", &[MOOD, MOOD][..]));
    assert!(resolver.operator("=", Some(MOOD), TypeId::TEXT).is_err());
    let sum = resolver.operator("+", Some(POSITIVE), TypeId::INT8).unwrap();
    assert_eq!(sum.function.symbol, "int48pl");
    let call = CallShape { args: &[MOOD], ..CallShape::default() };
    assert_eq!(resolver.function("array_agg", call, &[]).unwrap().result, MOODS);
    let call = CallShape { args: &[MOODS], ..CallShape::default() };
    assert_eq!(resolver.function("unnest", call, &[]).unwrap().result, MOOD);
    assert!(matches!(resolver.find_cast(TypeId::TEXT, MOOD, CastContext::Explicit), Some(CastMethod::InOut)));
    assert!(resolver.find_cast(TypeId::TEXT, MOOD, CastContext::Assignment).is_none());
    assert!(matches!(
        resolver.find_cast(MOOD, TypeId::TEXT, CastContext::Assignment),
        Some(CastMethod::InOut)
    ));
}
