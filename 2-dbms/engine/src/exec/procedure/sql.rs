//! Embedded statements, INTO, EXECUTE, RETURN QUERY.

use std::sync::Arc;

use tuplix_sql::plan::{
    CreateTableAs, Ddl, Embedded, Expression, Into, OutputColumn, QueryBody, SettingStatement, StatementKind,
    Target,
};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::super::code::{Code, run_all};
use super::super::frame::{Exec, Flow, RowSet};
use super::super::host;
use super::super::query::QueryCode;
use super::super::walk::Facts;
use super::super::{CompiledStatement, Rights, Tag, tag_of};
use super::single::Single;
use super::statement::{Place1, Value1, with_line};
use super::{Body, Control, Step, step};
use crate::stop::{Run, Stop};

/// An embedded statement.
pub(super) struct Sql {
    code: SqlKind,
    states: (usize, usize),
    text: Arc<str>,
    tag: Tag,
    /// What it asks of who runs it.
    rights: Option<Box<Rights>>,
}

enum SqlKind {
    Query(QueryCode),
    /// CALL; its row, if it has OUT arguments, is the result.
    Call {
        function: tuplix_catalog::FunctionId,
        arguments: Vec<Code>,
    },
    /// DDL
    Ddl(Box<Ddl>),
    /// CREATE TABLE AS of a query that may read variables.
    CreateTableAs {
        create: Box<CreateTableAs>,
        query: QueryCode,
    },
    /// SET and RESET.
    Setting(SettingStatement),
}

/// Where the columns of a row go.
pub(super) struct Targets {
    targets: Vec<TargetCode>,
    strict: bool,
    /// A single target that takes all columns as a record.
    record: Option<usize>,
    /// The slots of the targets, where all are variables that take the columns as they are.
    pub plain: Option<Vec<usize>>,
}

struct TargetCode {
    place: Place1,
    /// The slot of the value to be cast, and the cast.
    cast: Option<(usize, Code)>,
    ty: TypeId,
    typmod: i32,
}

impl Targets {
    /// Sets the targets from a row; missing columns are NULL.
    #[inline]
    pub(super) fn set_row(&self, exec: &mut Exec<'_, '_>, row: &[Value]) -> Run<()> {
        if let Some(slot) = self.record {
            exec.set(slot, Value::Record(row.into()));
            return Ok(());
        }
        for (number, target) in self.targets.iter().enumerate() {
            let value = row.get(number).cloned().unwrap_or_default();
            let value = match &target.cast {
                Some((operand, cast)) => {
                    exec.set(*operand, value);
                    cast.run(exec)?
                }
                None => value,
            };
            target.place.set(exec, value)?;
        }
        Ok(())
    }

    /// As [`Targets::set_row`] for columns whose types were unknown when the body was compiled.
    pub(super) fn set_dynamic(
        &self,
        exec: &mut Exec<'_, '_>,
        columns: &[OutputColumn],
        row: &[Value],
    ) -> Run<()> {
        if let Some(slot) = self.record {
            exec.set(slot, Value::Record(row.into()));
            return Ok(());
        }
        for (number, target) in self.targets.iter().enumerate() {
            let value = row.get(number).cloned().unwrap_or_default();
            let from = columns.get(number).map_or(TypeId::UNKNOWN, |column| column.ty);
            let value = host::coerce(exec, value, from, target.ty, target.typmod)?;
            target.place.set(exec, value)?;
        }
        Ok(())
    }

    /// There is no row.
    #[inline(never)]
    pub(super) fn nothing(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        if self.strict { Err(no_data()) } else { self.set_null(exec) }
    }

    /// Sets all targets to NULL.
    pub(super) fn set_null(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        if let Some(slot) = self.record {
            exec.set(slot, Value::Null);
            return Ok(());
        }
        self.targets.iter().try_for_each(|target| target.place.set(exec, Value::Null))
    }
}

#[cold]
fn no_data() -> Stop {
    SqlError::new(sqlstate::NO_DATA_FOUND, "query returned no rows").into()
}

#[cold]
fn too_many_rows() -> Stop {
    let error = SqlError::new(sqlstate::TOO_MANY_ROWS, "query returned more than one row");
    error.hint("Make sure the query returns a single row, or use LIMIT 1.").into()
}

impl Sql {
    /// Runs it; `each` gets every row in the slots of the query, or as values.
    #[inline]
    fn run(
        &self,
        exec: &mut Exec<'_, '_>,
        each: &mut dyn FnMut(&mut Exec<'_, '_>, Row1<'_>) -> Run<Flow>,
    ) -> Run<()> {
        if let Some(rights) = &self.rights {
            rights.check(exec).map_err(|stop| self.in_context(stop))?;
        }
        let result = match &self.code {
            SqlKind::Query(code) => {
                if self.states.1 > 0 {
                    exec.reset_states(self.states.0, self.states.1);
                }
                code.run(exec, &mut |exec| each(exec, Row1::Slots(code.first, code.width))).map(|_| ())
            }
            SqlKind::Call { function, arguments } => self.call(exec, *function, arguments, each),
            SqlKind::CreateTableAs { create, query } => self.create_table_as(exec, create, query),
            SqlKind::Ddl(ddl) => crate::ddl::execute(exec.tx, ddl, &[]).map(|_| ()),
            SqlKind::Setting(setting) => exec.services.change_setting(setting).map_err(Stop::Error),
        };
        result.map_err(|stop| self.in_context(stop))
    }

    /// A query of one row at most as such; itself otherwise.
    fn single(self) -> Result<Single, Box<Sql>> {
        match self.code {
            SqlKind::Query(code) if code.is_single() => {
                let (states, changes) = (self.states, self.tag != Tag::Select);
                Ok(Single { code, states, text: self.text, changes, rights: self.rights })
            }
            _ => Err(Box::new(self)),
        }
    }

    #[cold]
    fn in_context(&self, stop: Stop) -> Stop {
        with_line(stop, || format!("SQL statement \"{}\"", self.text))
    }

    fn create_table_as(&self, exec: &mut Exec<'_, '_>, create: &CreateTableAs, query: &QueryCode) -> Run<()> {
        let mut rows = RowSet::new(query.width);
        if create.with_data {
            exec.reset_states(self.states.0, self.states.1);
            query.run(exec, &mut |exec| {
                rows.push(exec.slots(query.first, query.width));
                Ok(Flow::Continue)
            })?;
        }
        let made =
            crate::ddl::create_table_from_rows(exec.tx, create, |_, each| rows.rows().try_for_each(each))?;
        exec.activation.row_count = made.rows.unwrap_or(0);
        Ok(())
    }

    fn call(
        &self,
        exec: &mut Exec<'_, '_>,
        function: tuplix_catalog::FunctionId,
        arguments: &[Code],
        each: &mut dyn FnMut(&mut Exec<'_, '_>, Row1<'_>) -> Run<Flow>,
    ) -> Run<()> {
        let mut values = exec.take_buffer();
        run_all(arguments, exec, &mut values)?;
        let rows = exec.services.compiled_function(function)?.rows(exec, &values)?;
        exec.give_buffer(values);
        for row in rows.rows() {
            each(exec, Row1::Values(row))?;
        }
        Ok(())
    }

    /// Runs it and keeps its rows.
    pub(super) fn collect(&self, exec: &mut Exec<'_, '_>) -> Run<RowSet> {
        let mut rows = RowSet::default();
        self.run(exec, &mut |exec, row| {
            row.push_to(exec, &mut rows);
            Ok(Flow::Continue)
        })?;
        Ok(rows)
    }
}

/// A row of an embedded statement.
#[derive(Clone, Copy)]
pub(super) enum Row1<'r> {
    /// In slots: the first, and how many.
    Slots(usize, usize),
    Values(&'r [Value]),
}

impl Row1<'_> {
    fn push_to(self, exec: &Exec<'_, '_>, rows: &mut RowSet) {
        let row = match self {
            Row1::Slots(first, width) => exec.slots(first, width),
            Row1::Values(values) => values,
        };
        rows.width = row.len();
        rows.push(row);
    }

    #[inline]
    pub(super) fn set(self, exec: &mut Exec<'_, '_>, targets: &Targets) -> Run<()> {
        match self {
            Row1::Values(values) => targets.set_row(exec, values),
            Row1::Slots(first, width) => {
                if let Some(slots) = targets.plain.as_ref().filter(|slots| slots.len() == width) {
                    for (number, slot) in slots.iter().enumerate() {
                        exec.copy_to(first + number, *slot);
                    }
                    return Ok(());
                }
                if let Some(slot) = targets.record {
                    let record = Value::Record(exec.slots(first, width).into());
                    exec.set(slot, record);
                    return Ok(());
                }
                for (number, target) in targets.targets.iter().enumerate() {
                    let value = if number < width { exec.copy(first + number) } else { Value::Null };
                    let value = match &target.cast {
                        Some((operand, cast)) => {
                            exec.set(*operand, value);
                            cast.run(exec)?
                        }
                        None => value,
                    };
                    target.place.set(exec, value)?;
                }
                Ok(())
            }
        }
    }
}

/// The text and arguments of EXECUTE.
pub(super) struct Dynamic {
    text: Value1,
    arguments: Vec<Value1>,
    types: Vec<TypeId>,
}

impl Dynamic {
    /// The statement and its parameters.
    pub(super) fn prepare(&self, exec: &mut Exec<'_, '_>) -> Run<(Arc<CompiledStatement>, Vec<Value>)> {
        self.prepare_as(exec, false)
    }

    /// The same for a cursor or not.
    pub(super) fn prepare_as(
        &self,
        exec: &mut Exec<'_, '_>,
        for_cursor: bool,
    ) -> Run<(Arc<CompiledStatement>, Vec<Value>)> {
        let text = self.text.run(exec)?;
        let Some(text) = text.as_str() else {
            let message = "query string argument of EXECUTE is null";
            return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message).into());
        };
        let mut parameters = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            parameters.push(argument.run(exec)?);
        }
        let statement = exec.services.prepare_dynamic(text, &self.types, for_cursor)?;
        Ok((statement, parameters))
    }

    /// Runs the statement and keeps its rows.
    pub(super) fn collect(
        &self,
        exec: &mut Exec<'_, '_>,
        statement: &CompiledStatement,
        parameters: &[Value],
    ) -> Run<RowSet> {
        let mut rows = RowSet::new(statement.columns().len());
        self.run(exec, statement, parameters, &mut rows)?;
        Ok(rows)
    }

    fn run(
        &self,
        exec: &mut Exec<'_, '_>,
        statement: &CompiledStatement,
        parameters: &[Value],
        rows: &mut RowSet,
    ) -> Run<u64> {
        let outcome = statement.run(exec, parameters, &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(outcome.rows)
    }
}

/// The statements after a SET search_path are compiled already.
fn refuse_setting(setting: &SettingStatement) -> Result<()> {
    let what = match setting {
        SettingStatement::Show(_) => "SHOW inside a function",
        SettingStatement::Set { name, .. } | SettingStatement::Reset(Some(name)) if name == "search_path" => {
            "SET search_path inside a function"
        }
        SettingStatement::Reset(None) => "RESET ALL inside a function",
        SettingStatement::Set { .. } | SettingStatement::Reset(Some(_)) => return Ok(()),
    };
    let hint = "Give the function a SET clause, or call set_config() or current_setting().";
    Err(SqlError::unsupported(what).hint(hint))
}

impl Body<'_, '_> {
    /// Compiles an embedded statement.
    pub(super) fn embedded(&mut self, embedded: &Embedded) -> Result<Sql> {
        let text = embedded.text.as_str().into();
        match &embedded.statement.kind {
            StatementKind::Query(query) => {
                let facts = Facts::of_query(query);
                let compile = |builder: &mut super::Builder<'_>| builder.query(query);
                self.builder.fires = false;
                let (mut code, first, count) =
                    self.builder.statement(&embedded.statement.relations, &facts, compile)?;
                if self.builder.fires {
                    code.rows = super::super::events::Fire::around(code.rows);
                }
                let tag = tag_of(&query.body);
                let relations = &embedded.statement.relations;
                let rights = Rights::of_query(self.builder.context.catalog, relations, query);
                Ok(Sql { code: SqlKind::Query(code), states: (first, count), text, tag, rights })
            }
            StatementKind::Call { function, arguments } => {
                self.builder.changes_catalog = true;
                let facts = Facts::default();
                let (catalog, relations) = (self.builder.context.catalog, &embedded.statement.relations);
                let rights = Rights::of_call(catalog, relations, *function, arguments);
                let compile = |builder: &mut super::Builder<'_>| builder.exprs(arguments);
                let (arguments, ..) =
                    self.builder.statement(&embedded.statement.relations, &facts, compile)?;
                let code = SqlKind::Call { function: *function, arguments };
                Ok(Sql { code, states: (0, 0), text, tag: Tag::Select, rights })
            }
            StatementKind::Ddl(ddl) => {
                self.builder.changes_catalog = true;
                if let Some(what) = ddl.outside_blocks() {
                    let message = format!("{what} cannot be executed from a function");
                    return Err(SqlError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message));
                }
                if let Ddl::CreateTableAs(create) = &**ddl {
                    let facts = Facts::of_query(&create.query);
                    let compile = |builder: &mut super::Builder<'_>| builder.query(&create.query);
                    let (query, first, count) = self.builder.statement(&create.relations, &facts, compile)?;
                    let code = SqlKind::CreateTableAs { create: Box::new(create.clone()), query };
                    let catalog = self.builder.context.catalog;
                    let rights = Rights::of_query(catalog, &create.relations, &create.query);
                    return Ok(Sql { code, states: (first, count), text, tag: Tag::Select, rights });
                }
                let code = SqlKind::Ddl(ddl.clone());
                Ok(Sql { code, states: (0, 0), text, tag: Tag::Select, rights: None })
            }
            StatementKind::Transaction(_) => Err(SqlError::new(
                sqlstate::INVALID_TRANSACTION_TERMINATION,
                "invalid transaction termination",
            )),
            StatementKind::Setting(setting) => {
                refuse_setting(setting)?;
                let code = SqlKind::Setting(setting.clone());
                Ok(Sql { code, states: (0, 0), text, tag: Tag::Select, rights: None })
            }
            _ => Err(SqlError::unsupported("this statement inside a function")),
        }
    }

    /// Compiles INTO.
    pub(super) fn into(&mut self, into: &Into) -> Result<Targets> {
        let mut record = None;
        let mut targets = Vec::new();
        for (target, cast) in &into.targets {
            if let (Target::Record(number), 1) = (target, into.targets.len()) {
                record = Some(self.builder.variables[*number]);
            }
            let (place, ty, typmod) = self.target(target)?;
            let Some(cast) = cast else {
                targets.push(TargetCode { place, cast: None, ty, typmod });
                continue;
            };
            let operand = self.builder.slot();
            self.builder.case_operands.push(operand);
            let cast = self.builder.expr(cast);
            self.builder.case_operands.pop();
            targets.push(TargetCode { place, cast: Some((operand, cast?)), ty, typmod });
        }
        let plain = |target: &TargetCode| match &target.place {
            Place1::Variable(slot, None) if target.cast.is_none() => Some(*slot),
            _ => None,
        };
        let plain = if record.is_none() { targets.iter().map(plain).collect() } else { None };
        Ok(Targets { targets, strict: into.strict, record, plain })
    }

    /// An SQL statement, with or without INTO, and PERFORM.
    pub(super) fn sql(&mut self, embedded: &Embedded, into: Option<&Into>, perform: bool) -> Result<Step> {
        // Targets come first: their slots must not be those that the statement gives back.
        let targets = into.map(|into| self.into(into)).transpose()?;
        let sql = self.embedded(embedded)?;
        let found = self.found();
        let Some(targets) = targets else {
            let changes = sql.tag != Tag::Select;
            let sql = match sql.single() {
                Ok(single) => return Ok(single.alone(found, perform)),
                Err(sql) => *sql,
            };
            return Ok(step(move |exec| {
                let mut rows = 0;
                exec.affected = 0;
                sql.run(exec, &mut |_, _| {
                    rows += 1;
                    Ok(Flow::Continue)
                })?;
                let rows = if changes { exec.affected } else { rows };
                if changes || perform {
                    exec.set(found, Value::Bool(rows > 0));
                }
                exec.activation.row_count = rows;
                Ok(Control::Next)
            }));
        };
        let changes = matches!(&embedded.statement.kind, StatementKind::Query(query)
            if !matches!(query.body, QueryBody::Select(_) | QueryBody::Values(_) | QueryBody::SetOperation { .. }));
        // A second row is an error when it is forbidden, and not looked for otherwise.
        let one_only = targets.strict || changes;
        let sql = match sql.single() {
            Ok(single) => return Ok(single.into(found, targets)),
            Err(sql) => *sql,
        };
        Ok(step(move |exec| {
            let mut rows = 0;
            sql.run(exec, &mut |exec, row| {
                rows += 1;
                if rows > 1 {
                    return Ok(Flow::Stop);
                }
                row.set(exec, &targets)?;
                Ok(if one_only { Flow::Continue } else { Flow::Stop })
            })?;
            if rows > 1 {
                return Err(too_many_rows());
            }
            if rows == 0 {
                targets.nothing(exec)?;
            }
            exec.set(found, Value::Bool(rows > 0));
            exec.activation.row_count = if changes { exec.affected } else { rows };
            Ok(Control::Next)
        }))
    }

    /// Compiles the text and arguments of EXECUTE.
    pub(super) fn dynamic(&mut self, text: &Expression, arguments: &[Expression]) -> Result<Dynamic> {
        self.builder.changes_catalog = true;
        let types = arguments.iter().map(|argument| argument.expr.ty).collect();
        let text = self.value(text)?;
        let arguments = arguments.iter().map(|argument| self.value(argument)).collect::<Result<_>>()?;
        Ok(Dynamic { text, arguments, types })
    }

    /// EXECUTE; it leaves FOUND alone.
    pub(super) fn execute(
        &mut self,
        text: &Expression,
        into: Option<&Into>,
        arguments: &[Expression],
    ) -> Result<Step> {
        let dynamic = self.dynamic(text, arguments)?;
        let targets = into.map(|into| self.into(into)).transpose()?;
        Ok(step(move |exec| {
            let (statement, parameters) = dynamic.prepare(exec)?;
            let mut rows = RowSet::new(statement.columns().len());
            let count = dynamic.run(exec, &statement, &parameters, &mut rows)?;
            exec.activation.row_count = count;
            let Some(targets) = &targets else { return Ok(Control::Next) };
            match rows.len {
                0 if targets.strict => return Err(no_data()),
                0 => targets.set_null(exec)?,
                2.. if targets.strict => return Err(too_many_rows()),
                _ => targets.set_dynamic(exec, statement.columns(), rows.row(0))?,
            }
            Ok(Control::Next)
        }))
    }

    /// RETURN QUERY
    pub(super) fn return_query(&mut self, embedded: &Embedded) -> Result<Step> {
        let sql = self.embedded(embedded)?;
        let found = self.found();
        Ok(step(move |exec| {
            let rows = sql.collect(exec)?;
            keep(exec, rows, found);
            Ok(Control::Next)
        }))
    }

    /// RETURN QUERY EXECUTE
    pub(super) fn return_execute(&mut self, text: &Expression, arguments: &[Expression]) -> Result<Step> {
        let dynamic = self.dynamic(text, arguments)?;
        let found = self.found();
        let wanted: Vec<(TypeId, i32)> =
            self.procedure.columns.iter().map(|column| (column.ty, column.typmod)).collect();
        Ok(step(move |exec| {
            let (statement, parameters) = dynamic.prepare(exec)?;
            let mut rows = dynamic.collect(exec, &statement, &parameters)?;
            let columns = statement.columns();
            if columns.len() != wanted.len() {
                let message = "structure of query does not match function result type";
                return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).into());
            }
            for (place, value) in rows.values.iter_mut().enumerate() {
                let column = place % wanted.len();
                let (ty, typmod) = wanted[column];
                *value = host::coerce(exec, std::mem::take(value), columns[column].ty, ty, typmod)?;
            }
            keep(exec, rows, found);
            Ok(Control::Next)
        }))
    }
}

/// Adds rows to the result and sets FOUND.
fn keep(exec: &mut Exec<'_, '_>, rows: RowSet, found: usize) {
    exec.set(found, Value::Bool(rows.len > 0));
    exec.activation.row_count = rows.len as u64;
    let result = &mut exec.activation.kept().rows;
    result.len += rows.len;
    result.values.extend(rows.values);
}
