//! Where values go: variables, fields, whole records, INTO.

use pg_query::protobuf::node::Node as NodeEnum;
use tuplix_types::{SqlError, SqlState, TypeId, sqlstate};

use super::Binder;
use super::embedded::statement_columns;
use super::refusal::{Bound, Refusal};
use crate::analyze::functions::null;
use crate::analyze::scope::Clause;
use crate::analyze::variables::Shape;
use crate::analyze::{Analyzer, nodes};
use crate::plan::{Embedded, Into, OutputColumn, PlStatement, QueryBody, Statement, StatementKind, Target};
use crate::plpgsql::{self, Name};

/// `error_in_assignment`
const ERROR_IN_ASSIGNMENT: SqlState = SqlState(*b"22005");

impl Binder<'_> {
    /// The place that a name means.
    pub(super) fn target(&self, name: &Name) -> Bound<Target> {
        self.target_or_constant(name, false)
    }

    /// As [`Binder::target`]; a constant is refused unless `constant`, for what only reads it.
    pub(super) fn target_or_constant(&self, name: &Name, constant: bool) -> Bound<Target> {
        let parts: Vec<&str> = name.parts.iter().map(String::as_str).collect();
        self.target_of(&parts, constant)
    }

    fn target_of(&self, parts: &[&str], constant: bool) -> Bound<Target> {
        let variables = &self.variables;
        let unknown = || {
            let message = format!("\"{}\" is not a known variable", parts.join("."));
            SqlError::new(sqlstate::SYNTAX_ERROR, message)
        };
        let (variable, field) = match *parts {
            [name] => (variables.lookup(name), None),
            [first, second] => match variables.lookup_in(first, second) {
                Some(variable) => (Some(variable), None),
                None => (variables.lookup(first), Some(second)),
            },
            [label, record, field] => (variables.lookup_in(label, record), Some(field)),
            _ => (None, None),
        };
        let variable = variable.ok_or_else(|| Refusal::Whole(unknown()))?;
        let def = &variables.list[variable];
        if self.constants.contains(&variable) && !constant {
            let message = format!("variable \"{}\" is declared CONSTANT", def.name);
            return Err(Refusal::Whole(SqlError::new(ERROR_IN_ASSIGNMENT, message)));
        }
        match field {
            None if def.ty.is_row() => Ok(Target::Record(variable)),
            None => Ok(Target::Variable(variable)),
            Some(_) if !def.ty.is_row() => Err(Refusal::Whole(unknown())),
            Some(field) => {
                let (found, _) = self.analyze(|analyzer| analyzer.variable_field(variable, field, None))?;
                match found.kind {
                    crate::plan::ExprKind::Field { index, .. } => Ok(Target::Field(variable, index)),
                    _ => Err(nodes::missing().into()),
                }
            }
        }
    }

    /// The type of what a target holds.
    pub(super) fn target_type(&self, target: &Target) -> (TypeId, i32) {
        match target {
            Target::Variable(variable) | Target::Record(variable) => {
                let def = &self.variables.list[*variable];
                (def.ty, def.typmod)
            }
            Target::Field(variable, index) => {
                let column = self.variables.shape(*variable).and_then(|columns| columns.get(*index).cloned());
                column.map_or((TypeId::RECORD, -1), |column| (column.ty, column.typmod))
            }
        }
    }

    /// `target := expression`
    pub(super) fn assign(&mut self, assignment: &plpgsql::Assignment) -> Bound<PlStatement> {
        let tree = &assignment.tree;
        let mut parts = vec![tree.name.as_str()];
        for node in &tree.indirection {
            match nodes::inner(node)? {
                NodeEnum::String(name) => parts.push(&name.sval),
                _ => break,
            }
        }
        // As many names as lead to a variable or field; what follows is a part of it.
        let (target, names) = self.longest_target(&parts)?;
        let path = &tree.indirection[names - 1..];
        if !path.is_empty() {
            return self.assign_part(assignment, target, path, &parts[..names]);
        }
        let (ty, typmod) = self.target_type(&target);
        let select = tree.val.as_deref().ok_or_else(nodes::missing)?;
        let text = assigned_text(&assignment.text);
        if let Target::Record(_) = target
            && ty.is_composite()
        {
            let value = self
                .converted_select(select, text, |analyzer, value| analyzer.variable_cast(value, ty, typmod));
            return Ok(PlStatement::Assign { target, value });
        }
        if let Target::Record(variable) = target {
            let value = self.converted_select(select, text, |_, value| Ok(value));
            if value.failure.is_some() {
                return Ok(PlStatement::Assign { target, value });
            }
            let columns = self.analyze(|analyzer| Ok(analyzer.record_columns(&value.expr)))?.0;
            if !value.expr.ty.is_row() && value.expr.ty != TypeId::TEXT {
                let message = "cannot assign non-composite value to a record variable";
                return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).into());
            }
            self.assign_shape(variable, columns)?;
            return Ok(PlStatement::Assign { target, value });
        }
        let value =
            self.converted_select(select, text, |analyzer, value| analyzer.variable_cast(value, ty, typmod));
        Ok(PlStatement::Assign { target, value })
    }

    fn longest_target(&self, parts: &[&str]) -> Bound<(Target, usize)> {
        let mut names = parts.len().min(3);
        loop {
            match self.target_of(&parts[..names], false) {
                Ok(target) => return Ok((target, names)),
                Err(error) if names == 1 || !self.has_parts(&parts[..names - 1]) => return Err(error),
                Err(_) => names -= 1,
            }
        }
    }

    /// Whether names lead to something that has fields of its own.
    fn has_parts(&self, names: &[&str]) -> bool {
        match self.target_of(names, false) {
            Ok(Target::Field(variable, index)) => {
                self.target_type(&Target::Field(variable, index)).0.is_composite()
            }
            _ => false,
        }
    }

    /// `a[1] := value`, `r.c.f := value`
    fn assign_part(
        &mut self,
        assignment: &plpgsql::Assignment,
        target: Target,
        path: &[pg_query::protobuf::Node],
        names: &[&str],
    ) -> Bound<PlStatement> {
        let tree = &assignment.tree;
        let select = tree.val.as_deref().ok_or_else(nodes::missing)?;
        let base = match target {
            Target::Variable(variable) | Target::Record(variable) => self.variables.reference(variable, None),
            Target::Field(variable, index) => {
                let record = self.variables.reference(variable, None);
                let columns = self.variables.shape(variable).unwrap_or_default();
                let column = columns.get(index).ok_or_else(nodes::missing)?;
                crate::analyze::records::field_of(&record, index, column)
            }
        };
        let name = names.join(".");
        let value = self.converted_select(select, assigned_text(&assignment.text), |analyzer, value| {
            let scoped = analyzer.in_scope(|analyzer| {
                analyzer.in_clause(Clause::Target, |analyzer| analyzer.with_part(base, path, value, &name))
            });
            scoped.map(|(value, _)| value)
        });
        Ok(PlStatement::Assign { target, value })
    }

    /// Notes the structure that a record variable gets.
    pub(super) fn assign_shape(&mut self, variable: usize, columns: Option<Vec<OutputColumn>>) -> Bound<()> {
        if let Some(fields) = &self.variables.list[variable].fields {
            let fits = |columns: &Vec<OutputColumn>| {
                columns.len() == fields.len() && columns.iter().zip(fields).all(|(a, b)| a.ty == b.ty)
            };
            if columns.as_ref().is_some_and(|columns| !fits(columns)) {
                let name = &self.variables.list[variable].name;
                return Err(SqlError::unsupported(format_args!(
                    "assigning a record of another structure to the row variable \"{name}\""
                ))
                .into());
            }
            return Ok(());
        }
        let shape = columns.map_or(Shape::Unclear, Shape::Known);
        let all = &mut self.structures[variable];
        *all = match std::mem::take(all) {
            Shape::Unassigned => shape.clone(),
            same if same == shape => same,
            _ => Shape::Unclear,
        };
        self.variables.shapes[variable] = shape;
        Ok(())
    }

    /// INTO targets for the columns of a statement, which gets NULL columns for targets without one.
    pub(super) fn into(&mut self, names: &[Name], strict: bool, statement: &mut Embedded) -> Bound<Into> {
        let targets: Bound<Vec<Target>> = names.iter().map(|name| self.target(name)).collect();
        let mut targets = targets?;
        let columns = statement_columns(&statement.statement);
        if let [Target::Record(variable)] = targets[..] {
            if !self.is_row(variable) {
                self.assign_shape(variable, Some(columns))?;
                return Ok(Into { strict, targets: vec![(Target::Record(variable), None)] });
            }
            let fields = self.variables.list[variable].fields.clone().unwrap_or_default();
            targets = (0..fields.len()).map(|index| Target::Field(variable, index)).collect();
        } else if let Some(Target::Record(variable)) =
            targets.iter().find(|target| matches!(target, Target::Record(_)))
        {
            let name = &self.variables.list[*variable].name;
            let message = format!("\"{name}\" is not a scalar variable");
            return Err(Refusal::Whole(SqlError::new(sqlstate::SYNTAX_ERROR, message)));
        }
        self.pad(statement, &targets)?;
        let columns = statement_columns(&statement.statement);
        let mut into = Vec::with_capacity(targets.len());
        for (target, column) in targets.into_iter().zip(&columns) {
            let (ty, typmod) = self.target_type(&target);
            let cast = self.operand_cast(column, ty, typmod)?;
            into.push((target, cast));
        }
        Ok(Into { strict, targets: into })
    }

    /// Gives a query NULL columns until it has one for each target.
    fn pad(&self, statement: &mut Embedded, targets: &[Target]) -> Result<(), SqlError> {
        let Statement { kind: StatementKind::Query(query), relations, .. } = &mut statement.statement else {
            return Ok(());
        };
        let missing: Vec<(TypeId, i32)> =
            targets.iter().skip(query.columns.len()).map(|target| self.target_type(target)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let nulls = missing.iter().map(|(ty, _)| null(*ty));
        match &mut query.body {
            QueryBody::Insert(insert) => insert.returning.extend(nulls),
            QueryBody::Update(update) => update.returning.extend(nulls),
            QueryBody::Delete(delete) => delete.returning.extend(nulls),
            _ => {
                let given = std::mem::take(relations);
                let ((), all) = self.analyze(|analyzer| {
                    analyzer.adopt_relations(given);
                    let mut values = analyzer.take_targets(query)?;
                    values.extend(nulls);
                    analyzer.put_targets(query, values);
                    Ok(())
                })?;
                *relations = all;
            }
        }
        let column = |(ty, typmod)| OutputColumn { name: "?column?".to_owned(), ty, typmod };
        query.columns.extend(missing.into_iter().map(column));
        Ok(())
    }

    /// Targets of rows whose columns are known only when they come.
    pub(super) fn dynamic_into(&mut self, names: &[Name], strict: bool) -> Bound<Into> {
        let mut targets = Vec::with_capacity(names.len());
        for name in names {
            let target = self.target(name)?;
            if let Target::Record(variable) = target
                && !self.is_row(variable)
            {
                self.assign_shape(variable, None)?;
            }
            targets.push((target, None));
        }
        Ok(Into { strict, targets })
    }

    /// Targets of rows of known columns that no statement gives: array elements.
    pub(super) fn element_target(
        &self,
        name: &Name,
        element: &OutputColumn,
    ) -> Bound<(Target, Option<crate::plan::Expr>)> {
        let target = match self.target(name)? {
            // A row as a whole.
            Target::Record(variable) if element.ty.is_row() => Target::Variable(variable),
            target => target,
        };
        let (ty, typmod) = self.target_type(&target);
        let cast = self.operand_cast(element, ty, typmod)?;
        Ok((target, cast))
    }
}

/// The part after `:=` or `=`, for error contexts.
fn assigned_text(text: &str) -> &str {
    text.split_once(":=").or_else(|| text.split_once('=')).map_or(text, |(_, value)| value.trim())
}

impl Analyzer<'_> {
    /// The type of an array's elements.
    pub(in crate::analyze) fn element_column(ty: TypeId) -> Option<OutputColumn> {
        ty.element().map(|element| OutputColumn { name: "element".to_owned(), ty: element, typmod: -1 })
    }
}
