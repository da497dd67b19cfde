//! Types that only the catalogue knows: what the resolution rules ask of them, their literals, a domain's checks.

use tuplix_catalog::Catalog;
use tuplix_functions::{BuiltInTypes, CastContext, Types};
use tuplix_types::{Result, SqlError, TypeId, UserKind, Value, sqlstate};

use super::scope::Clause;
use super::{Analyzer, coerce::relabel};
use crate::plan::{Expr, ExprKind, OutputColumn};

/// The types of a catalogue and the built-in ones.
#[derive(Clone, Copy)]
pub(super) struct CatalogTypes<'a>(pub &'a Catalog);

impl Types for CatalogTypes<'_> {
    fn category(&self, id: TypeId) -> char {
        match id.user_kind() {
            Some(UserKind::Enum) => 'E',
            Some(UserKind::Composite) => 'C',
            Some(UserKind::Domain) => self.category(self.base(id)),
            None if id.is_user() => 'A',
            None => BuiltInTypes.category(id),
        }
    }

    fn is_preferred(&self, id: TypeId) -> bool {
        !id.is_user() && BuiltInTypes.is_preferred(id)
    }

    fn base(&self, id: TypeId) -> TypeId {
        if id.is_domain() { self.0.base_type(id, -1).0 } else { id }
    }

    fn is_enum(&self, id: TypeId) -> bool {
        id.is_enum()
    }

    fn is_composite(&self, id: TypeId) -> bool {
        id.is_composite()
    }

    fn name(&self, id: TypeId) -> String {
        self.0.type_name(id, None).unwrap_or_else(|| id.to_string())
    }
}

impl Analyzer<'_> {
    /// The type under all domains.
    pub(super) fn base(&self, id: TypeId) -> TypeId {
        if id.is_domain() { self.context.catalog.base_type(id, -1).0 } else { id }
    }

    /// A value of a domain seen as one of the type under it.
    pub(super) fn without_domain(&self, expr: Expr) -> Expr {
        if !expr.ty.is_domain() {
            return expr;
        }
        let (base, typmod) = self.context.catalog.base_type(expr.ty, -1);
        Expr { typmod, ..relabel(expr, base) }
    }

    /// The element type of an array, or of a domain over one.
    pub(super) fn element(&self, id: TypeId) -> Option<TypeId> {
        self.base(id).element()
    }

    /// The columns of a named row type.
    pub(super) fn named_columns(&self, id: TypeId) -> Option<Vec<OutputColumn>> {
        self.context.catalog.row_fields(self.base(id)).map(super::create_type::outputs)
    }

    /// A value as one of a domain: of its base type, and checked.
    pub(super) fn cast_to_domain(
        &mut self,
        expr: Expr,
        domain: TypeId,
        context: CastContext,
    ) -> Result<Option<Expr>> {
        let catalog = self.context.catalog;
        let def = catalog.domain(domain).ok_or_else(|| unknown_type(domain))?;
        let position = expr.position;
        let Some(inner) = self.coerce(expr, def.base, def.typmod, context)? else { return Ok(None) };
        let mut checks = Vec::with_capacity(def.checks.len());
        let base = OutputColumn { name: "value".to_owned(), ty: def.base, typmod: def.typmod };
        for check in &def.checks {
            checks.push((check.name.clone(), self.domain_check(&check.expression, &base)?));
        }
        if checks.is_empty() && !def.not_null {
            return Ok(Some(Expr { typmod: -1, ..relabel(inner, domain) }));
        }
        let kind = ExprKind::Domain { argument: Box::new(inner), not_null: def.not_null, checks };
        Ok(Some(Expr { kind, ty: domain, typmod: -1, position }))
    }

    /// A domain's CHECK, over [`ExprKind::DomainValue`].
    fn domain_check(&mut self, text: &str, base: &OutputColumn) -> Result<Expr> {
        let outer = self.domain_value.replace((base.ty, base.typmod));
        let check = self.stored_expression(text, Clause::Check);
        let check = check.and_then(|check| self.boolean(check, "CHECK"));
        self.domain_value = outer;
        check
    }

    /// An untyped literal of a type that only the catalogue knows; `None` leaves it to when it runs.
    pub(super) fn user_literal(
        &self,
        text: &str,
        to: TypeId,
        position: Option<u32>,
    ) -> Result<Option<Value>> {
        if !to.is_enum() {
            return Ok(None);
        }
        match self.context.catalog.enum_value(to, text) {
            Some(value) => Ok(Some(value)),
            None => {
                let message = format!("invalid input value for enum {to}: \"{text}\"");
                Err(SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, message).at(position))
            }
        }
    }

    /// A row as one of a named type, column by column; `None` when it is not known which columns it has.
    pub(super) fn cast_to_composite(
        &mut self,
        expr: Expr,
        to: TypeId,
        context: CastContext,
    ) -> Result<Option<Expr>> {
        let position = expr.position;
        let fields = match expr.kind {
            _ if expr.ty != TypeId::RECORD => return Ok(None),
            ExprKind::Row(fields) => fields,
            ExprKind::WholeRow(_) => {
                let columns = self.record_columns(&expr).unwrap_or_default();
                let columns = columns.iter().enumerate();
                columns.map(|(index, column)| super::records::field_of(&expr, index, column)).collect()
            }
            _ => return Ok(None),
        };
        let columns = self.named_columns(to).ok_or_else(|| unknown_type(to))?;
        let cannot = |detail: String| {
            let message = format!("cannot cast type record to {to}");
            SqlError::new(sqlstate::CANNOT_COERCE, message).detail(detail).at(position)
        };
        if fields.len() != columns.len() {
            let few = if fields.len() < columns.len() { "few" } else { "many" };
            return Err(cannot(format!("Input has too {few} columns.")));
        }
        let mut values = Vec::with_capacity(fields.len());
        for (index, (field, column)) in fields.into_iter().zip(&columns).enumerate() {
            let from = field.ty;
            let value = self.coerce(field, column.ty, column.typmod, context)?.ok_or_else(|| {
                cannot(format!("Cannot cast type {from} to {} in column {}.", column.ty, index + 1))
            })?;
            values.push(value);
        }
        Ok(Some(Expr { kind: ExprKind::Row(values), ty: to, typmod: -1, position }))
    }

    /// A record that a variable or call gives as one of a named type: its columns are known, and become those of
    /// the type; `None` when they are not known.
    pub(super) fn record_as(&mut self, record: &Expr, to: TypeId) -> Result<Option<Expr>> {
        let Some(given) = self.record_columns(record) else { return Ok(None) };
        let wanted = self.named_columns(to).ok_or_else(|| unknown_type(to))?;
        let alike =
            |(a, b): (&OutputColumn, &OutputColumn)| a.ty == b.ty && (b.typmod < 0 || a.typmod == b.typmod);
        if given.len() == wanted.len() && given.iter().zip(&wanted).all(alike) {
            return Ok(Some(relabel(record.clone(), to)));
        }
        let fields = given.iter().enumerate().take(wanted.len());
        let mut fields: Vec<Expr> =
            fields.map(|(index, column)| super::records::field_of(record, index, column)).collect();
        fields.extend(wanted.iter().skip(fields.len()).map(|column| super::functions::null(column.ty)));
        let row = Expr { position: record.position, ..Expr::new(ExprKind::Row(fields), TypeId::RECORD) };
        self.cast_to_composite(row, to, CastContext::Assignment)
    }

    /// The row type of this name with its columns: a composite type's or a table's.
    pub(super) fn composite_named(
        &self,
        schema: Option<&str>,
        name: &str,
    ) -> Option<(TypeId, Vec<OutputColumn>)> {
        let catalog = self.context.catalog;
        let found = match schema {
            Some(schema) => catalog.type_named(schema, name),
            None => self.search_path().iter().find_map(|schema| catalog.type_named(schema, name)),
        };
        let ty = found.filter(|ty| ty.is_composite())?;
        Some((ty, self.named_columns(ty)?))
    }

    /// What a column without a value gets when its type is a domain: the domain's default, else NULL if the
    /// domain takes that; `None` when plain NULL does.
    pub(super) fn domain_default(&mut self, domain: TypeId) -> Result<Option<Expr>> {
        let catalog = self.context.catalog;
        let mut id = domain;
        while let Some(def) = catalog.domain(id) {
            if let Some(default) = &def.default {
                let value = self.stored_expression(default, Clause::Default)?;
                return self.assign(value, "value", domain, -1).map(Some);
            }
            id = def.base;
        }
        let null = Expr::constant(Value::Null, TypeId::UNKNOWN);
        let value = self.assign(null, "value", domain, -1)?;
        Ok(matches!(value.kind, ExprKind::Domain { .. }).then_some(value))
    }
}

/// A type's id that no catalogue entry stands behind.
pub(super) fn unknown_type(id: TypeId) -> SqlError {
    SqlError::new(sqlstate::UNDEFINED_OBJECT, format!("type with OID {} does not exist", id.0))
}
