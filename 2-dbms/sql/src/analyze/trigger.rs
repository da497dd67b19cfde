//! CREATE TRIGGER, DROP TRIGGER, and WHEN conditions over OLD and NEW (`trigger.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{CreateTrigStmt, DropStmt};
use tuplix_catalog::{TableDef, TriggerEvent, TriggerTiming};
use tuplix_types::{Result, SqlError, sqlstate};

use super::scope::{Clause, ScopeItem, table_columns};
use super::{AnalyzeContext, Analyzer, Source, nodes, text};
use crate::plan::{CreateTrigger, Ddl, Expr, QualifiedName, Relation};

const BEFORE: i32 = 1 << 1;
const INSTEAD: i32 = 1 << 6;
const EVENTS: [(i32, TriggerEvent); 4] = [
    (1 << 2, TriggerEvent::Insert),
    (1 << 3, TriggerEvent::Delete),
    (1 << 4, TriggerEvent::Update),
    (1 << 5, TriggerEvent::Truncate),
];

impl Analyzer<'_> {
    pub(super) fn create_trigger(&mut self, stmt: &CreateTrigStmt) -> Result<CreateTrigger> {
        let table = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
        if stmt.isconstraint {
            return Err(self.unsupported("CREATE CONSTRAINT TRIGGER", table.location));
        }
        let mut transitions = [None, None];
        for node in &stmt.transition_rels {
            let NodeEnum::TriggerTransition(relation) = nodes::inner(node)? else {
                return Err(nodes::missing());
            };
            if !relation.is_table {
                let message = "ROW variable naming in the REFERENCING clause is not supported";
                return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
                    .hint("Use OLD TABLE or NEW TABLE for naming transition tables."));
            }
            transitions[usize::from(relation.is_new)] = Some(relation.name.clone());
        }
        let [old_table, new_table] = transitions;
        let arguments = stmt.args.iter().map(argument_text).collect::<Result<Vec<_>>>()?;
        Ok(CreateTrigger {
            name: stmt.trigname.clone(),
            table: self.qualified_name(table)?,
            or_replace: stmt.replace,
            timing: match stmt.timing & (BEFORE | INSTEAD) {
                BEFORE => TriggerTiming::Before,
                INSTEAD => TriggerTiming::Instead,
                _ => TriggerTiming::After,
            },
            row: stmt.row,
            events: EVENTS
                .iter()
                .filter(|(bit, _)| stmt.events & bit != 0)
                .map(|(_, event)| *event)
                .collect(),
            columns: nodes::strings(&stmt.columns).into_iter().map(str::to_owned).collect(),
            when: stmt.when_clause.as_deref().map(text::expression).transpose()?,
            function: self.listed_name(&stmt.funcname, -1)?,
            arguments,
            old_table,
            new_table,
        })
    }

    pub(super) fn drop_trigger(&mut self, stmt: &DropStmt) -> Result<Ddl> {
        let [NodeEnum::List(names)] = &stmt.objects.iter().map(nodes::inner).collect::<Result<Vec<_>>>()?[..]
        else {
            return Err(nodes::missing());
        };
        let Some((name, table)) = names.items.split_last() else { return Err(nodes::missing()) };
        let name = nodes::string(name).ok_or_else(nodes::missing)?.to_owned();
        let table: QualifiedName = self.listed_name(table, -1)?;
        Ok(Ddl::DropTrigger { name, table, if_exists: stmt.missing_ok })
    }
}

fn argument_text(node: &pg_query::protobuf::Node) -> Result<String> {
    match nodes::inner(node)? {
        NodeEnum::String(text) => Ok(text.sval.clone()),
        NodeEnum::Integer(number) => Ok(number.ival.to_string()),
        NodeEnum::Float(number) => Ok(number.fval.clone()),
        _ => Err(nodes::missing()),
    }
}

/// Analyses the WHEN condition of a trigger: OLD is [`crate::plan::RelationId`] 0, NEW is 1.
///
/// # Errors
/// Those of the condition, without positions.
pub fn analyze_trigger_condition(
    context: &AnalyzeContext<'_>,
    table: &TableDef,
    text: &str,
) -> Result<(Expr, Vec<Relation>)> {
    condition(Analyzer::new(context, None), table, text)
}

/// The same with the positions in `text` of the parts of the condition: characters, from 1 on.
///
/// # Errors
/// As [`analyze_trigger_condition`].
pub fn located_trigger_condition(context: &AnalyzeContext<'_>, table: &TableDef, text: &str) -> Result<Expr> {
    let source = Source { text, offset: 0 };
    Ok(condition(Analyzer::new(context, Some(source)), table, text)?.0)
}

fn condition(mut analyzer: Analyzer<'_>, table: &TableDef, text: &str) -> Result<(Expr, Vec<Relation>)> {
    let (expr, _) = analyzer.in_scope(|analyzer| {
        let columns = table_columns(table);
        for name in ["old", "new"] {
            let relation = analyzer.add_relation(name, columns.clone(), Some(table.id));
            let item = ScopeItem { bare_columns: false, ..ScopeItem::of_relation(name, relation, &columns) };
            analyzer.scope().items.push(item);
        }
        let value = analyzer.text_expression(text, Clause::TriggerWhen)?;
        analyzer.boolean(value, "WHEN")
    })?;
    Ok((expr, analyzer.relations))
}
