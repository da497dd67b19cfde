//! One procedure, prepared: arguments in, rows out.

use std::sync::Arc;

use tuplix::{Array, Prepared, Result, Rows, Session, SqlError, TypeId, Value};

use crate::ids::Timestamp;

/// A call that is prepared in one session.
#[derive(Debug)]
pub(crate) struct Procedure {
    prepared: Prepared,
}

impl Procedure {
    pub(crate) fn new(session: &mut Session, sql: &str) -> Result<Procedure> {
        Ok(Procedure { prepared: session.prepare(sql, &[])? })
    }

    /// Calls it and waits for its commit, where it is one of its own.
    pub(crate) fn call(&self, session: &mut Session, arguments: &[Value]) -> Result<Rows> {
        let mut rows = Rows::new();
        session.call(&self.prepared, arguments, &mut rows)?.wait()?;
        Ok(rows)
    }

    /// As [`Procedure::call`], for a procedure that gives one row.
    pub(crate) fn call_row<T>(
        &self,
        session: &mut Session,
        arguments: &[Value],
        read: impl FnOnce(Fields<'_>) -> Result<T>,
    ) -> Result<T> {
        let rows = self.call(session, arguments)?;
        match rows.len() {
            1 => read(Fields(rows.row(0))),
            count => Err(SqlError::internal(format!("{} gave {count} rows", self.prepared.text()))),
        }
    }

    /// As [`Procedure::call`], for a procedure that gives any number of rows.
    pub(crate) fn call_rows<T>(
        &self,
        session: &mut Session,
        arguments: &[Value],
        read: impl FnMut(Fields<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.call(session, arguments)?.iter().map(Fields).map(read).collect()
    }
}

/// A row's values, read by the type that the procedure's text promises.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [Value]);

impl Fields<'_> {
    fn value(&self, column: usize) -> &Value {
        self.0.get(column).unwrap_or(&Value::Null)
    }

    pub(crate) fn int_or_null(&self, column: usize) -> Option<i64> {
        self.value(column).as_i64()
    }

    pub(crate) fn int(&self, column: usize) -> Result<i64> {
        self.int_or_null(column).ok_or_else(|| self.unexpected(column, "an integer"))
    }

    pub(crate) fn int4(&self, column: usize) -> Result<i32> {
        i32::try_from(self.int(column)?).map_err(|_| self.unexpected(column, "an integer of four bytes"))
    }

    pub(crate) fn bool(&self, column: usize) -> Result<bool> {
        self.value(column).as_bool().ok_or_else(|| self.unexpected(column, "a boolean"))
    }

    pub(crate) fn text_or_null(&self, column: usize) -> Option<String> {
        self.value(column).as_str().map(str::to_owned)
    }

    pub(crate) fn text(&self, column: usize) -> Result<String> {
        self.text_or_null(column).ok_or_else(|| self.unexpected(column, "a text"))
    }

    pub(crate) fn time_or_null(&self, column: usize) -> Option<Timestamp> {
        Timestamp::from_value(self.value(column))
    }

    pub(crate) fn time(&self, column: usize) -> Result<Timestamp> {
        self.time_or_null(column).ok_or_else(|| self.unexpected(column, "a time"))
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<Arc<[u8]>> {
        match self.value(column) {
            Value::Bytea(bytes) => Ok(bytes.clone()),
            _ => Err(self.unexpected(column, "a byte string")),
        }
    }

    pub(crate) fn texts(&self, column: usize) -> Result<Vec<String>> {
        let Value::Array(array) = self.value(column) else { return Err(self.unexpected(column, "an array")) };
        Ok(array.elements.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    pub(crate) fn json(&self, column: usize) -> Result<serde_json::Value> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|_| self.unexpected(column, "JSON"))
    }

    pub(crate) fn json_or_null(&self, column: usize) -> Result<serde_json::Value> {
        match self.value(column) {
            Value::Null => Ok(serde_json::Value::Null),
            _ => self.json(column),
        }
    }

    fn unexpected(&self, column: usize, expected: &str) -> SqlError {
        SqlError::internal(format!("column {} of a procedure's result is not {expected}", column + 1))
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::text(text)
}

pub(crate) fn or_null<T>(value: Option<T>, make: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, make)
}

pub(crate) fn text_array<T: AsRef<str>>(texts: &[T]) -> Value {
    let elements = texts.iter().map(|text| Value::text(text.as_ref())).collect();
    Value::Array(Arc::new(Array::from_elements(TypeId::TEXT, elements)))
}

pub(crate) fn int8_array(numbers: impl IntoIterator<Item = i64>) -> Value {
    let elements = numbers.into_iter().map(Value::Int8).collect();
    Value::Array(Arc::new(Array::from_elements(TypeId::INT8, elements)))
}

pub(crate) fn bytea_array<T: AsRef<[u8]>>(pieces: &[T]) -> Value {
    let elements = pieces.iter().map(|bytes| Value::bytea(bytes.as_ref())).collect();
    Value::Array(Arc::new(Array::from_elements(TypeId::BYTEA, elements)))
}
