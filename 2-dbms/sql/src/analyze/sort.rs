//! ORDER BY, GROUP BY keys and DISTINCT (`parse_clause.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{Node, SortBy, SortByDir, SortByNulls, a_const};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::equal::same;
use super::scope::Clause;
use super::targets::{Target, column_name};
use super::{Analyzer, nodes};
use crate::plan::{Distinct, Expr, ExprKind, SortKey, SortTarget};

impl Analyzer<'_> {
    /// ORDER BY of a SELECT; expressions that the select list lacks become hidden targets.
    pub(super) fn order_by(&mut self, clause: &[Node], targets: &mut Vec<Target>) -> Result<Vec<SortKey>> {
        let mut keys: Vec<SortKey> = Vec::with_capacity(clause.len());
        for node in clause {
            let NodeEnum::SortBy(sort) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let key = sort.node.as_deref().ok_or_else(nodes::missing)?;
            let target = self.sort_target(key, targets, Clause::OrderBy)?;
            self.settle_target(&mut targets[target])?;
            let place = self.at(nodes::location(key));
            self.add_key(&mut keys, SortTarget::Target(target), targets[target].value.ty, place, sort)?;
        }
        Ok(keys)
    }

    /// ORDER BY where only output columns may be named.
    pub(super) fn position_order(&mut self, clause: &[Node], targets: &mut [Target]) -> Result<Vec<SortKey>> {
        let mut keys = Vec::with_capacity(clause.len());
        for node in clause {
            let NodeEnum::SortBy(sort) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let key = sort.node.as_deref().ok_or_else(nodes::missing)?;
            let target = match self.named_target(key, targets, Clause::OrderBy)? {
                Some(target) => target,
                None => {
                    if let NodeEnum::ColumnRef(reference) = nodes::inner(key)?
                        && let [name] = nodes::strings(&reference.fields)[..]
                    {
                        let message = format!("column \"{name}\" does not exist");
                        let error = SqlError::new(sqlstate::UNDEFINED_COLUMN, message);
                        return Err(error.at(self.at(reference.location)));
                    }
                    return Err(SqlError::new(
                        sqlstate::FEATURE_NOT_SUPPORTED,
                        "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
                    )
                    .detail("Only result column names can be used, not expressions or functions.")
                    .hint(
                        "Add the expression/function to every SELECT, or move the UNION into a FROM clause.",
                    )
                    .at(self.at(nodes::location(key))));
                }
            };
            let place = self.at(nodes::location(key));
            self.add_key(&mut keys, SortTarget::Target(target), targets[target].value.ty, place, sort)?;
        }
        Ok(keys)
    }

    /// ORDER BY inside of windows: plain expressions.
    pub(super) fn expression_order(&mut self, clause: &[Node]) -> Result<Vec<SortKey>> {
        let mut keys = Vec::with_capacity(clause.len());
        for node in clause {
            let NodeEnum::SortBy(sort) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let value = self.operand(sort.node.as_deref())?;
            let value = self.settle_unknown(value)?;
            let (ty, place) = (value.ty, value.position);
            self.add_key(&mut keys, SortTarget::Expr(Box::new(value)), ty, place, sort)?;
        }
        Ok(keys)
    }

    /// ORDER BY inside of an aggregate call.
    pub(super) fn aggregate_order(
        &mut self,
        clause: &[Node],
        arguments: &[Expr],
        distinct: bool,
    ) -> Result<Vec<SortKey>> {
        let mut keys = self.expression_order(clause)?;
        if distinct {
            for key in &mut keys {
                let SortTarget::Expr(value) = &mut key.key else { continue };
                // An implicit cast of the argument does not tell them apart.
                let uncast = |argument: &&Expr| matches!(&argument.kind, ExprKind::Relabel(inner) if same(inner, value));
                if let Some(argument) = arguments.iter().find(uncast) {
                    **value = argument.clone();
                }
                if !arguments.iter().any(|argument| same(argument, value)) {
                    let message =
                        "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
                    return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message).at(value.position));
                }
            }
        }
        Ok(keys)
    }

    pub(super) fn add_key(
        &mut self,
        keys: &mut Vec<SortKey>,
        key: SortTarget,
        ty: TypeId,
        position: Option<u32>,
        sort: &SortBy,
    ) -> Result<()> {
        let descending = match SortByDir::try_from(sort.sortby_dir) {
            Ok(SortByDir::SortbyDesc) => true,
            Ok(SortByDir::SortbyUsing) => match nodes::strings(&sort.use_op).last() {
                Some(&"<") => false,
                Some(&">") => true,
                _ => return Err(self.unsupported("this operator in ORDER BY ... USING", sort.location)),
            },
            _ => false,
        };
        let nulls_first = match SortByNulls::try_from(sort.sortby_nulls) {
            Ok(SortByNulls::SortbyNullsFirst) => true,
            Ok(SortByNulls::SortbyNullsLast) => false,
            _ => descending,
        };
        self.ordered(ty, position)?;
        // A key that is there already decides nothing.
        let repeated = matches!(&key, SortTarget::Target(target)
            if keys.iter().any(|other| matches!(&other.key, SortTarget::Target(seen) if seen == target)));
        if !repeated {
            keys.push(SortKey { key, descending, nulls_first });
        }
        Ok(())
    }

    /// Refuses types without order.
    pub(super) fn ordered(&self, ty: TypeId, position: Option<u32>) -> Result<()> {
        if ty.is_row() || self.resolver().operator("<", Some(ty), ty).is_ok() {
            return Ok(());
        }
        let message = format!("could not identify an ordering operator for type {ty}");
        Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message)
            .hint("Use an explicit ordering operator or modify the query.")
            .at(position))
    }

    /// Refuses types without equality.
    fn comparable(&self, ty: TypeId, position: Option<u32>) -> Result<()> {
        if ty.is_row() || self.resolver().operator("=", Some(ty), ty).is_ok() {
            return Ok(());
        }
        let message = format!("could not identify an equality operator for type {ty}");
        Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message).at(position))
    }

    /// The target that a key means: by name, by position, by being equal, or a new hidden one.
    fn sort_target(&mut self, key: &Node, targets: &mut Vec<Target>, clause: Clause) -> Result<usize> {
        if let Some(target) = self.named_target(key, targets, clause)? {
            return Ok(target);
        }
        let value = self.expression(key)?;
        if let Some(target) = targets.iter().position(|target| same(&target.value, &value)) {
            return Ok(target);
        }
        targets.push(Target { name: column_name(Some(key)), value, visible: false });
        Ok(targets.len() - 1)
    }

    /// The target that a key names by output name or position (SQL92's rule).
    fn named_target(&mut self, key: &Node, targets: &[Target], clause: Clause) -> Result<Option<usize>> {
        match nodes::inner(key)? {
            NodeEnum::ColumnRef(reference) if reference.fields.len() == 1 => {
                let Some(name) = nodes::strings(&reference.fields).first().copied() else { return Ok(None) };
                // GROUP BY prefers a column of FROM.
                if clause == Clause::GroupBy && self.own_column(name) {
                    return Ok(None);
                }
                self.target_named(name, targets, clause, reference.location)
            }
            NodeEnum::AConst(constant) => match &constant.val {
                Some(a_const::Val::Ival(number)) => {
                    let visible = targets.iter().filter(|target| target.visible).count();
                    let index = usize::try_from(number.ival).ok().and_then(|number| number.checked_sub(1));
                    match index.filter(|index| *index < visible) {
                        Some(index) => Ok(Some(index)),
                        None => {
                            let message =
                                format!("{} position {} is not in select list", clause.name(), number.ival);
                            let error = SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message);
                            Err(error.at(self.at(constant.location)))
                        }
                    }
                }
                _ => {
                    let message = format!("non-integer constant in {}", clause.name());
                    Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(constant.location)))
                }
            },
            _ => Ok(None),
        }
    }

    fn target_named(
        &self,
        name: &str,
        targets: &[Target],
        clause: Clause,
        location: i32,
    ) -> Result<Option<usize>> {
        let mut found: Option<usize> = None;
        for (index, target) in
            targets.iter().enumerate().filter(|(_, target)| target.visible && target.name == name)
        {
            match found {
                Some(first) if !same(&targets[first].value, &target.value) => {
                    let message = format!("{} \"{name}\" is ambiguous", clause.name());
                    return Err(SqlError::new(sqlstate::AMBIGUOUS_COLUMN, message).at(self.at(location)));
                }
                Some(_) => {}
                None => found = Some(index),
            }
        }
        Ok(found)
    }

    /// Whether the current query's FROM has a column of this name.
    fn own_column(&self, name: &str) -> bool {
        let Some(scope) = self.scopes.last() else { return false };
        let mut items = scope.items.iter().filter(|item| item.bare_columns);
        items.any(|item| item.columns.iter().any(|column| column.name == name))
    }

    fn settle_target(&mut self, target: &mut Target) -> Result<()> {
        if target.value.ty == TypeId::UNKNOWN {
            let value = std::mem::replace(&mut target.value, super::functions::null(TypeId::UNKNOWN));
            target.value = self.settle_unknown(value)?;
        }
        Ok(())
    }

    /// A key of GROUP BY.
    pub(super) fn group_key(&mut self, node: &Node, targets: &[Target]) -> Result<Expr> {
        let value = match self.named_target(node, targets, Clause::GroupBy)? {
            Some(target) => targets[target].value.clone(),
            None => self.expression(node)?,
        };
        let value = self.settle_unknown(value)?;
        if contains_aggregate(&value) {
            let message = "aggregate functions are not allowed in GROUP BY";
            return Err(SqlError::new(sqlstate::GROUPING_ERROR, message).at(value.position));
        }
        if let Some(position) = window_position(&value) {
            let message = "window functions are not allowed in GROUP BY";
            return Err(SqlError::new(sqlstate::WINDOWING_ERROR, message).at(position));
        }
        self.comparable(value.ty, self.at(nodes::location(node)))?;
        Ok(value)
    }

    /// DISTINCT and DISTINCT ON.
    pub(super) fn distinct(
        &mut self,
        clause: &[Node],
        targets: &mut Vec<Target>,
        order_by: &[SortKey],
    ) -> Result<Distinct> {
        match clause {
            [] => return Ok(Distinct::No),
            // DISTINCT alone is a list of one empty node.
            [only] if only.node.is_none() => {
                for target in targets.iter_mut() {
                    if target.visible {
                        self.settle_target(target)?;
                        self.comparable(target.value.ty, target.value.position)?;
                    }
                }
                let hidden = |key: &&SortKey| matches!(key.key, SortTarget::Target(target) if !targets[target].visible);
                if let Some(SortKey { key: SortTarget::Target(target), .. }) = order_by.iter().find(hidden) {
                    let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                    let error = SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message);
                    return Err(error.at(targets[*target].value.position));
                }
                return Ok(Distinct::All);
            }
            _ => {}
        }
        let mut positions: Vec<usize> = Vec::with_capacity(clause.len());
        for node in clause {
            let target = self.in_clause(Clause::DistinctOn, |analyzer| {
                analyzer.sort_target(node, targets, Clause::DistinctOn)
            })?;
            self.settle_target(&mut targets[target])?;
            self.comparable(targets[target].value.ty, targets[target].value.position)?;
            if !positions.contains(&target) {
                positions.push(target);
            }
        }
        let sorted = order_by.iter().take(positions.len());
        for key in sorted {
            let SortTarget::Target(target) = key.key else { continue };
            if !positions.contains(&target) {
                let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
                let first = self.at(clause.first().map_or(-1, nodes::location));
                return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message).at(first));
            }
        }
        Ok(Distinct::On(positions))
    }
}

/// Where a window call's value is used in an expression.
fn window_position(expr: &Expr) -> Option<Option<u32>> {
    if let ExprKind::Window(_) = expr.kind {
        return Some(expr.position);
    }
    let mut found = None;
    super::walk::operands(&mut expr.clone(), &mut |operand| {
        found = found.or_else(|| window_position(operand))
    });
    found
}

/// Whether an aggregate's value is used in an expression.
fn contains_aggregate(expr: &Expr) -> bool {
    let mut copy = expr.clone();
    let mut found = false;
    fn look(expr: &mut Expr, found: &mut bool) {
        *found |= matches!(expr.kind, ExprKind::Aggregate(_));
        super::walk::operands(expr, &mut |operand| look(operand, found));
    }
    look(&mut copy, &mut found);
    found
}
