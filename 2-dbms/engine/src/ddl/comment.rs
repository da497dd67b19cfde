//! COMMENT ON.

use tuplix_catalog::{CLASS_FUNCTION, CLASS_RELATION, CLASS_SCHEMA, CatalogChange, Described};
use tuplix_sql::plan::{CommentTarget, QualifiedName};
use tuplix_types::{Result, SqlError, sqlstate};

use super::alter::column_of;
use super::{Work, undefined_table};
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn comment(&mut self, target: &CommentTarget, text: Option<&str>) -> Run<&'static str> {
        let about = self.described(target)?;
        self.change(CatalogChange::Comment { about, text: text.map(str::to_owned) });
        Ok("COMMENT")
    }

    fn described(&self, target: &CommentTarget) -> Result<Described> {
        let relation = |object, part| Described { class: CLASS_RELATION, object, part };
        Ok(match target {
            CommentTarget::Table(name) => match (self.find_table(name), self.find_index(name)) {
                (Ok(table), _) => relation(table.id.0, 0),
                (Err(_), Some(_)) => return Err(not_a(&name.name, "a table")),
                (Err(error), None) => return Err(error),
            },
            CommentTarget::Index(name) => relation(self.index_object(name)?, 0),
            CommentTarget::Column(name, column) => {
                let table = self.find_table(name)?;
                relation(table.id.0, column_of(&table, column)? as u32 + 1)
            }
            CommentTarget::Schema(name) => match self.catalog.schema(name) {
                Some(schema) => Described { class: CLASS_SCHEMA, object: schema.oid, part: 0 },
                None => {
                    let message = format!("schema \"{name}\" does not exist");
                    return Err(SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message));
                }
            },
            CommentTarget::Function(name, types, kind) => {
                let function = self.find_function(name, types.as_deref(), *kind)?;
                Described { class: CLASS_FUNCTION, object: function.0, part: 0 }
            }
        })
    }

    fn index_object(&self, name: &QualifiedName) -> Result<u32> {
        let index = self.find_index(name).and_then(|table| {
            table.indexes.iter().find(|index| index.name == name.name).map(|index| index.id.0)
        });
        match (index, self.find_table(name)) {
            (Some(index), _) => Ok(index),
            (None, Ok(_)) => Err(not_a(&name.name, "an index")),
            (None, Err(_)) => Err(undefined_table(name)),
        }
    }
}

fn not_a(name: &str, kind: &str) -> SqlError {
    SqlError::new(sqlstate::WRONG_OBJECT_TYPE, format!("\"{name}\" is not {kind}"))
}
