//! WITH: common table expressions, recursive and data-modifying ones too (`parse_cte.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    CommonTableExpr, CteMaterialize, JoinType, Node, RangeVar, SelectStmt, SetOperation as ParsedOperation,
    WithClause,
};
use tuplix_catalog::FunctionVolatility;
use tuplix_functions::Volatility;
use tuplix_types::{Result, SqlError, TypeId, sqlstate, typmod};

use super::from::Joined;
use super::scope::{CteEntry, ScopeItem};
use super::walk::{operands, query_expressions, subquery};
use super::{Analyzer, nodes};
use crate::plan::{
    Cte, CteId, Expr, ExprKind, From, OutputColumn, Query, QueryBody, RecursivePart, SetOperation,
};

impl Analyzer<'_> {
    /// The WITH queries of the current level; afterwards they are in sight.
    pub(super) fn with_clause(&mut self, clause: Option<&WithClause>) -> Result<Vec<Cte>> {
        let Some(clause) = clause else { return Ok(Vec::new()) };
        let mut ctes: Vec<Cte> = Vec::with_capacity(clause.ctes.len());
        for node in &clause.ctes {
            let NodeEnum::CommonTableExpr(cte) = nodes::inner(node)? else { return Err(nodes::missing()) };
            if ctes.iter().any(|other| other.name == cte.ctename) {
                let message = format!("WITH query name \"{}\" specified more than once", cte.ctename);
                return Err(SqlError::new(sqlstate::DUPLICATE_ALIAS, message).at(self.at(cte.location)));
            }
            ctes.push(self.common_table(cte, clause.recursive)?);
        }
        Ok(ctes)
    }

    fn common_table(&mut self, cte: &CommonTableExpr, recursive: bool) -> Result<Cte> {
        let node = nodes::required(cte.ctequery.as_deref())?;
        if let NodeEnum::MergeStmt(_) = node {
            let error = SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, "MERGE not supported in WITH query");
            return Err(error.at(self.at(cte.location)));
        }
        let id = CteId(self.next_cte);
        self.next_cte += 1;
        let materialized = cte.ctematerialized == CteMaterialize::Always as i32;
        let (mut query, part) = match node {
            NodeEnum::SelectStmt(select) if recursive => self.recursive_table(cte, select, id)?,
            NodeEnum::SelectStmt(_) => (self.query(node)?, None),
            _ => {
                if self.scopes.len() > 1 {
                    let message =
                        "WITH clause containing a data-modifying statement must be at the top level";
                    return Err(
                        SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(self.at(cte.location))
                    );
                }
                (self.query(node)?, None)
            }
        };
        let mut columns = self.cte_columns(cte, &query.columns)?;
        let part = self.search_and_cycle(cte, id, &columns, &mut query, part)?;
        columns.extend(query.columns.iter().skip(columns.len()).cloned());
        let entries = &mut self.scope().ctes;
        entries.retain(|entry| entry.id != id);
        entries.push(CteEntry { name: cte.ctename.clone(), id, columns, references: 0, forbidden: None });
        Ok(Cte { id, name: cte.ctename.clone(), query, recursive: part.map(Box::new), materialized })
    }

    /// The columns of a WITH query under the names that it gives them.
    fn cte_columns(&self, cte: &CommonTableExpr, columns: &[OutputColumn]) -> Result<Vec<OutputColumn>> {
        let names = nodes::strings(&cte.aliascolnames);
        if names.len() > columns.len() {
            let message = format!(
                "WITH query \"{}\" has {} columns available but {} columns specified",
                cte.ctename,
                columns.len(),
                names.len()
            );
            return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message).at(self.at(cte.location)));
        }
        let mut columns = columns.to_vec();
        columns.iter_mut().zip(names).for_each(|(column, name)| column.name = name.to_owned());
        Ok(columns)
    }

    /// A query of WITH RECURSIVE, which may name itself in its second part.
    fn recursive_table(
        &mut self,
        cte: &CommonTableExpr,
        select: &SelectStmt,
        id: CteId,
    ) -> Result<(Query, Option<RecursivePart>)> {
        let name = &cte.ctename;
        let entry =
            |columns, forbidden| CteEntry { name: name.clone(), id, columns, references: 0, forbidden };
        let simple = select.op == ParsedOperation::SetopUnion as i32 && select.with_clause.is_none();
        if !simple {
            let reason = "does not have the form non-recursive-term UNION [ALL] recursive-term";
            self.scope().ctes.push(entry(Vec::new(), Some(reason)));
            // The error is about the WITH query rather than the place of its name.
            let query = self.select_query(select).map_err(|mut error| {
                if error.sqlstate() == sqlstate::INVALID_RECURSION && error.message().ends_with(reason) {
                    error.fields_mut().position = self.at(cte.location);
                }
                error
            })?;
            return Ok((query, None));
        }
        self.scope().ctes.push(entry(Vec::new(), Some("must not appear within its non-recursive term")));
        let mut left = self.branch(select.larg.as_deref().ok_or_else(nodes::missing)?)?;
        self.settle_query(&mut left)?;
        let columns = self.cte_columns(cte, &left.columns)?;
        let entries = &mut self.scope().ctes;
        entries.retain(|entry| entry.id != id);
        entries.push(entry(columns, None));
        let right_stmt = select.rarg.as_deref().ok_or_else(nodes::missing)?;
        if let Some(location) =
            right_stmt.from_clause.iter().find_map(|from| in_outer_join(from, name, false))
        {
            let message =
                format!("recursive reference to query \"{name}\" must not appear within an outer join");
            return Err(SqlError::new(sqlstate::INVALID_RECURSION, message).at(self.at(location)));
        }
        let mut right = self.branch(right_stmt)?;
        if let QueryBody::Select(select) = &right.body
            && !select.aggregates.is_empty()
            && select.from.iter().any(|from| reads(from, id))
        {
            let message = "aggregate functions are not allowed in a recursive query's recursive term";
            return Err(SqlError::new(sqlstate::INVALID_RECURSION, message).at(self.at(cte.location)));
        }
        let references =
            self.scope().ctes.iter().find(|entry| entry.id == id).map_or(0, |entry| entry.references);
        if references == 0 {
            // Not recursive after all; once more as a plain union, whose ORDER BY and LIMIT count too.
            return Ok((self.select_query(select)?, None));
        }
        if references > 1 {
            let message = format!("recursive reference to query \"{name}\" must not appear more than once");
            return Err(SqlError::new(sqlstate::INVALID_RECURSION, message));
        }
        self.refuse_recursive_extras(select)?;
        if left.columns.len() != right.columns.len() {
            let message = "each UNION query must have the same number of columns";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        for (index, (l, r)) in left.columns.iter().zip(&right.columns).enumerate() {
            let overall = self.common_type("UNION", &[l.ty, r.ty], |_| None)?;
            let modifier = if r.ty == overall && l.typmod == r.typmod { l.typmod } else { -1 };
            if overall != l.ty || modifier != l.typmod {
                let message = format!(
                    "recursive query \"{name}\" column {} has type {} in non-recursive term but type {} overall",
                    index + 1,
                    typmod::format_type(l.ty, l.typmod),
                    typmod::format_type(overall, modifier)
                );
                return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
                    .hint("Cast the output of the non-recursive term to the correct type.")
                    .at(super::set_operation::target_position(&left, index)));
            }
        }
        let types: Vec<TypeId> = left.columns.iter().map(|column| column.ty).collect();
        self.coerce_query(&mut right, &types)?;
        Ok((left, Some(RecursivePart { query: right, all: select.all })))
    }

    fn refuse_recursive_extras(&self, select: &SelectStmt) -> Result<()> {
        let what = if !select.sort_clause.is_empty() {
            "ORDER BY"
        } else if select.limit_offset.is_some() {
            "OFFSET"
        } else if select.limit_count.is_some() {
            "LIMIT"
        } else if !select.locking_clause.is_empty() {
            "FOR UPDATE/SHARE"
        } else {
            return Ok(());
        };
        let message = format!("{what} in a recursive query is not implemented");
        Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
    }

    /// Whether a bare name is a WITH query in sight.
    pub(super) fn is_cte(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.ctes.iter().any(|entry| entry.name == name))
    }

    /// A WITH query as a FROM item.
    pub(super) fn cte_reference(&mut self, name: &RangeVar) -> Result<Option<Joined>> {
        let position = self.at(name.location);
        let mut entries = self.scopes.iter_mut().rev().flat_map(|scope| scope.ctes.iter_mut());
        let Some(entry) = entries.find(|entry| entry.name == name.relname) else { return Ok(None) };
        entry.references += 1;
        if let Some(reason) = entry.forbidden {
            let message = if reason.starts_with("does not") {
                format!("recursive query \"{}\" {reason}", name.relname)
            } else {
                format!("recursive reference to query \"{}\" {reason}", name.relname)
            };
            return Err(SqlError::new(sqlstate::INVALID_RECURSION, message).at(position));
        }
        let (cte, columns) = (entry.id, entry.columns.clone());
        if columns.is_empty() {
            let message = format!("WITH query \"{}\" does not have a RETURNING clause", name.relname);
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        let alias = name.alias.as_ref();
        let shown = alias.map_or(name.relname.as_str(), |alias| alias.aliasname.as_str());
        let columns = self.aliased(shown, columns, alias)?;
        let relation = self.add_relation(shown, columns.clone(), None);
        self.saw(shown, Some(&name.relname), Some(relation));
        let item = ScopeItem::of_relation(shown, relation, &columns);
        Ok(Some(Joined {
            from: From::Cte { relation, cte },
            columns: item.columns.clone(),
            items: vec![item],
        }))
    }

    /// Decides which WITH queries must be computed once, now that their uses are known.
    pub(super) fn finish_ctes(&mut self, query: &mut Query) {
        let references: Vec<(CteId, usize)> =
            self.scope().ctes.iter().map(|entry| (entry.id, entry.references)).collect();
        for cte in &mut query.ctes {
            let used = references.iter().find(|(id, _)| *id == cte.id).map_or(0, |(_, count)| *count);
            let changes =
                matches!(cte.query.body, QueryBody::Insert(_) | QueryBody::Update(_) | QueryBody::Delete(_));
            let locks = !cte.query.locking.is_empty();
            cte.materialized |=
                used > 1 || changes || locks || cte.recursive.is_some() || self.is_volatile(&mut cte.query);
        }
    }

    fn is_volatile(&self, query: &mut Query) -> bool {
        let mut volatile = false;
        query_expressions(query, &mut |expr| volatile |= self.is_volatile_expr(expr));
        volatile
    }

    fn is_volatile_expr(&self, expr: &mut Expr) -> bool {
        let own = match &expr.kind {
            ExprKind::Call { function, .. } => function.volatility == Volatility::Volatile,
            ExprKind::UserCall { function, .. } => {
                let function = self.context.catalog.function(*function);
                function.is_none_or(|function| function.volatility == FunctionVolatility::Volatile)
            }
            _ => false,
        };
        let mut volatile = own;
        operands(expr, &mut |operand| volatile |= self.is_volatile_expr(operand));
        volatile || subquery(expr).is_some_and(|query| self.is_volatile(query))
    }
}

impl SetOperation {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            SetOperation::Union => "UNION",
            SetOperation::Intersect => "INTERSECT",
            SetOperation::Except => "EXCEPT",
        }
    }
}

/// Where a recursive term names its query on a side of an outer join that may be missing.
fn in_outer_join(from: &Node, name: &str, nullable: bool) -> Option<i32> {
    match from.node.as_ref()? {
        NodeEnum::RangeVar(table) => {
            (nullable && table.relname == name && table.schemaname.is_empty()).then_some(table.location)
        }
        NodeEnum::JoinExpr(join) => {
            let kind = JoinType::try_from(join.jointype);
            let left = nullable || matches!(kind, Ok(JoinType::JoinRight | JoinType::JoinFull));
            let right = nullable || matches!(kind, Ok(JoinType::JoinLeft | JoinType::JoinFull));
            let side = |node: &Option<Box<Node>>, nullable| in_outer_join(node.as_deref()?, name, nullable);
            side(&join.larg, left).or_else(|| side(&join.rarg, right))
        }
        _ => None,
    }
}

/// Whether a FROM item has the rows of a WITH query.
fn reads(from: &From, id: CteId) -> bool {
    match from {
        From::Cte { cte, .. } => *cte == id,
        From::Join { left, right, .. } => reads(left, id) || reads(right, id),
        _ => false,
    }
}
