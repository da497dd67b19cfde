//! `pg_depend` and `pg_rewrite`: what has to be there before what (`dependency.c`), which is the order in which pg_dump writes.
//!
//! The catalogue keeps what objects name as texts and positions; the rows are found by binding those texts, each time. What
//! is PostgreSQL's own is in no row, as there.

use tuplix_catalog::{
    CLASS_CONSTRAINT, CLASS_FUNCTION, CLASS_RELATION, CLASS_SCHEMA, CLASS_TRIGGER, CLASS_TYPE, Dependency,
    FieldDef, FunctionDef, SequenceDef, TableDef, TypeBody, TypeDef,
};
use tuplix_sql::analyze::{TableExpression, analyze_trigger_condition};
use tuplix_sql::plan::Expr;
use tuplix_types::{Row, TypeId};

use super::relations::SystemRelation;
use super::view::{View, int, oid, part_oid, text, truth};
use super::{index, own, user_types};
use crate::bind::Binder;
use crate::mentions::Mentions;

/// `pg_attrdef`
const CLASS_DEFAULT: u32 = 2604;
/// `pg_rewrite`
const CLASS_RULE: u32 = 2618;
/// `pg_extension`
const CLASS_EXTENSION: u32 = 3079;
/// A view's rule is the last part of it.
const RULE_PART: usize = 0x7ff;

/// An object: the system table that lists it, its object id, and the number of a column or 0.
#[derive(Clone, Copy, PartialEq)]
struct Object(u32, u32, usize);

/// How strong a dependency is: `pg_depend.deptype`.
const NORMAL: &str = "n";
const AUTOMATIC: &str = "a";
const INTERNAL: &str = "i";
const EXTENSION: &str = "e";

/// `pg_depend`
pub(crate) fn dependencies(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut found = Found { view, relation, rows: Vec::new() };
    view.catalog().sequences().for_each(|sequence| found.sequence(sequence));
    view.catalog().user_types().for_each(|ty| found.user_type(ty));
    view.catalog().functions().for_each(|function| found.function(function));
    for table in view.catalog().tables() {
        found.table(table);
        found.constraints(table);
        found.indexes(table);
        found.triggers(table);
    }
    found.extension();
    found.rows
}

/// `pg_rewrite`: the query of each view.
pub(crate) fn rules(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |table: &TableDef| {
        let query = table.query()?;
        Some(relation.row(&[
            ("oid", oid(rule_oid(table))),
            ("rulename", text("_RETURN")),
            ("ev_class", oid(table.id.0)),
            ("ev_type", text("1")),
            ("ev_enabled", text("O")),
            ("is_instead", truth(true)),
            ("ev_qual", text("<>")),
            ("ev_action", text(&query.query)),
        ]))
    };
    view.catalog().tables().filter_map(|table| row(table)).collect()
}

fn rule_oid(table: &TableDef) -> u32 {
    part_oid(table, RULE_PART)
}

struct Found<'v, 's> {
    view: &'v View<'s>,
    relation: &'v SystemRelation,
    rows: Vec<Row>,
}

impl Found<'_, '_> {
    fn push(&mut self, object: Object, on: Object, kind: &str) {
        self.rows.push(self.relation.row(&[
            ("classid", oid(object.0)),
            ("objid", oid(object.1)),
            ("objsubid", int(object.2)),
            ("refclassid", oid(on.0)),
            ("refobjid", oid(on.1)),
            ("refobjsubid", int(on.2)),
            ("deptype", text(kind)),
        ]));
    }

    fn on_schema(&mut self, object: Object, schema: &str) {
        if let Some(schema) = self.view.catalog().schema(schema) {
            self.push(object, Object(CLASS_SCHEMA, schema.oid, 0), NORMAL);
        }
    }

    fn on_type(&mut self, object: Object, ty: TypeId) {
        if ty.is_user() {
            self.push(object, Object(CLASS_TYPE, ty.0, 0), NORMAL);
        }
    }

    fn on_columns(&mut self, object: Object, table: &TableDef, columns: &[usize], kind: &str) {
        let whole = columns.is_empty().then_some(0);
        for number in whole.into_iter().chain(columns.iter().map(|column| table.number(*column))) {
            self.push(object, Object(CLASS_RELATION, table.id.0, number), kind);
        }
    }

    fn on_mentions(&mut self, object: Object, mentions: &Mentions) {
        mentions.types.iter().for_each(|ty| self.on_type(object, *ty));
        for function in &mentions.functions {
            self.push(object, Object(CLASS_FUNCTION, function.0, 0), NORMAL);
        }
        for relation in mentions.relations.iter().filter(|oid| **oid >= TypeId::FIRST_USER) {
            self.push(object, Object(CLASS_RELATION, *relation, 0), NORMAL);
        }
    }

    fn on_expr(&mut self, object: Object, expr: &Expr) {
        self.on_mentions(object, &Mentions::of_expr(self.view.catalog(), expr));
    }

    /// What an expression of a table names; one that does not bind names nothing that is there.
    fn on_text(&mut self, object: Object, table: &TableDef, text: &str, purpose: TableExpression) {
        let binder = Binder::new(self.view.schema(), &self.view.path);
        if let Ok((expr, _)) = binder.table_expression(table, text, purpose) {
            self.on_expr(object, &expr);
        }
    }

    /// What is part of the extension `tuplix`.
    fn extension(&mut self) {
        let extension = Object(CLASS_EXTENSION, own::EXTENSION, 0);
        for member in own::extension_members() {
            self.push(Object(CLASS_RELATION, member, 0), extension, EXTENSION);
        }
        // A user may have made a schema of this name.
        if self.view.catalog().schema("tuplix").is_none() {
            let schema = self.view.schema_oid("tuplix");
            self.push(Object(CLASS_SCHEMA, schema, 0), extension, EXTENSION);
        }
    }

    fn sequence(&mut self, sequence: &SequenceDef) {
        let object = Object(CLASS_RELATION, sequence.id.0, 0);
        self.on_schema(object, &sequence.schema);
        let Some(owner) = sequence.owner else { return };
        if let Some(table) = self.view.catalog().table(owner.table).cloned() {
            let kind = if owner.identity { INTERNAL } else { AUTOMATIC };
            self.on_columns(object, &table, &[owner.column], kind);
        }
    }

    fn user_type(&mut self, ty: &TypeDef) {
        let object = Object(CLASS_TYPE, ty.id.0, 0);
        self.on_schema(object, &ty.schema);
        self.array_of(ty.id);
        match &ty.body {
            TypeBody::Enum(_) => {}
            TypeBody::Domain(domain) => {
                self.on_type(object, domain.base);
                let table = user_types::value_table(domain);
                for (oid, condition) in user_types::checks(ty, domain) {
                    let check = Object(CLASS_CONSTRAINT, oid, 0);
                    self.push(check, object, AUTOMATIC);
                    self.on_text(check, &table, condition, TableExpression::Check);
                }
            }
            TypeBody::Composite(fields) => self.composite(object, ty, fields),
        }
    }

    fn composite(&mut self, object: Object, ty: &TypeDef, fields: &[FieldDef]) {
        let relation = ty.id.object();
        self.push(Object(CLASS_RELATION, relation, 0), object, INTERNAL);
        for (place, field) in fields.iter().enumerate() {
            self.on_type(Object(CLASS_RELATION, relation, place + 1), field.ty);
        }
    }

    fn array_of(&mut self, ty: TypeId) {
        if let Some(array) = ty.array_of() {
            self.push(Object(CLASS_TYPE, array.0, 0), Object(CLASS_TYPE, ty.0, 0), INTERNAL);
        }
    }

    fn function(&mut self, function: &FunctionDef) {
        let object = Object(CLASS_FUNCTION, function.id.0, 0);
        self.on_schema(object, &function.schema);
        self.on_type(object, function.returns);
        for argument in &function.arguments {
            self.on_type(object, argument.ty);
            if let Some(default) = &argument.default {
                let table = super::deparse::table_of_value("argument", argument.ty, -1);
                self.on_text(object, &table, default, TableExpression::Default(0));
            }
        }
    }

    fn table(&mut self, table: &TableDef) {
        let object = Object(CLASS_RELATION, table.id.0, 0);
        self.on_schema(object, &table.schema);
        self.push(Object(CLASS_TYPE, table.row_type().0, 0), object, INTERNAL);
        self.array_of(table.row_type());
        for (place, column) in table.columns.iter().enumerate() {
            let own = Object(CLASS_RELATION, table.id.0, table.number(place));
            self.on_type(own, column.ty);
            let (text, purpose) = match (&column.generated, &column.default) {
                (Some(text), _) => (text, TableExpression::Generated(place)),
                (None, Some(text)) => (text, TableExpression::Default(place)),
                (None, None) => continue,
            };
            let default = Object(CLASS_DEFAULT, part_oid(table, table.number(place)), 0);
            self.push(default, own, AUTOMATIC);
            self.on_text(default, table, text, purpose);
        }
        self.rule(table);
    }

    /// A view's query.
    fn rule(&mut self, table: &TableDef) {
        let Some(definition) = table.query() else { return };
        let object = Object(CLASS_RULE, rule_oid(table), 0);
        self.push(object, Object(CLASS_RELATION, table.id.0, 0), INTERNAL);
        for dependency in &definition.dependencies {
            match dependency {
                Dependency::Relation(id, columns) => {
                    if let Some(read) = self.view.catalog().table(*id).cloned() {
                        self.on_columns(object, &read, columns, NORMAL);
                    }
                }
                Dependency::Function(id) => {
                    self.push(object, Object(CLASS_FUNCTION, id.0, 0), NORMAL);
                }
            }
        }
        if let Some(mentions) = Mentions::of_view(self.view.schema(), &definition.query) {
            let mentions = Mentions { functions: Default::default(), ..mentions };
            self.on_mentions(object, &mentions);
        }
    }

    fn constraints(&mut self, table: &TableDef) {
        for constraint in index::constraints(table) {
            let object = Object(CLASS_CONSTRAINT, constraint.oid, 0);
            let columns = constraint.columns(self.view, table);
            self.on_columns(object, table, &columns, AUTOMATIC);
            if let Some(key) = constraint.foreign
                && let Some(parent) = self.view.catalog().table(key.parent).cloned()
            {
                self.on_columns(object, &parent, &key.parent_columns, NORMAL);
                self.push(object, Object(CLASS_RELATION, key.parent_index.0, 0), NORMAL);
            }
            if let Some(condition) = constraint.condition {
                self.on_text(object, table, condition, TableExpression::Check);
            }
        }
    }

    fn indexes(&mut self, table: &TableDef) {
        for index in &table.indexes {
            let object = Object(CLASS_RELATION, index.id.0, 0);
            if index.constraint {
                self.push(object, Object(CLASS_CONSTRAINT, index.id.0, 0), INTERNAL);
                continue;
            }
            let plain = index.columns.iter().filter(|key| key.expression.is_none());
            let columns: Vec<usize> = plain.map(|key| key.column).chain(index.included.clone()).collect();
            self.on_columns(object, table, &columns, AUTOMATIC);
            let expressions = index.columns.iter().filter_map(|key| key.expression.as_ref());
            expressions.for_each(|text| self.on_text(object, table, text, TableExpression::Index));
            if let Some(predicate) = &index.predicate {
                self.on_text(object, table, predicate, TableExpression::IndexPredicate);
            }
        }
    }

    fn triggers(&mut self, table: &TableDef) {
        for trigger in &table.triggers {
            let object = Object(CLASS_TRIGGER, trigger.id, 0);
            self.push(object, Object(CLASS_FUNCTION, trigger.function.0, 0), NORMAL);
            self.on_columns(object, table, &trigger.columns, AUTOMATIC);
            let binder = Binder::new(self.view.schema(), &self.view.path);
            if let Some(when) = &trigger.when
                && let Ok((expr, _)) = analyze_trigger_condition(&binder.context(), table, when)
            {
                self.on_expr(object, &expr);
            }
        }
    }
}
