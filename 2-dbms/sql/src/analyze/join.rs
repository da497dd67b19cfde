//! Joins: ON, USING, NATURAL and what each side's columns are called afterwards (`transformJoinOnClause`,
//! `transformJoinUsingClause`).

use pg_query::protobuf::{JoinExpr, JoinType};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::from::Joined;
use super::scope::{Clause, ScopeColumn, ScopeItem};
use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind, From, JoinKind};

/// What USING or NATURAL makes of two sides.
struct Merged {
    on: Option<Expr>,
    columns: Vec<ScopeColumn>,
    names: Vec<String>,
}

impl Analyzer<'_> {
    pub(super) fn join(&mut self, join: &JoinExpr) -> Result<Joined> {
        let kind = match JoinType::try_from(join.jointype) {
            Ok(JoinType::JoinInner) => JoinKind::Inner,
            Ok(JoinType::JoinLeft) => JoinKind::Left,
            Ok(JoinType::JoinRight) => JoinKind::Right,
            Ok(JoinType::JoinFull) => JoinKind::Full,
            _ => return Err(SqlError::unsupported("this kind of join")),
        };
        let left = self.joined_item(join.larg.as_deref().ok_or_else(nodes::missing)?)?;
        // LATERAL items on the right see the left side.
        let before = self.scope().items.len();
        self.scope().items.extend(left.items.iter().cloned());
        let right = self.joined_item(join.rarg.as_deref().ok_or_else(nodes::missing)?);
        self.scope().items.truncate(before);
        let right = right?;
        let named = std::mem::replace(&mut self.scope().items, left.items.clone());
        let clash = self.check_names(&right.items);
        self.scope().items = named;
        clash?;

        let merged = if join.is_natural || !join.using_clause.is_empty() {
            self.join_using(join, kind, &left.columns, &right.columns)?
        } else {
            let on = self.join_on(join, &left.items, &right.items)?;
            Merged { on, columns: Vec::new(), names: Vec::new() }
        };
        let rest = |columns: &[ScopeColumn]| {
            let kept = columns.iter().filter(|column| !merged.names.contains(&column.name));
            kept.cloned().collect::<Vec<_>>()
        };
        let mut columns = merged.columns.clone();
        columns.extend(rest(&left.columns));
        columns.extend(rest(&right.columns));
        let items = self.join_items(join, left.items, right.items, &columns, &merged)?;
        let columns = items.last().map_or(columns, |item| item.columns.clone());
        let from = From::Join { kind, left: Box::new(left.from), right: Box::new(right.from), on: merged.on };
        Ok(Joined { from, items, columns })
    }

    /// What a join brings in sight: its sides by name, its columns, or all under its alias. The join itself is last.
    fn join_items(
        &mut self,
        join: &JoinExpr,
        left: Vec<ScopeItem>,
        right: Vec<ScopeItem>,
        columns: &[ScopeColumn],
        merged: &Merged,
    ) -> Result<Vec<ScopeItem>> {
        let item = |name: Option<&str>, columns: Vec<ScopeColumn>| ScopeItem {
            name: name.map(str::to_owned),
            schema: None,
            columns,
            relation: None,
            bare_columns: true,
            named: name.is_some(),
            scalar: false,
            table_oid: None,
        };
        let mut items = Vec::new();
        if let Some(alias) = &join.alias {
            let names = nodes::alias_columns(Some(alias));
            if names.len() > columns.len() {
                let message = format!(
                    "join expression \"{}\" has {} columns available but {} columns specified",
                    alias.aliasname,
                    columns.len(),
                    names.len()
                );
                return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message));
            }
            let mut renamed = columns.to_vec();
            renamed.iter_mut().zip(names).for_each(|(column, name)| column.name = name);
            self.saw(&alias.aliasname, None, None);
            items.push(item(Some(&alias.aliasname), renamed));
            return Ok(items);
        }
        // Sides without a name of their own are not needed any more.
        let sides = left.into_iter().chain(right).filter(|side| side.named);
        items.extend(sides.map(|side| ScopeItem { bare_columns: false, ..side }));
        if let Some(alias) = &join.join_using_alias {
            let mut using = item(Some(&alias.aliasname), merged.columns.clone());
            using.bare_columns = false;
            items.push(using);
        }
        items.push(item(None, columns.to_vec()));
        Ok(items)
    }

    fn join_on(&mut self, join: &JoinExpr, left: &[ScopeItem], right: &[ScopeItem]) -> Result<Option<Expr>> {
        let Some(node) = join.quals.as_deref() else { return Ok(None) };
        let sides = left.iter().chain(right).cloned().collect();
        let before = std::mem::replace(&mut self.scope().items, sides);
        let condition = self.in_clause(Clause::JoinOn, |analyzer| {
            let condition = analyzer.expression(node)?;
            analyzer.boolean(condition, "JOIN/ON")
        });
        self.scope().items = before;
        condition.map(Some)
    }

    fn join_using(
        &mut self,
        join: &JoinExpr,
        kind: JoinKind,
        left: &[ScopeColumn],
        right: &[ScopeColumn],
    ) -> Result<Merged> {
        let names: Vec<String> = if join.is_natural {
            let shared = left.iter().filter(|column| right.iter().any(|other| other.name == column.name));
            shared.map(|column| column.name.clone()).collect()
        } else {
            nodes::strings(&join.using_clause).into_iter().map(str::to_owned).collect()
        };
        let mut conditions = Vec::with_capacity(names.len());
        let mut columns = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                let message = format!("column name \"{name}\" appears more than once in USING clause");
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
            }
            let left = using_column(left, name, "left")?;
            let right = using_column(right, name, "right")?;
            let equal = self.operator("=", Some(left.value.clone()), right.value.clone(), -1)?;
            conditions.push(self.boolean(equal, "JOIN/USING")?);
            columns.push(ScopeColumn { name: name.clone(), value: self.merged_value(kind, left, right)? });
        }
        let on = match (conditions.pop(), conditions.is_empty()) {
            (None, _) => None,
            (Some(only), true) => Some(only),
            (Some(last), false) => {
                conditions.push(last);
                Some(Expr::new(ExprKind::And(conditions), TypeId::BOOL))
            }
        };
        Ok(Merged { on, columns, names })
    }

    /// The value of a merged column: that of the side which is always there.
    fn merged_value(&mut self, kind: JoinKind, left: &ScopeColumn, right: &ScopeColumn) -> Result<Expr> {
        let types = [left.value.ty, right.value.ty];
        let ty = self.common_type("JOIN/USING", &types, |_| None)?;
        match kind {
            JoinKind::Inner if types[0] != ty && types[1] == ty => Ok(right.value.clone()),
            JoinKind::Inner | JoinKind::Left => self.implicit(left.value.clone(), ty),
            JoinKind::Right => self.implicit(right.value.clone(), ty),
            JoinKind::Full => {
                let sides =
                    vec![self.implicit(left.value.clone(), ty)?, self.implicit(right.value.clone(), ty)?];
                Ok(Expr::new(ExprKind::Coalesce(sides), ty))
            }
        }
    }
}

fn using_column<'c>(columns: &'c [ScopeColumn], name: &str, side: &str) -> Result<&'c ScopeColumn> {
    let mut found = columns.iter().filter(|column| column.name == name);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => {
            let message = format!("common column name \"{name}\" appears more than once in {side} table");
            Err(SqlError::new(sqlstate::AMBIGUOUS_COLUMN, message))
        }
        _ => {
            let message =
                format!("column \"{name}\" specified in USING clause does not exist in {side} table");
            Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message))
        }
    }
}
