//! Foreign keys as SQL, and `information_schema.referential_constraints`.

use tuplix_catalog::{ForeignKeyDef, ReferentialAction, TableDef};
use tuplix_sql::parser::quote_ident;
use tuplix_types::{Row, Value};

use super::information::catalog_name;
use super::names;
use super::relations::SystemRelation;
use super::view::{View, text};

/// `pg_constraint.confupdtype` and `confdeltype`.
pub(crate) fn action_code(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "a",
        ReferentialAction::Restrict => "r",
        ReferentialAction::Cascade => "c",
        ReferentialAction::SetNull => "n",
        ReferentialAction::SetDefault => "d",
    }
}

fn action_words(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "NO ACTION",
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    }
}

/// `FOREIGN KEY (a) REFERENCES parent(id) ON DELETE CASCADE`
pub(crate) fn definition(view: &View<'_>, table: &TableDef, key: &ForeignKeyDef, pretty: bool) -> String {
    let list = |table: &TableDef, columns: &[usize]| {
        let names: Vec<String> =
            columns.iter().map(|column| quote_ident(&table.columns[*column].name)).collect();
        names.join(", ")
    };
    let Some(parent) = view.catalog().table(key.parent) else { return String::new() };
    let name = quote_ident(&parent.name);
    let _ = pretty;
    let parent_name = if names::is_visible(view, parent) {
        name
    } else {
        format!("{}.{name}", quote_ident(&parent.schema))
    };
    let mut out = format!(
        "FOREIGN KEY ({}) REFERENCES {parent_name}({})",
        list(table, &key.columns),
        list(parent, &key.parent_columns)
    );
    if key.match_full {
        out += " MATCH FULL";
    }
    for (event, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        if action != ReferentialAction::NoAction {
            out += &format!(" ON {event} {}", action_words(action));
            if event == "DELETE" && !key.set_columns.is_empty() {
                out += &format!(" ({})", list(table, &key.set_columns));
            }
        }
    }
    if key.deferrable {
        out += " DEFERRABLE";
    }
    if key.deferred {
        out += " INITIALLY DEFERRED";
    }
    if !key.valid {
        out += " NOT VALID";
    }
    out
}

/// `referential_constraints`
pub(crate) fn standard(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in view.catalog().tables() {
        for key in &table.foreign_keys {
            let parent = view.catalog().table(key.parent);
            let unique = parent.and_then(|parent| parent.index(key.parent_index));
            let unique = unique.filter(|index| index.constraint);
            let of_unique = |value: &str| unique.map_or(Value::Null, |_| text(value));
            rows.push(relation.row(&[
                ("constraint_catalog", catalog_name(view)),
                ("constraint_schema", text(&table.schema)),
                ("constraint_name", text(&key.name)),
                ("unique_constraint_catalog", of_unique(&view.services.database)),
                ("unique_constraint_schema", of_unique(parent.map_or("", |parent| parent.schema.as_str()))),
                ("unique_constraint_name", unique.map_or(Value::Null, |index| text(&index.name))),
                ("match_option", text(if key.match_full { "FULL" } else { "NONE" })),
                ("update_rule", text(action_words(key.on_update))),
                ("delete_rule", text(action_words(key.on_delete))),
            ]));
        }
    }
    rows
}
