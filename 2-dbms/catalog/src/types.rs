//! Types that users create: enums, domains, composite types; and the row types that tables have.

use std::sync::Arc;

use ecow::EcoString;
use serde::{Deserialize, Serialize};
use tuplix_types::{EnumLabels, EnumValue, TypeId, UserKind, Value};

use crate::{Catalog, CheckDef, TableId};

/// A type that a user created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypeDef {
    /// Object id, which says what kind of type it is.
    pub id: TypeId,
    /// Schema name.
    pub schema: String,
    /// Name.
    pub name: String,
    /// What it is.
    pub body: TypeBody,
}

/// What a type is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeBody {
    /// An enum: its labels in order.
    Enum(Vec<LabelDef>),
    /// A domain.
    Domain(DomainDef),
    /// A composite type: its columns.
    Composite(Vec<FieldDef>),
}

/// A label of an enum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelDef {
    /// Its place in the order, which never changes.
    pub order: f64,
    /// Its text, which may.
    pub label: String,
}

/// A domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainDef {
    /// The type under it, which may be a domain too.
    pub base: TypeId,
    /// That type's modifier, -1 for none.
    pub typmod: i32,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// DEFAULT as SQL text.
    pub default: Option<String>,
    /// CHECK constraints over VALUE.
    pub checks: Vec<CheckDef>,
}

/// A column of a row type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldDef {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: TypeId,
    /// Type modifier, -1 for none.
    pub typmod: i32,
}

impl TypeDef {
    /// The labels, when it is an enum.
    pub fn labels(&self) -> Option<&[LabelDef]> {
        match &self.body {
            TypeBody::Enum(labels) => Some(labels),
            _ => None,
        }
    }

    /// The domain, when it is one.
    pub fn domain(&self) -> Option<&DomainDef> {
        match &self.body {
            TypeBody::Domain(domain) => Some(domain),
            _ => None,
        }
    }

    /// `schema.name`
    pub fn qualified_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

impl Catalog {
    /// The type with this id; tables' row types and arrays have no definition of their own.
    pub fn user_type(&self, id: TypeId) -> Option<&Arc<TypeDef>> {
        self.types.get(&id)
    }

    /// The type that a user created under this name in this schema.
    pub fn user_type_named(&self, schema: &str, name: &str) -> Option<&Arc<TypeDef>> {
        let id = self.type_names.get(&(schema.to_owned(), name.to_owned()))?;
        self.types.get(id)
    }

    /// All types that users created, by id.
    pub fn user_types(&self) -> impl Iterator<Item = &Arc<TypeDef>> {
        self.types.values()
    }

    /// The type of this name in this schema: a user's, a table's rows, or the array of such.
    pub fn type_named(&self, schema: &str, name: &str) -> Option<TypeId> {
        let plain = |name: &str| match self.user_type_named(schema, name) {
            Some(found) => Some(found.id),
            None => self.table_named(schema, name).map(|table| table.row_type()),
        };
        plain(name).or_else(|| name.strip_prefix('_').and_then(plain).and_then(TypeId::array_of))
    }

    /// Schema and name of a user's type, `[]` not included.
    pub fn type_names(&self, id: TypeId) -> Option<(&str, &str)> {
        let element = id.element().unwrap_or(id);
        if let Some(found) = self.types.get(&element) {
            return Some((&found.schema, &found.name));
        }
        let table = self.table_of_type(element)?;
        Some((&table.schema, &table.name))
    }

    /// The table whose rows have this type.
    pub fn table_of_type(&self, id: TypeId) -> Option<&Arc<crate::TableDef>> {
        if !id.is_composite() {
            return None;
        }
        self.table(TableId(id.object()))
    }

    /// The columns of a named row type.
    pub fn row_fields(&self, id: TypeId) -> Option<Vec<FieldDef>> {
        if let Some(found) = self.types.get(&id) {
            return match &found.body {
                TypeBody::Composite(fields) => Some(fields.clone()),
                _ => None,
            };
        }
        if let Some(fields) = self.specials.row_fields(id).filter(|_| id.is_composite()) {
            return Some(fields.to_vec());
        }
        let columns = &self.table_of_type(id)?.columns;
        let field = |column: &crate::ColumnDef| FieldDef {
            name: column.name.clone(),
            ty: column.ty,
            typmod: column.typmod,
        };
        Some(columns.iter().map(field).collect())
    }

    /// The domain of this id.
    pub fn domain(&self, id: TypeId) -> Option<&DomainDef> {
        self.types.get(&id).and_then(|found| found.domain())
    }

    /// The type and modifier under all domains.
    pub fn base_type(&self, id: TypeId, typmod: i32) -> (TypeId, i32) {
        let (mut id, mut typmod) = (id, typmod);
        while let Some(domain) = self.domain(id) {
            (id, typmod) = (domain.base, domain.typmod);
        }
        (id, typmod)
    }

    /// The value that a label of an enum stands for.
    pub fn enum_value(&self, id: TypeId, label: &str) -> Option<Value> {
        let labels = self.types.get(&id)?.labels()?;
        let found = labels.iter().find(|known| known.label == label)?;
        Some(Value::Enum(EnumValue { order: found.order, ty: id }))
    }

    /// A type's name as messages show it, with its schema when `path` does not lead to it.
    pub fn type_name(&self, id: TypeId, path: Option<&[String]>) -> Option<String> {
        if let Some(name) = id.display_name() {
            return Some(name.to_owned());
        }
        let (schema, name) = self.type_names(id)?;
        let element = id.element().unwrap_or(id);
        let visible = path
            .is_none_or(|path| path.iter().find_map(|schema| self.type_named(schema, name)) == Some(element));
        let suffix = if element == id { "" } else { "[]" };
        let name = quoted(name);
        Some(if visible { format!("{name}{suffix}") } else { format!("{}.{name}{suffix}", quoted(schema)) })
    }

    /// Puts names where a message has the ids of types that only the catalogue knows.
    pub fn name_types(&self, message: &str, path: Option<&[String]>) -> Option<String> {
        const MARK: &str = "type#";
        if !message.contains(MARK) {
            return None;
        }
        let mut out = String::with_capacity(message.len());
        let mut rest = message;
        while let Some(at) = rest.find(MARK) {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let digits = &rest[MARK.len()..];
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let id = digits[..end].parse().ok().map(TypeId).filter(|id| id.is_user());
            let mut length = MARK.len() + end;
            let order = digits[end..].strip_prefix('#').and_then(|rest| rest.split_once('#'));
            let order = order.map(|(order, _)| order);
            let shown = match (id, order) {
                (Some(ty), Some(order)) if ty.is_enum() => {
                    length += 2 + order.len();
                    let value = order.parse().ok().map(|order| EnumValue { order, ty });
                    value.and_then(|value| self.label(value)).map(String::from)
                }
                (Some(ty), _) => self.type_name(ty, path),
                (None, _) => None,
            };
            match shown {
                Some(shown) => out.push_str(&shown),
                None => out.push_str(&rest[..length]),
            }
            rest = &rest[length..];
        }
        out.push_str(rest);
        Some(out)
    }

    pub(crate) fn put_type(&mut self, ty: TypeDef) {
        self.remove_type(ty.id);
        self.saw_oid(ty.id.object());
        self.type_names.insert((ty.schema.clone(), ty.name.clone()), ty.id);
        self.types.insert(ty.id, Arc::new(ty));
    }

    pub(crate) fn remove_type(&mut self, id: TypeId) {
        if let Some(old) = self.types.remove(&id) {
            self.type_names.remove(&(old.schema.clone(), old.name.clone()));
        }
    }
}

impl EnumLabels for Catalog {
    fn label(&self, value: EnumValue) -> Option<EcoString> {
        let labels = self.types.get(&value.ty)?.labels()?;
        labels.iter().find(|known| known.order == value.order).map(|known| known.label.as_str().into())
    }
}

impl crate::TableDef {
    /// The type of its rows.
    pub fn row_type(&self) -> TypeId {
        TypeId::user(UserKind::Composite, self.id.0)
    }
}

/// A name as SQL has it: in quotes unless it is plain.
fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::CatalogChange;

    fn catalog() -> (Catalog, TypeId) {
        let mut catalog = Catalog::new();
        let id = TypeId::user(UserKind::Enum, 16_400);
        let label = |order, label: &str| LabelDef { order, label: label.to_owned() };
        let body = TypeBody::Enum(vec![label(1.0, "sad"), label(1.5, "so so"), label(2.0, "happy")]);
        let ty = TypeDef { id, schema: "public".into(), name: "mood".into(), body };
        catalog.apply(CatalogChange::PutType(ty));
        (catalog, id)
    }

    #[test]
    fn a_type_survives_the_log_and_has_an_array() {
        let (catalog, id) = catalog();
        let change = CatalogChange::PutType(TypeDef::clone(catalog.user_type(id).unwrap()));
        let text = serde_json::to_string(&change).unwrap();
        let mut again = Catalog::new();
        again.apply(serde_json::from_str(&text).unwrap());
        assert_eq!(again.type_named("public", "mood"), Some(id));
        assert_eq!(again.type_named("public", "_mood"), id.array_of());
        assert!(again.allocate_oid() > 16_400);
    }

    #[test]
    fn messages_get_names() {
        let (catalog, id) = catalog();
        let value = EnumValue { order: 1.5, ty: id };
        let message = format!("cannot cast {id} to {}: {value}.", id.array_of().unwrap());
        let shown = catalog.name_types(&message, None).unwrap();
        assert_eq!(shown, "cannot cast mood to mood[]: so so.");
        let shown = catalog.name_types(&format!("{id}"), Some(&[])).unwrap();
        assert_eq!(shown, "public.mood");
        assert_eq!(catalog.name_types("no type here", None), None);
        assert_eq!(catalog.name_types("type#12 type#x type#", None).unwrap(), "type#12 type#x type#");
    }
}
