//! What a bound expression or query names beside its columns: types, functions and relations of users.
//!
//! DROP asks it who stands in the way, `pg_depend` whom a dump must write first. Texts of the catalogue are bound when
//! somebody asks; nothing of it is stored.

use std::collections::BTreeSet;

use tuplix_catalog::{Catalog, FunctionId};
use tuplix_sql::parser;
use tuplix_sql::plan::{Expr, ExprKind, Query, StatementKind};
use tuplix_types::{TypeId, Value};

use crate::bind::Binder;
use crate::exec::{visit_expr, visit_query};
use crate::node::Schema;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Mentions {
    /// Types that users created, arrays of them and row types.
    pub types: BTreeSet<TypeId>,
    /// Functions that users created.
    pub functions: BTreeSet<FunctionId>,
    /// Relations whose object ids are constants: `nextval('s'::regclass)`.
    pub relations: BTreeSet<u32>,
}

impl Mentions {
    /// Those of an expression.
    pub(crate) fn of_expr(catalog: &Catalog, expr: &Expr) -> Mentions {
        let mut found = Mentions::default();
        visit_expr(expr, &mut |node| found.note(catalog, node));
        found
    }

    /// Those of a query and of the views in it.
    fn of_query(catalog: &Catalog, query: &Query) -> Mentions {
        let mut found = Mentions::default();
        visit_query(query, &mut |node| found.note(catalog, node));
        found
    }

    /// Those of a view's query as the catalogue keeps it; `None` when it does not bind.
    pub(crate) fn of_view(schema: &Schema, query: &str) -> Option<Mentions> {
        let parsed = parser::parse(query).ok()?.pop()?;
        let statement = Binder::new(schema, &[]).analyze(&parsed, &[]).ok()?;
        match &statement.kind {
            StatementKind::Query(query) => Some(Mentions::of_query(&schema.catalog, query)),
            _ => None,
        }
    }

    /// What a column has is not named by who reads the column.
    fn note(&mut self, catalog: &Catalog, node: &Expr) {
        match &node.kind {
            ExprKind::UserCall { function, .. } => {
                self.functions.insert(catalog.known_function(*function));
            }
            ExprKind::Constant(Value::Oid(oid)) if node.ty == TypeId::REGCLASS => {
                self.relations.insert(*oid);
            }
            ExprKind::Constant(_)
            | ExprKind::Relabel(_)
            | ExprKind::CastViaText(_)
            | ExprKind::CastElements { .. }
            | ExprKind::Domain { .. }
            | ExprKind::Row(_)
            | ExprKind::Array { .. }
                if node.ty.is_user() =>
            {
                self.types.insert(node.ty);
            }
            _ => {}
        }
    }
}
