//! What a system table is computed from: the catalogue and the session as they are now, and facts of types.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use tuplix_catalog::{Catalog, IndexDef, IndexMethod, RoleId, TableDef};
use tuplix_types::{Array, TypeId, Value};

use super::relations;
use crate::node::Schema;
use crate::services::Services;

/// The object id of the role that owns everything: PostgreSQL's bootstrap superuser.
pub(crate) const OWNER: u32 = 10;
/// The object id of the one database: PostgreSQL's `postgres`.
pub(crate) const DATABASE: u32 = tuplix_catalog::THE_DATABASE.object;
/// `pg_am.oid` of `heap`, the access method of tables.
pub(crate) const HEAP: u32 = 2;
const BTREE: u32 = 403;
const HASH: u32 = 405;
const PG_CATALOG: u32 = 11;
const INFORMATION_SCHEMA: u32 = 13_207;
const TUPLIX: u32 = 9000;
/// Constraints and defaults without an object id of their own get one above this, from their table's.
pub(crate) const MADE_OIDS: u32 = 1 << 31;

/// See the module.
pub(crate) struct View<'a> {
    /// The session.
    pub services: &'a Services,
    /// The search path.
    pub path: Vec<String>,
    schema: Arc<Schema>,
}

impl<'a> View<'a> {
    pub(crate) fn new(services: &'a Services) -> View<'a> {
        View { services, path: services.search_path(), schema: services.schema() }
    }

    /// The catalogue.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.schema.catalog
    }

    /// The name of the role that owns what exists.
    pub(crate) fn owner(&self) -> &str {
        self.catalog().role(RoleId(OWNER)).map_or("", |role| &role.name)
    }

    /// The catalogue with its layout.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Schemas with their object ids, those of the system tables too.
    pub(crate) fn schemas(&self) -> Vec<(u32, String)> {
        let mut schemas: Vec<(u32, String)> =
            self.catalog().schemas().map(|schema| (schema.oid, schema.name.clone())).collect();
        for (oid, name) in [(INFORMATION_SCHEMA, "information_schema"), (TUPLIX, "tuplix")] {
            if self.catalog().schema(name).is_none() {
                schemas.push((oid, name.to_owned()));
            }
        }
        schemas
    }

    /// The object id of a schema.
    pub(crate) fn schema_oid(&self, name: &str) -> u32 {
        match (self.catalog().schema(name), name) {
            (Some(schema), _) => schema.oid,
            (None, "information_schema") => INFORMATION_SCHEMA,
            (None, "tuplix") => TUPLIX,
            (None, _) => PG_CATALOG,
        }
    }

    /// A table's index by the index's object id.
    pub(crate) fn index(&self, oid: u32) -> Option<(&Arc<TableDef>, &IndexDef)> {
        let of_table = |table| {
            let table: &Arc<TableDef> = table;
            table.indexes.iter().find(|index| index.id.0 == oid).map(|index| (table, index))
        };
        self.catalog().tables().find_map(of_table)
    }
}

/// An object id for part `number` of a table: the same as long as the parts before it are.
pub(crate) fn part_oid(table: &TableDef, number: usize) -> u32 {
    MADE_OIDS | (table.id.0 << 11) | (number as u32 & 0x7ff)
}

/// `pg_am.oid` of an index.
pub(crate) fn access_method(index: &IndexDef) -> u32 {
    match index.method {
        IndexMethod::Hash => HASH,
        IndexMethod::Ordered => BTREE,
    }
}

/// A text.
pub(crate) fn text(text: &str) -> Value {
    Value::text(text)
}

/// A text or NULL.
pub(crate) fn maybe_text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::text)
}

/// An object id.
pub(crate) fn oid(oid: u32) -> Value {
    Value::Oid(oid)
}

/// An integer of any width.
pub(crate) fn int(number: impl TryInto<i64>) -> Value {
    Value::Int8(number.try_into().unwrap_or(i64::MAX))
}

/// A truth value.
pub(crate) fn truth(truth: bool) -> Value {
    Value::Bool(truth)
}

/// `YES` or `NO`, as `information_schema` says it.
pub(crate) fn yes_or_no(truth: bool) -> Value {
    Value::text(if truth { "YES" } else { "NO" })
}

/// An array.
pub(crate) fn array(element: TypeId, elements: Vec<Value>) -> Value {
    Value::Array(Arc::new(Array::from_elements(element, elements)))
}

/// An `int2vector` or `oidvector`.
pub(crate) fn vector(element: TypeId, elements: Vec<Value>) -> Value {
    Value::Array(Arc::new(Array::vector(element, elements)))
}

/// The number of a table's column.
pub(crate) fn column_number(table: &TableDef, column: usize) -> Value {
    Value::Int2(table.number(column) as i16)
}

/// What `pg_attribute` repeats of `pg_type`.
#[derive(Clone, Debug)]
pub(crate) struct TypeFacts {
    /// `typlen`
    pub length: Value,
    /// `typbyval`
    pub by_value: Value,
    /// `typalign`
    pub alignment: Value,
    /// `typstorage`
    pub storage: Value,
    /// `typcollation`
    pub collation: Value,
}

static FACTS: LazyLock<BTreeMap<u32, TypeFacts>> = LazyLock::new(|| {
    let types = relations::find("pg_catalog", "pg_type").expect("relations.tsv: pg_type");
    let names = ["typlen", "typbyval", "typalign", "typstorage", "typcollation"];
    let [length, by_value, alignment, storage, collation] = names.map(|name| types.column(name));
    let facts = |row: &tuplix_types::Row| {
        let Value::Oid(oid) = row[0] else { panic!("rows.tsv: pg_type.oid") };
        let facts = TypeFacts {
            length: row[length].clone(),
            by_value: row[by_value].clone(),
            alignment: row[alignment].clone(),
            storage: row[storage].clone(),
            collation: row[collation].clone(),
        };
        (oid, facts)
    };
    relations::own_rows("pg_type").iter().map(facts).collect()
});

/// The facts of a type.
pub(crate) fn type_facts(ty: TypeId) -> Option<TypeFacts> {
    if !ty.is_user() {
        return FACTS.get(&ty.0).cloned();
    }
    let is_enum = ty.is_enum();
    Some(TypeFacts {
        length: int(if is_enum { 4 } else { -1 }),
        by_value: truth(is_enum),
        alignment: text(if is_enum { "i" } else { "d" }),
        storage: text(if is_enum { "p" } else { "x" }),
        collation: oid(0),
    })
}

/// What an operator class is to a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClassUse {
    /// The one that its indexes have anyway.
    Own,
    /// Another one, in the same order.
    Same,
    /// There is none of this name.
    Missing,
    /// It is for values of another type.
    OfAnotherType,
    /// Another order.
    Unsupported,
}

/// The operator classes of an access method by name: object id, type, and whether it is the type's default.
fn classes_named(method: u32, name: &str) -> Vec<(u32, u32, bool)> {
    let classes = relations::find("pg_catalog", "pg_opclass").expect("relations.tsv: pg_opclass");
    let names = ["oid", "opcmethod", "opcname", "opcintype", "opcdefault"];
    let [oid, of_method, of_name, ty, default] = names.map(|name| classes.column(name));
    let class = |row: &tuplix_types::Row| match (&row[oid], &row[of_method], &row[ty], &row[default]) {
        (Value::Oid(oid), Value::Oid(of), Value::Oid(ty), Value::Bool(default))
            if *of == method && row[of_name].as_str() == Some(name) =>
        {
            Some((*oid, *ty, *default))
        }
        _ => None,
    };
    relations::own_rows("pg_opclass").iter().filter_map(class).collect()
}

fn method_oid(method: IndexMethod) -> u32 {
    match method {
        IndexMethod::Hash => HASH,
        IndexMethod::Ordered => BTREE,
    }
}

/// Under the C collation the classes for patterns order as the types' own do.
pub(crate) fn class_use(method: IndexMethod, name: &str, ty: TypeId) -> ClassUse {
    let oid = method_oid(method);
    let found = classes_named(oid, name);
    let Some((first, _, _)) = found.first().copied() else { return ClassUse::Missing };
    if operator_class(oid, ty) == first {
        return ClassUse::Own;
    }
    let texts = [TypeId::TEXT.0, TypeId::VARCHAR.0];
    let takes = |(_, of, _): &(u32, u32, bool)| *of == ty.0 || (texts.contains(of) && texts.contains(&ty.0));
    match name {
        _ if !found.iter().any(takes) => ClassUse::OfAnotherType,
        "text_pattern_ops" | "varchar_pattern_ops" | "bpchar_pattern_ops" | "varchar_ops" => ClassUse::Same,
        _ => ClassUse::Unsupported,
    }
}

/// The operator class of a part of an index.
pub(crate) fn class_of_key(method: u32, class: Option<&str>, ty: TypeId) -> u32 {
    let named = class.and_then(|class| classes_named(method, class).first().map(|(oid, ..)| *oid));
    named.unwrap_or_else(|| operator_class(method, ty))
}

/// The default operator class of a type for an access method, 0 when there is none.
pub(crate) fn operator_class(method: u32, ty: TypeId) -> u32 {
    static CLASSES: LazyLock<BTreeMap<(u32, u32), u32>> = LazyLock::new(|| {
        let classes = relations::find("pg_catalog", "pg_opclass").expect("relations.tsv: pg_opclass");
        let names = ["oid", "opcmethod", "opcintype", "opcdefault"];
        let [oid, method, ty, default] = names.map(|name| classes.column(name));
        let class = |row: &tuplix_types::Row| match (&row[oid], &row[method], &row[ty], &row[default]) {
            (Value::Oid(oid), Value::Oid(method), Value::Oid(ty), Value::Bool(true)) => {
                Some(((*method, *ty), *oid))
            }
            _ => None,
        };
        relations::own_rows("pg_opclass").iter().filter_map(class).collect()
    });
    let ty = match ty {
        TypeId::VARCHAR => TypeId::TEXT,
        _ if ty.is_enum() => TypeId::ANYENUM,
        _ if ty.is_row() => TypeId::RECORD,
        _ if ty.element().is_some() => TypeId::ANYARRAY,
        _ => ty,
    };
    CLASSES.get(&(method, ty.0)).copied().unwrap_or(0)
}
