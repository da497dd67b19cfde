//! FROM items other than tables and joins: subqueries, functions, system tables; set-returning calls in a select list.

use std::sync::Arc;

use tuplix_catalog::FunctionId;
use tuplix_functions::Function;
use tuplix_sql::plan::{COPY_SOURCE, Expr, ExprKind, Query, RelationId};
use tuplix_types::{Result, Row, SqlError, Value};

use super::builder::Builder;
use super::code::{Code, run_all};
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet, State};
use super::host::{self, CallTypes};
use super::query::QueryCode;
use super::rows::{Next, Rows, RowsBox};
use crate::stop::Run;

impl Builder<'_> {
    /// A subquery: its columns lie where it puts them.
    pub(crate) fn subquery_rows(&mut self, relation: RelationId, query: &Query) -> Result<RowsBox> {
        let code = self.query(query)?;
        self.add_relation_at(relation, code.first, code.width);
        Ok(Box::new(SubqueryRows { code }))
    }

    /// A table that the engine computes.
    pub(crate) fn system_rows(&mut self, relation: RelationId, schema: &str, name: &str) -> Result<RowsBox> {
        let width = self.width(relation);
        let slots = self.add_relation(relation, width).columns.clone();
        let state = self.state();
        let is_copy = schema.is_empty() && name == COPY_SOURCE;
        let (schema, name) = (schema.to_owned(), name.to_owned());
        Ok(self.operator(SystemRows { schema, name, is_copy, slots, state }))
    }

    /// A function in FROM.
    pub(crate) fn function_rows(
        &mut self,
        relation: RelationId,
        call: &Expr,
        ordinality: bool,
    ) -> Result<RowsBox> {
        let code = self.set_code(call)?;
        let width = self.width(relation);
        let slots = self.add_relation(relation, width).columns.clone();
        let text = self.text(call);
        Ok(self.operator(FunctionRows { code, slots, ordinality, text }))
    }

    /// Functions side by side.
    pub(crate) fn rows_from(
        &mut self,
        relations: &[RelationId],
        calls: &[(Expr, usize)],
        ordinality: bool,
    ) -> Result<RowsBox> {
        let codes = calls.iter().map(|(call, width)| Ok((self.set_code(call)?, *width)));
        let codes = codes.collect::<Result<Vec<_>>>()?;
        let mut slots = Vec::new();
        for relation in relations {
            let width = self.width(*relation);
            slots.extend(self.add_relation(*relation, width).columns.iter().copied());
        }
        let text = calls.iter().map(|(call, _)| self.text(call)).collect::<Vec<_>>().join(", ");
        Ok(self.operator(SideBySide { codes, slots, ordinality, text }))
    }

    /// A call that gives rows; a scalar one gives one.
    pub(crate) fn set_code(&mut self, call: &Expr) -> Result<SetCode> {
        match &call.kind {
            ExprKind::Call { function, arguments } if function.returns_set => {
                self.reads_more |= function.engine;
                let types = CallTypes {
                    arguments: arguments.iter().map(|argument| argument.ty).collect(),
                    result: call.ty,
                };
                if function.set_returning.is_none() {
                    return Err(SqlError::unsupported(format_args!("function {}", function.signature()))
                        .at(call.position));
                }
                Ok(SetCode::BuiltIn { function, types, arguments: self.exprs(arguments)? })
            }
            ExprKind::UserCall { function, arguments } => {
                self.reads_more = true;
                let definition = self.context.catalog.function(*function);
                let strict = definition.is_some_and(|definition| definition.strict);
                Ok(SetCode::User { function: *function, strict, arguments: self.exprs(arguments)? })
            }
            _ => Ok(SetCode::One(self.expr(call)?)),
        }
    }
}

/// The rows of a subquery.
struct SubqueryRows {
    code: QueryCode,
}

impl Rows for SubqueryRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        self.code.run(exec, next)
    }

    fn explain(&self, out: &mut Explain) {
        self.code.explain(out);
    }
}

/// The rows of a table that the engine computes.
struct SystemRows {
    schema: String,
    name: String,
    /// What a client sends, row by row.
    is_copy: bool,
    slots: Vec<Option<usize>>,
    /// Where its rows stay until the statement ends: a join or subquery may read them many times.
    state: usize,
}

impl SystemRows {
    /// The rows, computed at first use; of each only the columns that somebody reads.
    fn rows(&self, exec: &mut Exec<'_, '_>) -> Run<Arc<RowSet>> {
        if let State::Rows(rows) = exec.state(self.state) {
            return Ok(rows.clone());
        }
        let read: Vec<usize> = (0..self.slots.len()).filter(|column| self.slots[*column].is_some()).collect();
        if self.name == "pg_locks" {
            exec.tx.look_at_locks()?;
        }
        let mut rows = RowSet::new(read.len());
        for mut row in exec.services.system_table(&self.schema, &self.name)? {
            rows.values.extend(read.iter().map(|column| std::mem::take(&mut row[*column])));
            rows.len += 1;
        }
        let rows = Arc::new(rows);
        exec.set_state(self.state, State::Rows(rows.clone()));
        Ok(rows)
    }
}

/// Puts a row into the slots of the columns that somebody reads.
fn put_row(exec: &mut Exec<'_, '_>, slots: &[Option<usize>], row: &[Value]) {
    for (number, slot) in slots.iter().enumerate() {
        if let Some(slot) = slot {
            exec.set(*slot, row.get(number).cloned().unwrap_or_default());
        }
    }
}

impl Rows for SystemRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let rows = self.rows(exec)?;
        for (number, row) in rows.rows().enumerate() {
            for (slot, value) in self.slots.iter().flatten().zip(row) {
                exec.set(*slot, value.clone());
            }
            if self.is_copy {
                exec.services.copy_progress.read.set(number);
            }
            if next(exec)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn explain(&self, out: &mut Explain) {
        out.line(format_args!("System Scan on {}.{}", self.schema, self.name));
    }
}

/// A call that gives rows.
pub(crate) enum SetCode {
    /// A built-in set-returning function.
    BuiltIn { function: &'static Function, types: CallTypes, arguments: Vec<Code> },
    /// A function of the catalogue.
    User { function: FunctionId, strict: bool, arguments: Vec<Code> },
    /// A scalar: one row.
    One(Code),
}

impl SetCode {
    /// Calls `each` with each row; false ends it.
    pub(crate) fn run(
        &self,
        exec: &mut Exec<'_, '_>,
        each: &mut dyn FnMut(&mut Exec<'_, '_>, &[Value]) -> Run<Flow>,
    ) -> Run<Flow> {
        match self {
            SetCode::One(code) => {
                let value = code.run(exec)?;
                match &value {
                    Value::Record(fields) => each(exec, fields),
                    _ => each(exec, std::slice::from_ref(&value)),
                }
            }
            SetCode::BuiltIn { function, types, arguments } => {
                let mut values = exec.take_buffer();
                run_all(arguments, exec, &mut values)?;
                let Some(code) = function.set_returning else { return Ok(Flow::Continue) };
                if function.strict && values.iter().any(Value::is_null) {
                    exec.give_buffer(values);
                    return Ok(Flow::Continue);
                }
                let mut rows = host::with_context(exec, types, |context| code(context, &values))?;
                exec.give_buffer(values);
                let mut row = Row::new();
                let mut count = 0_u32;
                while rows.next(&mut row)? {
                    count = count.wrapping_add(1);
                    if count.is_multiple_of(64) {
                        exec.check_interrupts()?;
                    }
                    if each(exec, &row)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
                Ok(Flow::Continue)
            }
            SetCode::User { function, strict, arguments } => {
                let mut values = exec.take_buffer();
                run_all(arguments, exec, &mut values)?;
                let code = exec.services.compiled_function(*function)?;
                if *strict && values.iter().any(Value::is_null) {
                    if code.returns_set() {
                        return Ok(Flow::Continue);
                    }
                    return each(exec, &vec![Value::Null; code.columns().len()]);
                }
                let rows = code.rows(exec, &values)?;
                exec.give_buffer(values);
                for row in rows.rows() {
                    if each(exec, row)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
                Ok(Flow::Continue)
            }
        }
    }
}

/// The rows of a function call.
struct FunctionRows {
    code: SetCode,
    slots: Vec<Option<usize>>,
    ordinality: bool,
    text: String,
}

impl Rows for FunctionRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let mut number = 0;
        let (columns, ordinal) = match (self.ordinality, self.slots.split_last()) {
            (true, Some((ordinal, columns))) => (columns, *ordinal),
            _ => (&self.slots[..], None),
        };
        self.code.run(exec, &mut |exec, row| {
            number += 1;
            put_row(exec, columns, row);
            if let Some(slot) = ordinal {
                exec.set(slot, Value::Int8(number));
            }
            next(exec)
        })
    }

    fn explain(&self, out: &mut Explain) {
        out.line(format_args!("Function Scan on {}", self.text));
    }
}

/// Functions side by side: as many rows as the longest one gives.
struct SideBySide {
    codes: Vec<(SetCode, usize)>,
    slots: Vec<Option<usize>>,
    ordinality: bool,
    text: String,
}

impl Rows for SideBySide {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let mut sides: Vec<RowSet> = Vec::with_capacity(self.codes.len());
        for (code, width) in &self.codes {
            let mut rows = RowSet::new(*width);
            code.run(exec, &mut |_, row| {
                let filled = (0..*width).map(|column| row.get(column).cloned().unwrap_or_default());
                rows.values.extend(filled);
                rows.len += 1;
                Ok(Flow::Continue)
            })?;
            sides.push(rows);
        }
        let most = sides.iter().map(|rows| rows.len).max().unwrap_or(0);
        let mut row = Vec::with_capacity(self.slots.len());
        for number in 0..most {
            row.clear();
            for rows in &sides {
                match number < rows.len {
                    true => row.extend_from_slice(rows.row(number)),
                    false => row.extend((0..rows.width).map(|_| Value::Null)),
                }
            }
            if self.ordinality {
                row.push(Value::Int8(number as i64 + 1));
            }
            put_row(exec, &self.slots, &row);
            if next(exec)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn explain(&self, out: &mut Explain) {
        out.line(format_args!("Function Scan on {}", self.text));
    }
}

/// Set-returning calls in a select list: as many rows as the longest one gives, NULLs after the end of the others.
pub(crate) struct ProjectSet {
    pub source: RowsBox,
    pub sets: Vec<(SetCode, usize)>,
}

impl Rows for ProjectSet {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        self.source.run(exec, &mut |exec| {
            let mut columns: Vec<RowSet> = Vec::with_capacity(self.sets.len());
            for (code, _) in &self.sets {
                let mut rows = RowSet::new(1);
                code.run(exec, &mut |_, row| {
                    rows.values.push(match row {
                        [value] => value.clone(),
                        fields => Value::Record(fields.into()),
                    });
                    rows.len += 1;
                    Ok(Flow::Continue)
                })?;
                columns.push(rows);
            }
            let most = columns.iter().map(|rows| rows.len).max().unwrap_or(0);
            for number in 0..most {
                for ((_, slot), rows) in self.sets.iter().zip(&columns) {
                    exec.set(*slot, rows.values.get(number).cloned().unwrap_or_default());
                }
                if next(exec)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
            Ok(Flow::Continue)
        })
    }

    fn explain(&self, out: &mut Explain) {
        out.line("ProjectSet");
        out.child(&*self.source);
    }
}
