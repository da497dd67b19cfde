//! Subqueries in expressions (`transformSubLink`).

use pg_query::protobuf::{Node, SubLink, SubLinkType};
use tuplix_functions::Function;
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind, Query, SubqueryKind};

impl Analyzer<'_> {
    pub(super) fn sublink(&mut self, link: &SubLink) -> Result<Expr> {
        let position = self.at(link.location);
        if let Some(message) = self.clause().no_subquery() {
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        let link_type = SubLinkType::try_from(link.sub_link_type).map_err(|_| nodes::missing())?;
        if matches!(link_type, SubLinkType::AnySublink | SubLinkType::AllSublink) {
            return self.compare_with_subquery(link, link_type == SubLinkType::AllSublink);
        }
        let mut query = self.query(nodes::required(link.subselect.as_deref())?)?;
        self.settle_query(&mut query)?;
        let made = |kind, query, ty, typmod| Expr {
            kind: ExprKind::Subquery { kind, query: Box::new(query) },
            ty,
            typmod,
            position,
        };
        match link_type {
            SubLinkType::ExistsSublink => Ok(made(SubqueryKind::Exists, query, TypeId::BOOL, -1)),
            SubLinkType::ExprSublink | SubLinkType::ArraySublink => {
                let [column] = &query.columns[..] else {
                    let message = "subquery must return only one column";
                    return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position));
                };
                let (ty, typmod) = (column.ty, column.typmod);
                if link_type == SubLinkType::ExprSublink {
                    return Ok(made(SubqueryKind::Scalar, query, ty, typmod));
                }
                let array =
                    if ty.element().is_some() { Some(ty) } else { ty.array_of() }.ok_or_else(|| {
                        let message = format!("could not find array type for data type {ty}");
                        SqlError::new(sqlstate::UNDEFINED_OBJECT, message).at(position)
                    })?;
                Ok(made(SubqueryKind::Array, query, array, typmod))
            }
            _ => Err(self.unsupported("this kind of subquery", link.location)),
        }
    }

    /// `x = ANY (SELECT ...)`, `x IN (SELECT ...)`, `(a, b) IN (SELECT ...)`
    fn compare_with_subquery(&mut self, link: &SubLink, all: bool) -> Result<Expr> {
        let names = nodes::strings(&link.oper_name);
        let name = names.last().copied().unwrap_or("=");
        let test = link.testexpr.as_deref().ok_or_else(nodes::missing)?;
        let left = self.row(test)?;
        let query = self.query(nodes::required(link.subselect.as_deref())?)?;
        self.compare_columns(name, left, query, Some(all), link.location)
    }

    /// `ROW(a, b) = (SELECT ...)`
    pub(super) fn row_subquery(
        &mut self,
        name: &str,
        left: &Node,
        link: &SubLink,
        location: i32,
    ) -> Result<Expr> {
        let fields = self.row(left)?;
        if fields.len() > 1 {
            return Err(self.unsupported("comparing a row with a subquery of one row", location));
        }
        let right = self.sublink(link)?;
        let left = fields.into_iter().next().ok_or_else(nodes::missing)?;
        self.operator(name, Some(left), right, location)
    }

    fn compare_columns(
        &mut self,
        name: &str,
        left: Vec<Expr>,
        mut query: Query,
        all: Option<bool>,
        location: i32,
    ) -> Result<Expr> {
        let position = self.at(location);
        let wrong = |message: &str| SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position);
        if left.len() < query.columns.len() {
            return Err(wrong("subquery has too many columns"));
        }
        if left.len() > query.columns.len() {
            return Err(wrong("subquery has too few columns"));
        }
        if left.len() > 1 && name != "=" {
            return Err(
                self.unsupported(format_args!("operator {name} between rows and a subquery"), location)
            );
        }
        let place = left.first().and_then(|first| first.position).or(position);
        let mut lefts = Vec::with_capacity(left.len());
        let mut functions: Vec<&'static Function> = Vec::with_capacity(left.len());
        let mut types = Vec::with_capacity(left.len());
        for (value, column) in left.into_iter().zip(&query.columns) {
            let resolved =
                self.resolver().operator(name, Some(value.ty), column.ty).map_err(|e| e.at(position))?;
            if resolved.result != TypeId::BOOL {
                let message =
                    format!("row comparison operator must yield type boolean, not type {}", resolved.result);
                return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position));
            }
            lefts.push(self.implicit(value, resolved.args[0])?);
            functions.push(resolved.function);
            types.push(resolved.args[1]);
        }
        self.coerce_query(&mut query, &types)?;
        let kind = SubqueryKind::Compare { left: lefts, functions, all: all.unwrap_or(false) };
        let kind = ExprKind::Subquery { kind, query: Box::new(query) };
        Ok(Expr { kind, ty: TypeId::BOOL, typmod: -1, position: place })
    }
}
