//! Expressions that the catalogue keeps as texts, in which names stand: what a new name does to them.
//!
//! Where a literal is known to mean the renamed thing, it is written anew. Whatever else names it no longer binds
//! afterwards, and then the change is refused: the texts must mean what they meant.

use std::sync::Arc;

use tuplix_catalog::{Catalog, CatalogChange, SequenceId, TableDef, TypeBody, TypeDef};
use tuplix_functions::quote_literal;
use tuplix_sql::analyze::{
    TableExpression, analyze_trigger_condition, check_domain, located_table_expression,
    located_trigger_condition,
};
use tuplix_sql::plan::{Expr, ExprKind, QualifiedName};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::Work;
use crate::bind::Binder;
use crate::exec::visit_expr;
use crate::stop::Run;

/// What a text of a table is.
#[derive(Clone, Copy)]
pub(super) enum Text {
    Expression(TableExpression),
    /// A trigger's WHEN.
    When,
}

/// The texts of a table.
pub(super) fn texts_of(table: &mut TableDef) -> Vec<(Text, &mut String)> {
    let mut found = Vec::new();
    for (position, column) in table.columns.iter_mut().enumerate() {
        let default = column.default.as_mut().map(|text| (TableExpression::Default(position), text));
        let generated = column.generated.as_mut().map(|text| (TableExpression::Generated(position), text));
        found.extend(default.into_iter().chain(generated).map(|(kind, text)| (Text::Expression(kind), text)));
    }
    for check in &mut table.checks {
        found.push((Text::Expression(TableExpression::Check), &mut check.expression));
    }
    for policy in &mut table.row_security.policies {
        let texts = policy.using.iter_mut().chain(&mut policy.check);
        found.extend(texts.map(|text| (Text::Expression(TableExpression::Policy), text)));
    }
    for index in &mut table.indexes {
        let keys = index.columns.iter_mut().filter_map(|key| key.expression.as_mut());
        found.extend(keys.map(|text| (Text::Expression(TableExpression::Index), text)));
        let predicate = index.predicate.as_mut();
        found.extend(predicate.map(|text| (Text::Expression(TableExpression::IndexPredicate), text)));
    }
    for trigger in &mut table.triggers {
        found.extend(trigger.when.as_mut().map(|text| (Text::When, text)));
    }
    found
}

impl Work<'_, '_> {
    /// A text of a table, bound.
    pub(super) fn bind_text(
        &self,
        binder: &Binder<'_>,
        table: &TableDef,
        kind: Text,
        text: &str,
    ) -> Result<Expr> {
        match kind {
            Text::Expression(purpose) => binder.table_expression(table, text, purpose),
            Text::When => analyze_trigger_condition(&binder.context(), table, text),
        }
        .map(|(expr, _)| expr)
    }

    /// ALTER TYPE ... RENAME VALUE
    pub(super) fn rename_value(&mut self, name: &QualifiedName, from: &str, to: &str) -> Run<()> {
        let (mut found, mut labels) = self.find_enum(name)?;
        let taken = labels.iter().any(|known| known.label == to);
        let Some(label) = labels.iter_mut().find(|known| known.label == from) else {
            let message = format!("\"{from}\" is not an existing enum label");
            return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message).into());
        };
        if taken {
            let message = format!("enum label \"{to}\" already exists");
            return Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message).into());
        }
        let order = label.order;
        to.clone_into(&mut label.label);
        found.body = TypeBody::Enum(labels);
        let what = "renaming a label that a default, CHECK, index, trigger or view names";
        let changed = self.tables_with_label((found.id, order), (from, to), what)?;
        let (before, id) = (self.catalog.clone(), found.id);
        self.tx.lock_for_ddl(&changed.iter().map(|table| table.id).collect::<Vec<_>>())?;
        self.change(CatalogChange::PutType(found));
        // The keys of indexes have the labels' places, which stay: no index changes.
        changed.into_iter().for_each(|table| self.change(CatalogChange::PutTable(table)));
        Ok(self.check_texts(&before, id, what)?)
    }

    /// The tables in whose texts a label stands, with the new one in its place.
    fn tables_with_label(
        &self,
        (ty, order): (TypeId, f64),
        (from, to): (&str, &str),
        what: &str,
    ) -> Result<Vec<TableDef>> {
        let schema = self.changed_schema();
        let binder = Binder::new(&schema, &self.search_path);
        let (old, new) = (quote_literal(from), quote_literal(to));
        let mut changed = Vec::new();
        for table in schema.catalog.tables().filter(|table| table.view.is_none()) {
            let mut copy = TableDef::clone(table);
            let mut is_changed = false;
            for (kind, text) in texts_of(&mut copy).into_iter().filter(|(_, text)| text.contains(from)) {
                let context = binder.context();
                let located = match kind {
                    Text::Expression(purpose) => located_table_expression(&context, table, text, purpose),
                    Text::When => located_trigger_condition(&context, table, text),
                };
                let Ok(expr) = located else { continue };
                let (mut places, mut in_array) = (Vec::new(), false);
                visit_expr(&expr, &mut |node| match &node.kind {
                    ExprKind::Constant(Value::Enum(value)) if value.ty == ty && value.order == order => {
                        places.extend(node.position);
                    }
                    ExprKind::CastViaText(inner) if node.ty.element() == Some(ty) => {
                        in_array |= matches!(&inner.kind, ExprKind::Constant(value)
                            if value.as_str().is_some_and(|text| text.contains(from)));
                    }
                    _ => {}
                });
                if in_array {
                    return Err(refused(what, format!("It stands in an array: {text}")));
                }
                places.sort_unstable();
                places.dedup();
                for place in places.into_iter().rev() {
                    let before = text.char_indices().nth(place.saturating_sub(1) as usize);
                    let Some((place, _)) = before else { continue };
                    if text.get(place..).is_some_and(|rest| rest.starts_with(&old)) {
                        text.replace_range(place..place + old.len(), &new);
                        is_changed = true;
                    }
                }
            }
            if is_changed {
                changed.push(copy);
            }
        }
        Ok(changed)
    }

    /// Refuses a change after which a text means nothing: an old name may stand in it. `before` is the catalogue
    /// without the change; what did not bind there is no reason.
    pub(super) fn check_texts(&mut self, before: &Catalog, id: TypeId, what: &str) -> Result<()> {
        let tables: Vec<Arc<TableDef>> = self.catalog.tables().cloned().collect();
        for table in tables {
            let Err(error) = self.check_table_texts(&table) else { continue };
            let Some(old) = before.table(table.id).cloned() else { continue };
            let now = std::mem::replace(&mut self.catalog, before.clone());
            let was_good = self.check_table_texts(&old).is_ok();
            self.catalog = now;
            if was_good {
                return Err(refused(what, error.message().to_owned()));
            }
        }
        let schema = self.changed_schema();
        let binder = Binder::new(&schema, &self.search_path);
        for other in schema.catalog.user_types().filter(|other| other.id.is_domain() || other.id == id) {
            if other.domain().is_some() {
                check_domain(&binder.context(), other.id)
                    .map_err(|error| refused(what, error.message().to_owned()))?;
            }
        }
        Ok(())
    }

    fn check_table_texts(&self, table: &TableDef) -> Result<()> {
        if table.query().is_some() { self.check_text(table) } else { self.check_expressions(table) }
    }

    /// The types of a schema, with another schema's name.
    pub(super) fn moved_types(&self, from: &str, to: &str) -> Vec<TypeDef> {
        let of_schema = self.catalog.user_types().filter(|ty| ty.schema == from);
        of_schema.map(|ty| TypeDef { schema: to.to_owned(), ..TypeDef::clone(ty) }).collect()
    }

    /// A default with another name for the sequences that it draws from.
    pub(super) fn default_with(&self, text: &str, renamed: &dyn Fn(SequenceId) -> Option<String>) -> String {
        rewrite_names(text, &|name| {
            let parts = crate::system::names::split_name(name)?;
            let found = match &parts[..] {
                [name] => {
                    let mut path = self.search_path.iter();
                    path.find_map(|schema| self.catalog.sequence_named(schema, name))
                }
                [schema, name] => self.catalog.sequence_named(schema, name),
                _ => None,
            };
            found.and_then(|sequence| renamed(sequence.id))
        })
    }
}

fn refused(what: &str, detail: String) -> SqlError {
    SqlError::unsupported(what)
        .detail(detail)
        .hint("Drop what names it first, and create it again afterwards.")
}

/// An SQL expression with other names in those literals that name relations: the first arguments of `nextval` and its
/// kin, and what is cast to `regclass`.
fn rewrite_names(text: &str, rename: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '"']) {
        let quote = if rest[at..].starts_with('"') { '"' } else { '\'' };
        let Some(length) = quoted_length(&rest[at..], quote) else { break };
        let (before, literal, after) = (&rest[..at], &rest[at..at + length], &rest[at + length..]);
        out.push_str(before);
        let is_name = quote == '\''
            && !before.ends_with(['E', 'e', 'U', '&'])
            && (before.trim_end().to_ascii_lowercase().ends_with("val(") || is_cast_to_regclass(after));
        let new = is_name.then(|| literal[1..length - 1].replace("''", "'")).and_then(|name| rename(&name));
        out.push_str(&new.map_or_else(|| literal.to_owned(), |name| quote_literal(&name).to_string()));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn is_cast_to_regclass(after: &str) -> bool {
    let after = after.trim_start().to_ascii_lowercase();
    let ty = after.strip_prefix("::").or_else(|| after.strip_prefix("as "));
    ty.is_some_and(|ty| ty.trim_start().trim_start_matches("pg_catalog.").starts_with("regclass"))
}

/// The bytes of the quoted text that `text` begins with, its quotes too.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text.get(at..)?.find(quote)? + 1;
        if !text[at..].starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::rewrite_names;

    #[test]
    fn changes_names_of_relations_alone() {
        let to = |name: &str| (name == "s" || name == "it's").then(|| "new".to_owned());
        let rewrite = |text| rewrite_names(text, &to);
        assert_eq!(rewrite("'s' || nextval('s')"), "'s' || nextval('new')");
        assert_eq!(rewrite("nextval( 's'::regclass )"), "nextval( 'new'::regclass )");
        assert_eq!(rewrite("f('s' :: pg_catalog.regclass, 's')"), "f('new' :: pg_catalog.regclass, 's')");
        assert_eq!(rewrite("nextval('it''s')"), "nextval('new')");
        assert_eq!(rewrite("\"val('s')\""), "\"val('s')\"");
        assert_eq!(rewrite("nextval('other')"), "nextval('other')");
        assert_eq!(rewrite("nextval('open"), "nextval('open");
    }
}
