//! What system tables there are and what columns they have: PostgreSQL 15's own (`data/relations.tsv`, which
//! `data/extract.sql` writes) and the node's (`data/tuplix.tsv`), read once, when somebody first asks.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tuplix_types::text_io::{IoContext, parse_text};
use tuplix_types::{Row, TypeId, Value};

/// A table that the engine computes.
#[derive(Debug)]
pub(crate) struct SystemRelation {
    /// Its schema.
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `pg_class.oid`
    pub oid: u32,
    /// `pg_class.relkind`: `r` or `v`.
    pub kind: &'static str,
    /// Its columns.
    pub columns: Vec<SystemColumn>,
}

/// A column of such a table.
#[derive(Debug)]
pub(crate) struct SystemColumn {
    /// Its name.
    pub name: &'static str,
    /// Its type; that under PostgreSQL's domains in `information_schema`.
    pub ty: TypeId,
    /// Whether PostgreSQL declares it NOT NULL.
    pub not_null: bool,
}

type Relations = BTreeMap<&'static str, BTreeMap<&'static str, SystemRelation>>;

static RELATIONS: LazyLock<Relations> = LazyLock::new(|| {
    let mut relations = Relations::new();
    let lines = include_str!("data/relations.tsv").lines().chain(include_str!("data/tuplix.tsv").lines());
    for relation in lines.map(read_relation) {
        relations.entry(relation.schema).or_default().insert(relation.name, relation);
    }
    relations
});

/// The rows that are PostgreSQL's own, such as those of `pg_type`, by table.
static ROWS: LazyLock<BTreeMap<&'static str, Vec<Row>>> = LazyLock::new(|| {
    let mut rows: BTreeMap<&'static str, Vec<Row>> = BTreeMap::new();
    for line in include_str!("data/rows.tsv").lines() {
        let (table, values) = line.split_once('\t').expect("rows.tsv: a table");
        let relation = find("pg_catalog", table).expect("rows.tsv: a table of relations.tsv");
        let value = |(text, column): (&'static str, &SystemColumn)| read_value(text, column.ty);
        rows.entry(table).or_default().push(values.split('\t').zip(&relation.columns).map(value).collect());
    }
    rows
});

fn read_relation(line: &'static str) -> SystemRelation {
    let fields: Vec<&'static str> = line.split('\t').collect();
    let &[schema, name, oid, kind, columns] = &fields[..] else { panic!("relations.tsv: {line}") };
    let column = |text: &'static str| {
        let parts: Vec<&'static str> = text.split(':').collect();
        let &[name, ty, not_null] = &parts[..] else { panic!("relations.tsv: {text}") };
        SystemColumn { name, ty: TypeId(number(ty)), not_null: not_null == "1" }
    };
    SystemRelation { schema, name, oid: number(oid), kind, columns: columns.split(',').map(column).collect() }
}

fn number(text: &str) -> u32 {
    text.parse().expect("relations.tsv: a number")
}

fn read_value(text: &str, ty: TypeId) -> Value {
    match (text, ty) {
        ("\\N", _) => Value::Null,
        (_, TypeId::PG_NODE_TREE) => Value::text(text),
        _ => parse_text(ty, -1, text, &IoContext::default()).expect("rows.tsv: a value of the column's type"),
    }
}

/// The system table of this schema and name.
pub(crate) fn find(schema: &str, name: &str) -> Option<&'static SystemRelation> {
    RELATIONS.get(schema)?.get(name)
}

/// All system tables.
pub(crate) fn all() -> impl Iterator<Item = &'static SystemRelation> {
    RELATIONS.values().flat_map(BTreeMap::values)
}

/// The system table with this object id.
pub(crate) fn with_oid(oid: u32) -> Option<&'static SystemRelation> {
    all().find(|relation| relation.oid == oid)
}

/// The rows of a table of `pg_catalog` that are PostgreSQL's own.
pub(crate) fn own_rows(name: &str) -> &'static [Row] {
    ROWS.get(name).map_or(&[], Vec::as_slice)
}

impl SystemRelation {
    /// The position of a column.
    ///
    /// # Panics
    /// When there is none of this name: callers name columns of `relations.tsv`.
    pub(crate) fn column(&self, name: &str) -> usize {
        let found = self.columns.iter().position(|column| column.name == name);
        found.unwrap_or_else(|| panic!("invariant: {}.{} has a column {name}", self.schema, self.name))
    }

    /// A row with these values; integers are fitted to the columns. What is not named is NULL, or the zero of its type
    /// where the column is NOT NULL.
    pub(crate) fn row(&self, values: &[(&str, Value)]) -> Row {
        let mut row: Row = self.columns.iter().map(SystemColumn::absent).collect();
        for (name, value) in values {
            let position = self.column(name);
            row[position] = fit(value, self.columns[position].ty);
        }
        row
    }
}

impl SystemColumn {
    fn absent(&self) -> Value {
        match self.ty {
            _ if !self.not_null => Value::Null,
            TypeId::BOOL => Value::Bool(false),
            TypeId::FLOAT4 => Value::Float4(0.0),
            TypeId::INT2 | TypeId::INT4 | TypeId::INT8 => fit(&Value::Int8(0), self.ty),
            TypeId::OID | TypeId::XID | TypeId::REGPROC | TypeId::REGTYPE => Value::Oid(0),
            TypeId::CHAR | TypeId::NAME | TypeId::TEXT => Value::text(""),
            _ => Value::Null,
        }
    }
}

fn fit(value: &Value, ty: TypeId) -> Value {
    match (value, ty) {
        (Value::Int8(number), TypeId::INT2) => Value::Int2(i16::try_from(*number).unwrap_or(i16::MAX)),
        (Value::Int8(number), TypeId::INT4) => Value::Int4(i32::try_from(*number).unwrap_or(i32::MAX)),
        (value, _) => value.clone(),
    }
}
