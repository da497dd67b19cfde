//! Assigning to a part of a value: `a[2]`, `a[1:2]`, `c.f`, `d['key']` (`transformAssignmentIndirection`).
//!
//! The column or variable is assigned as a whole: what it was, with the part replaced.

use pg_query::protobuf::Node;
use pg_query::protobuf::node::Node as NodeEnum;
use tuplix_catalog::TableDef;
use tuplix_functions::CastContext;
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::records::field_of;
use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind};

impl Analyzer<'_> {
    /// `base` with the part that `path` names replaced by `value`; `name` is that of the column, for errors.
    pub(super) fn with_part(&mut self, base: Expr, path: &[Node], value: Expr, name: &str) -> Result<Expr> {
        let Some(first) = path.first() else {
            let (ty, typmod) = (base.ty, base.typmod);
            return self.assign(value, name, ty, typmod);
        };
        if base.ty.is_domain() {
            let domain = base.ty;
            let plain = self.without_domain(base);
            let whole = self.with_part(plain, path, value, name)?;
            return self.cast_to_domain(whole, domain, CastContext::Assignment)?.ok_or_else(nodes::missing);
        }
        match nodes::inner(first)? {
            NodeEnum::String(field) => self.with_field(base, &field.sval, &path[1..], value, name),
            NodeEnum::AIndices(_) => {
                let is_index = |node: &&Node| matches!(node.node, Some(NodeEnum::AIndices(_)));
                let (indices, rest) = path.split_at(path.iter().take_while(is_index).count());
                match base.ty {
                    TypeId::JSONB => self.with_json(base, indices, rest, value, name),
                    _ => self.with_element(base, indices, rest, value, name),
                }
            }
            _ => {
                let message = "row expansion via \"*\" is not supported here";
                Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
            }
        }
    }

    fn with_field(
        &mut self,
        base: Expr,
        field: &str,
        rest: &[Node],
        value: Expr,
        name: &str,
    ) -> Result<Expr> {
        let (ty, position) = (base.ty, value.position);
        let Some(columns) = self.named_columns(ty).filter(|_| ty.is_composite()) else {
            let message = format!(
                "cannot assign to field \"{field}\" of column \"{name}\" because its type {ty} is not a composite type"
            );
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position));
        };
        let Some(index) = columns.iter().position(|column| column.name == field) else {
            let message = format!(
                "cannot assign to field \"{field}\" of column \"{name}\" because there is no such column in data type {ty}"
            );
            return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(position));
        };
        let inner = field_of(&base, index, &columns[index]);
        let given = value.ty;
        let value = self.with_part(inner, rest, value, field).map_err(|error| match error.sqlstate() {
            sqlstate::DATATYPE_MISMATCH if rest.is_empty() => {
                let wanted = columns[index].ty;
                let message =
                    format!("subfield \"{field}\" is of type {wanted} but expression is of type {given}");
                SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
                    .hint("You will need to rewrite or cast the expression.")
                    .at(position)
            }
            _ => error,
        })?;
        let kind = ExprKind::SetField {
            record: Box::new(base),
            index,
            width: columns.len(),
            value: Box::new(value),
        };
        Ok(Expr { kind, ty, typmod: -1, position })
    }

    fn with_element(
        &mut self,
        base: Expr,
        indices: &[Node],
        rest: &[Node],
        value: Expr,
        name: &str,
    ) -> Result<Expr> {
        let (ty, typmod, position) = (base.ty, base.typmod, value.position);
        let Some(element) = ty.element() else {
            let message = format!("cannot subscript type {ty} because it does not support subscripting");
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position));
        };
        let (subscripts, slice) = self.subscript_list(indices)?;
        let wanted = if slice { ty } else { element };
        let kind =
            ExprKind::Subscript { array: Box::new(base.clone()), subscripts: subscripts.clone(), slice };
        let inner = Expr { kind, ty: wanted, typmod, position };
        let given = value.ty;
        let value = self.with_part(inner, rest, value, name).map_err(|error| match error.sqlstate() {
            sqlstate::DATATYPE_MISMATCH if rest.is_empty() => mismatch(name, wanted, given, position),
            _ => error,
        })?;
        let kind = ExprKind::SetElement { array: Box::new(base), subscripts, slice, value: Box::new(value) };
        Ok(Expr { kind, ty, typmod, position })
    }

    fn with_json(
        &mut self,
        base: Expr,
        indices: &[Node],
        rest: &[Node],
        value: Expr,
        name: &str,
    ) -> Result<Expr> {
        let position = value.position;
        if !rest.is_empty() {
            let message =
                format!("cannot assign to a field of column \"{name}\" because it is of type jsonb");
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position));
        }
        let mut path = Vec::with_capacity(indices.len());
        for node in indices {
            let NodeEnum::AIndices(index) = nodes::inner(node)? else { return Err(nodes::missing()) };
            if index.is_slice {
                let message = "jsonb subscript does not support slices";
                return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).at(position));
            }
            let key = self.operand(index.uidx.as_deref())?;
            path.push(self.json_key(key)?);
        }
        let given = value.ty;
        let value = self.coerce(value, TypeId::JSONB, -1, CastContext::Assignment)?;
        let value = value.ok_or_else(|| mismatch(name, TypeId::JSONB, given, position))?;
        let kind = ExprKind::SetJson { target: Box::new(base), path, value: Box::new(value) };
        Ok(Expr { kind, ty: TypeId::JSONB, typmod: -1, position })
    }

    /// A key of `jsonb`: an `integer` or a `text`.
    fn json_key(&mut self, key: Expr) -> Result<Expr> {
        let (from, position) = (key.ty, key.position);
        let wanted = match from {
            TypeId::INT2 | TypeId::INT4 => TypeId::INT4,
            _ => TypeId::TEXT,
        };
        self.coerce(key, wanted, -1, CastContext::Implicit)?.ok_or_else(|| {
            let message = format!("subscript type {from} is not supported");
            SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
                .hint("jsonb subscript must be coercible to either integer or text.")
                .at(position)
        })
    }

    /// A value, or DEFAULT which no part has, for a part of a column.
    pub(super) fn part_value(&mut self, node: &Node, path: &[Node]) -> Result<Expr> {
        if matches!(node.node, Some(NodeEnum::SetToDefault(_))) {
            let what = match path.first().map(nodes::inner).transpose()? {
                Some(NodeEnum::AIndices(_)) => "an array element",
                _ => "a subfield",
            };
            let message = format!("cannot set {what} to DEFAULT");
            let error = SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message);
            return Err(error.at(self.at(nodes::location(node))));
        }
        self.expression(node)
    }

    /// Rows of values for the targets of an INSERT as rows of values for its columns: parts of one column make
    /// one value.
    pub(super) fn join_parts(
        &mut self,
        table: &TableDef,
        targets: &[(usize, &[Node])],
        values: Vec<Expr>,
    ) -> Result<Vec<(usize, Expr)>> {
        let mut joined: Vec<(usize, Expr)> = Vec::with_capacity(targets.len());
        for ((column, path), value) in targets.iter().zip(values) {
            if path.is_empty() {
                joined.push((*column, value));
                continue;
            }
            let def = &table.columns[*column];
            let before = joined.iter().position(|(other, _)| other == column);
            let base = match before {
                Some(place) => joined[place].1.clone(),
                None => Expr { typmod: def.typmod, ..super::functions::null(def.ty) },
            };
            let whole = self.with_part(base, path, value, &def.name)?;
            match before {
                Some(place) => joined[place].1 = whole,
                None => joined.push((*column, whole)),
            }
        }
        Ok(joined)
    }
}

fn mismatch(name: &str, wanted: TypeId, given: TypeId, position: Option<u32>) -> SqlError {
    let message = format!(
        "subscripted assignment to \"{name}\" requires type {wanted} but expression is of type {given}"
    );
    SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
        .hint("You will need to rewrite or cast the expression.")
        .at(position)
}
