//! Types that users created: `pg_type`, `pg_enum`, and what other tables say of them.

use tuplix_catalog::{CheckDef, DomainDef, FieldDef, TableDef, TypeBody, TypeDef};
use tuplix_types::{Row, TypeId, UserKind, Value};

use super::deparse;
use super::relations::{self, SystemRelation};
use super::view::{MADE_OIDS, TypeFacts, View, int, oid, text, truth, type_facts};

const ARRAY_HANDLER: u32 = 6179;
const ARRAY_ANALYZE: u32 = 3816;

/// `pg_type`: PostgreSQL's, those of users, the rows of tables, and their arrays.
pub(crate) fn types(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = relations::own_rows("pg_type").to_vec();
    for ty in view.catalog().user_types() {
        rows.push(user_type(view, relation, ty));
        rows.extend(array_type(view, relation, ty.id));
    }
    for table in view.catalog().tables() {
        let id = table.row_type();
        rows.push(composite(view, relation, id, (&table.schema, &table.name)));
        rows.extend(array_type(view, relation, id));
    }
    rows
}

fn user_type(view: &View<'_>, relation: &SystemRelation, ty: &TypeDef) -> Row {
    match &ty.body {
        TypeBody::Composite(_) => composite(view, relation, ty.id, (&ty.schema, &ty.name)),
        TypeBody::Enum(_) => {
            let mut values = named(view, ty.id, (&ty.schema, &ty.name));
            values.extend([
                ("typlen", int(4)),
                ("typbyval", truth(true)),
                ("typtype", text("e")),
                ("typcategory", text("E")),
                ("typinput", oid(3506)),
                ("typoutput", oid(3507)),
                ("typreceive", oid(3532)),
                ("typsend", oid(3533)),
                ("typalign", text("i")),
                ("typstorage", text("p")),
            ]);
            relation.row(&values)
        }
        TypeBody::Domain(domain) => domain_type(view, relation, ty, domain),
    }
}

fn domain_type(view: &View<'_>, relation: &SystemRelation, ty: &TypeDef, domain: &DomainDef) -> Row {
    let (base, _) = view.catalog().base_type(domain.base, domain.typmod);
    let base_row =
        relations::own_rows("pg_type").iter().find(|row| matches!(row[0], Value::Oid(id) if id == base.0));
    let of_base =
        |name: &str, absent: Value| base_row.map_or(absent, |row| row[relation.column(name)].clone());
    let facts = type_facts(base);
    let fact =
        |pick: fn(&TypeFacts) -> &Value| facts.as_ref().map_or(Value::Null, |facts| pick(facts).clone());
    let default = default_text(view, domain).map_or(Value::Null, Value::text);
    let mut values = named(view, ty.id, (&ty.schema, &ty.name));
    values.extend([
        ("typlen", fact(|facts| &facts.length)),
        ("typbyval", fact(|facts| &facts.by_value)),
        ("typtype", text("d")),
        ("typcategory", of_base("typcategory", text(category(base)))),
        ("typinput", oid(2597)),
        ("typoutput", of_base("typoutput", oid(0))),
        ("typreceive", oid(2598)),
        ("typsend", of_base("typsend", oid(0))),
        ("typalign", fact(|facts| &facts.alignment)),
        ("typstorage", fact(|facts| &facts.storage)),
        ("typcollation", fact(|facts| &facts.collation)),
        ("typnotnull", truth(domain.not_null)),
        ("typbasetype", oid(domain.base.0)),
        ("typtypmod", int(domain.typmod)),
        ("typndims", int(i64::from(domain.base.element().is_some()))),
        ("typdefaultbin", default.clone()),
        ("typdefault", default),
    ]);
    relation.row(&values)
}

fn category(ty: TypeId) -> &'static str {
    match ty.user_kind() {
        Some(UserKind::Enum) => "E",
        Some(UserKind::Composite) => "C",
        _ => "A",
    }
}

fn composite(view: &View<'_>, relation: &SystemRelation, id: TypeId, name: (&str, &str)) -> Row {
    let mut values = named(view, id, name);
    values.extend([
        ("typlen", int(-1)),
        ("typtype", text("c")),
        ("typcategory", text("C")),
        ("typrelid", oid(id.object())),
        ("typinput", oid(2290)),
        ("typoutput", oid(2291)),
        ("typreceive", oid(2402)),
        ("typsend", oid(2403)),
        ("typalign", text("d")),
        ("typstorage", text("x")),
    ]);
    relation.row(&values)
}

fn array_type(view: &View<'_>, relation: &SystemRelation, element: TypeId) -> Option<Row> {
    let id = element.array_of()?;
    let (schema, name) = view.catalog().type_names(element)?;
    let alignment = if element.is_composite() { "d" } else { "i" };
    let mut values = named(view, id, (schema, &format!("_{name}")));
    values.retain(|(name, _)| *name != "typarray");
    values.extend([
        ("typlen", int(-1)),
        ("typtype", text("b")),
        ("typcategory", text("A")),
        ("typsubscript", oid(ARRAY_HANDLER)),
        ("typelem", oid(element.0)),
        ("typinput", oid(750)),
        ("typoutput", oid(751)),
        ("typreceive", oid(2400)),
        ("typsend", oid(2401)),
        ("typanalyze", oid(ARRAY_ANALYZE)),
        ("typalign", text(alignment)),
        ("typstorage", text("x")),
    ]);
    Some(relation.row(&values))
}

fn named(view: &View<'_>, id: TypeId, (schema, name): (&str, &str)) -> Vec<(&'static str, Value)> {
    vec![
        ("oid", oid(id.0)),
        ("typname", text(name)),
        ("typnamespace", oid(view.schema_oid(schema))),
        ("typowner", super::rights::owner(view, tuplix_catalog::CLASS_TYPE, id.0)),
        ("typisdefined", truth(true)),
        ("typdelim", text(",")),
        ("typarray", oid(id.array_of().map_or(0, |array| array.0))),
        ("typtypmod", int(-1)),
    ]
}

/// `pg_enum`
pub(crate) fn labels(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for ty in view.catalog().user_types() {
        for (number, label) in ty.labels().unwrap_or_default().iter().enumerate() {
            rows.push(relation.row(&[
                ("oid", oid(part_oid(ty, number))),
                ("enumtypid", oid(ty.id.0)),
                ("enumsortorder", Value::Float4(label.order as f32)),
                ("enumlabel", text(&label.label)),
            ]));
        }
    }
    rows
}

/// An object id for part `number` of a type.
pub(crate) fn part_oid(ty: &TypeDef, number: usize) -> u32 {
    MADE_OIDS | (ty.id.object() << 11) | (number as u32 & 0x7ff)
}

/// The composite types, which `pg_class` lists, with their columns.
pub(crate) fn composites<'a>(view: &'a View<'_>) -> impl Iterator<Item = (&'a TypeDef, &'a [FieldDef])> {
    view.catalog().user_types().filter_map(|ty| match &ty.body {
        TypeBody::Composite(fields) => Some((&**ty, &fields[..])),
        _ => None,
    })
}

/// A composite type's row in `pg_class`.
pub(crate) fn class(view: &View<'_>, relation: &SystemRelation, ty: &TypeDef, fields: &[FieldDef]) -> Row {
    relation.row(&[
        ("oid", oid(ty.id.object())),
        ("relname", text(&ty.name)),
        ("relnamespace", oid(view.schema_oid(&ty.schema))),
        ("reltype", oid(ty.id.0)),
        ("relowner", super::rights::owner(view, tuplix_catalog::CLASS_TYPE, ty.id.0)),
        ("relpersistence", text("p")),
        ("relkind", text("c")),
        ("relnatts", int(fields.len())),
        ("relispopulated", truth(true)),
        ("relreplident", text("n")),
    ])
}

/// The CHECKs of domains in `pg_constraint`.
pub(crate) fn constraints(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for (ty, domain) in domains(view) {
        for (number, check) in domain.checks.iter().enumerate() {
            rows.push(relation.row(&[
                ("oid", oid(check_oid(ty, number, check))),
                ("conname", text(&check.name)),
                ("connamespace", oid(view.schema_oid(&ty.schema))),
                ("contype", text("c")),
                ("convalidated", truth(true)),
                ("contypid", oid(ty.id.0)),
                ("confupdtype", text(" ")),
                ("confdeltype", text(" ")),
                ("confmatchtype", text(" ")),
                ("conislocal", truth(true)),
                ("conbin", Value::text(check_text(view, domain, check, false))),
            ]));
        }
    }
    rows
}

/// `CHECK ((VALUE > 0))` of a domain's constraint.
pub(crate) fn constraint_definition(view: &View<'_>, wanted: u32, pretty: bool) -> Option<String> {
    let found = domains(view).find_map(|(ty, domain)| {
        let mut checks = domain.checks.iter().enumerate();
        checks
            .find(|(number, check)| check_oid(ty, *number, check) == wanted)
            .map(|(_, check)| (domain, check))
    });
    let (domain, check) = found?;
    Some(format!("CHECK ({})", check_text(view, domain, check, pretty)))
}

/// A CHECK's object id.
fn check_oid(ty: &TypeDef, number: usize, check: &tuplix_catalog::CheckDef) -> u32 {
    if check.oid == 0 { part_oid(ty, number) } else { check.oid }
}

/// The domains.
pub(crate) fn domains<'a>(view: &'a View<'_>) -> impl Iterator<Item = (&'a TypeDef, &'a DomainDef)> {
    view.catalog().user_types().filter_map(|ty| ty.domain().map(|domain| (&**ty, domain)))
}

fn check_text(view: &View<'_>, domain: &DomainDef, check: &CheckDef, pretty: bool) -> String {
    deparse::domain_check_text(view, &value_table(domain), &check.expression, pretty)
}

/// A domain's default as SQL.
pub(crate) fn default_text(view: &View<'_>, domain: &DomainDef) -> Option<String> {
    let written = domain.default.as_deref()?;
    Some(deparse::default_text(view, &value_table(domain), 0, written))
}

/// The CHECKs of a domain: object ids and conditions over [`value_table`].
pub(crate) fn checks<'a>(ty: &'a TypeDef, domain: &'a DomainDef) -> impl Iterator<Item = (u32, &'a str)> {
    let checks = domain.checks.iter().enumerate();
    checks.map(|(number, check)| (check_oid(ty, number, check), check.expression.as_str()))
}

/// A table whose one column is VALUE.
pub(crate) fn value_table(domain: &DomainDef) -> TableDef {
    deparse::table_of_value("value", domain.base, domain.typmod)
}

/// Whether a type can be named without its schema; `None` when there is none with this object id.
pub(crate) fn is_visible(view: &View<'_>, ty: TypeId) -> Option<bool> {
    if !ty.is_user() {
        return ty.display_name().map(|_| true);
    }
    let (_, name) = view.catalog().type_names(ty)?;
    let element = ty.element().unwrap_or(ty);
    let found = view.path.iter().find_map(|schema| view.catalog().type_named(schema, name));
    Some(found == Some(element))
}

/// Puts the names of types where a text has their ids.
pub(crate) fn name_types(view: &View<'_>, value: &mut Value) {
    if let Value::Text(text) = value
        && let Some(named) = view.catalog().name_types(text, Some(&view.path))
    {
        *value = Value::text(named);
    }
}
