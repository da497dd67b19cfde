//! OPEN, FETCH, MOVE, CLOSE.

use std::sync::Arc;

use tuplix_sql::plan::{
    CursorMove, CursorPlaces, CursorSource, Embedded, Expression, Into, OutputColumn, StatementKind,
};
use tuplix_types::{Result, SqlError, SqlState, Value, sqlstate};

use super::super::frame::Exec;
use super::sql::{Dynamic, Sql};
use super::{Body, Control, Step, step};
use crate::portal::{NewPortal, Places};
use crate::stop::Run;

/// What gives a cursor's rows.
enum Source {
    Query(Opened),
    Dynamic(Dynamic),
}

/// A cursor's query.
pub(super) struct Opened {
    sql: Sql,
    /// The columns for those who fetch.
    columns: Arc<[OutputColumn]>,
    places: CursorPlaces,
    text: String,
    scroll: Option<bool>,
}

impl Opened {
    /// Runs the query.
    pub(super) fn open(&self, exec: &mut Exec<'_, '_>) -> Run<NewPortal> {
        let rows = self.sql.collect(exec)?;
        let (rows, places) = exec.services.with_layout(|layout| Places::split(&self.places, rows, layout));
        let (columns, text) = (self.columns.clone(), self.text.clone());
        Ok(NewPortal {
            columns,
            rows,
            places,
            scroll: self.scroll,
            hold: false,
            text,
            created_us: exec.tx.now_us(),
        })
    }
}

impl Dynamic {
    /// Runs the query of OPEN ... FOR EXECUTE.
    fn open(&self, exec: &mut Exec<'_, '_>, scroll: Option<bool>) -> Run<NewPortal> {
        let (statement, parameters) = self.prepare_as(exec, true)?;
        let rows = self.collect(exec, &statement, &parameters)?;
        let none = CursorPlaces { visible: statement.columns().len(), ..CursorPlaces::default() };
        let places = statement.places.as_deref().unwrap_or(&none);
        let columns = statement.columns()[..places.visible].into();
        let scroll = scroll.or(places.locked.then_some(false));
        let (rows, places) = exec.services.with_layout(|layout| Places::split(places, rows, layout));
        let created_us = exec.tx.now_us();
        Ok(NewPortal { columns, rows, places, scroll, hold: false, text: String::new(), created_us })
    }
}

/// The name that a cursor gets: what its variable says, if nobody has it.
pub(super) fn given_name(exec: &Exec<'_, '_>, slot: usize) -> Run<Option<String>> {
    let given = exec.get(slot).as_str().map(str::to_owned);
    if let Some(name) = &given
        && exec.services.portals.borrow().check_free(name).is_err()
    {
        let message = format!("cursor \"{name}\" already in use");
        return Err(SqlError::new(SqlState(*b"42P03"), message).into());
    }
    Ok(given)
}

/// The name in a cursor variable.
fn name_in(exec: &Exec<'_, '_>, slot: usize, variable: &str) -> Run<String> {
    match exec.get(slot).as_str() {
        Some(name) => Ok(name.to_owned()),
        None => {
            let message = format!("cursor variable \"{variable}\" is null");
            Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message).into())
        }
    }
}

impl Body<'_, '_> {
    pub(super) fn cursor_slot(&self, cursor: usize) -> (usize, String) {
        (self.builder.variables[cursor], self.procedure.variables[cursor].name.clone())
    }

    /// Compiles a cursor's query.
    pub(super) fn opened(
        &mut self,
        embedded: &Embedded,
        places: &CursorPlaces,
        scroll: Option<bool>,
    ) -> Result<Opened> {
        let columns = match &embedded.statement.kind {
            StatementKind::Query(query) => query.columns[..places.visible].into(),
            _ => Arc::default(),
        };
        let (text, places) = (embedded.text.clone(), places.clone());
        Ok(Opened { sql: self.embedded(embedded)?, columns, places, text, scroll })
    }

    pub(super) fn open_cursor(
        &mut self,
        (cursor, constant): (usize, bool),
        arguments: &[(usize, Expression)],
        scroll: Option<bool>,
        source: &CursorSource,
    ) -> Result<Step> {
        let (slot, variable) = self.cursor_slot(cursor);
        let mut values = Vec::with_capacity(arguments.len());
        for (variable, value) in arguments {
            values.push((self.builder.variables[*variable], self.value(value)?));
        }
        let source = match source {
            CursorSource::Query(embedded, places) => Source::Query(self.opened(embedded, places, scroll)?),
            CursorSource::Dynamic { text, arguments } => Source::Dynamic(self.dynamic(text, arguments)?),
        };
        Ok(step(move |exec| {
            for (slot, value) in &values {
                let value = value.run(exec)?;
                exec.set(*slot, value);
            }
            let given = given_name(exec, slot)?;
            if given.is_none() && constant {
                let message = format!("variable \"{variable}\" is declared CONSTANT");
                return Err(SqlError::new(SqlState(*b"22005"), message).into());
            }
            let new = match &source {
                Source::Query(query) => query.open(exec)?,
                Source::Dynamic(dynamic) => dynamic.open(exec, scroll)?,
            };
            let mut portals = exec.services.portals.borrow_mut();
            let name = given.unwrap_or_else(|| portals.unnamed());
            portals.open(&name, new)?;
            drop(portals);
            exec.set(slot, Value::text(name));
            Ok(Control::Next)
        }))
    }

    pub(super) fn fetch_cursor(
        &mut self,
        cursor: usize,
        by: CursorMove,
        count: Option<&Expression>,
        into: Option<&Into>,
    ) -> Result<Step> {
        let (slot, variable) = self.cursor_slot(cursor);
        let count = count.map(|count| self.value(count)).transpose()?;
        let targets = into.map(|into| self.into(into)).transpose()?;
        let found = self.found();
        Ok(step(move |exec| {
            let name = name_in(exec, slot, &variable)?;
            let by = match &count {
                None => by,
                Some(count) => match (count.run(exec)?.as_i64(), by) {
                    (None, _) => {
                        let message = "relative or absolute cursor position is null";
                        return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message).into());
                    }
                    (Some(count), CursorMove::Forward(_)) => CursorMove::Forward(Some(count)),
                    (Some(count), CursorMove::Backward(_)) => CursorMove::Backward(Some(count)),
                    (Some(count), CursorMove::Absolute(_)) => CursorMove::Absolute(count),
                    (Some(count), CursorMove::Relative(_)) => CursorMove::Relative(count),
                },
            };
            let (rows, numbers, columns) = {
                let mut portals = exec.services.portals.borrow_mut();
                let (rows, numbers) = portals.fetch(&name, by)?;
                (rows, numbers, portals.get(&name)?.columns.clone())
            };
            if let Some(targets) = &targets {
                match numbers.first() {
                    Some(number) => targets.set_dynamic(exec, &columns, rows.row(*number))?,
                    None => targets.set_null(exec)?,
                }
            }
            exec.set(found, Value::Bool(!numbers.is_empty()));
            exec.activation.row_count = numbers.len() as u64;
            Ok(Control::Next)
        }))
    }

    pub(super) fn close_cursor(&mut self, cursor: usize) -> Result<Step> {
        let (slot, variable) = self.cursor_slot(cursor);
        Ok(step(move |exec| {
            let name = name_in(exec, slot, &variable)?;
            exec.services.portals.borrow_mut().close(&name)?;
            Ok(Control::Next)
        }))
    }
}
