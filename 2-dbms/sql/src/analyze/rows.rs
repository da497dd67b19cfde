//! Row values and their comparison, field by field (`make_row_comparison_op`).

use pg_query::protobuf::Node;
use pg_query::protobuf::node::Node as NodeEnum;
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind};

impl Analyzer<'_> {
    /// The fields of a row written out.
    pub(super) fn row(&mut self, node: &Node) -> Result<Vec<Expr>> {
        match nodes::inner(node)? {
            NodeEnum::RowExpr(row) => self.row_fields(&row.args),
            NodeEnum::List(list) => self.row_fields(&list.items),
            _ => Ok(vec![self.expression(node)?]),
        }
    }

    /// The fields of ROW(...), in which `t.*` stands for all columns.
    pub(super) fn row_fields(&mut self, items: &[Node]) -> Result<Vec<Expr>> {
        let mut fields = Vec::with_capacity(items.len());
        for item in items {
            match nodes::inner(item)? {
                NodeEnum::ColumnRef(reference) if Analyzer::is_star(reference) => {
                    fields.extend(self.expand_star(reference)?.into_iter().map(|(_, value)| value));
                }
                _ => {
                    let field = self.expression(item)?;
                    fields.push(field);
                }
            }
        }
        Ok(fields)
    }

    /// `(a, b) < (c, d)`
    pub(super) fn compare_rows(
        &mut self,
        name: &str,
        left: Vec<Expr>,
        right: Vec<Expr>,
        location: i32,
    ) -> Result<Expr> {
        let position = self.at(location);
        if left.len() != right.len() {
            let message = "unequal number of entries in row expressions";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position));
        }
        if left.is_empty() {
            let message = "cannot compare rows of zero length";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        let place = left.first().and_then(|first| first.position).or(position);
        let mut pairs: Vec<(Expr, Expr)> = left.into_iter().zip(right).collect();
        if pairs.len() == 1
            && let Some((left, right)) = pairs.pop()
        {
            return self.operator(name, Some(left), right, location);
        }
        let kind = match name {
            "=" | "<>" => {
                let fields: Result<Vec<Expr>> =
                    pairs.into_iter().map(|(l, r)| self.operator(name, Some(l), r, location)).collect();
                if name == "=" { ExprKind::And(fields?) } else { ExprKind::Or(fields?) }
            }
            "<" | "<=" | ">" | ">=" => return self.lexicographic(name, pairs, location),
            _ => {
                let message = format!("could not determine interpretation of row comparison operator {name}");
                return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
                    .hint("Row comparison operators must be associated with btree operator families.")
                    .at(position));
            }
        };
        Ok(Expr { kind, ty: TypeId::BOOL, typmod: -1, position: place })
    }

    /// `a < c OR (a = c AND (b < d))`: NULL exactly where PostgreSQL's row comparison is.
    fn lexicographic(&mut self, name: &str, pairs: Vec<(Expr, Expr)>, location: i32) -> Result<Expr> {
        let strict = name.trim_end_matches('=');
        let mut rest: Option<Expr> = None;
        for (left, right) in pairs.into_iter().rev() {
            rest = Some(match rest {
                None => self.operator(name, Some(left), right, location)?,
                Some(rest) => {
                    let decided = self.operator(strict, Some(left.clone()), right.clone(), location)?;
                    let equal = self.operator("=", Some(left), right, location)?;
                    let place = decided.position;
                    let tail =
                        Expr { position: place, ..Expr::new(ExprKind::And(vec![equal, rest]), TypeId::BOOL) };
                    Expr { position: place, ..Expr::new(ExprKind::Or(vec![decided, tail]), TypeId::BOOL) }
                }
            });
        }
        rest.ok_or_else(nodes::missing)
    }
}
