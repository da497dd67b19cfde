//! Values in the protocol's two formats, text and binary.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use tuplix::Session;
use tuplix_types::text_io::{self, IoContext};
use tuplix_types::{Result, Rows, SqlError, TypeId, Value, binary_io, sqlstate};

/// How a value travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The text that the type's output function writes.
    Text,
    /// The type's binary form, big-endian.
    Binary,
}

impl Format {
    /// The format of number `index` in a list that has none (all text), one for all, or one each.
    pub(crate) fn pick(codes: &[i16], index: usize) -> Format {
        let code = if codes.len() == 1 { codes.first() } else { codes.get(index) };
        match code {
            Some(1) => Format::Binary,
            _ => Format::Text,
        }
    }

    /// Checks a list of format codes.
    ///
    /// # Errors
    /// 22023 for a code that is neither text nor binary.
    pub(crate) fn check(codes: &[i16]) -> Result<()> {
        match codes.iter().find(|code| !matches!(code, 0 | 1)) {
            None => Ok(()),
            Some(code) => Err(SqlError::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("unsupported format code: {code}"),
            )),
        }
    }
}

/// Writes values, with scratch space that is used again for each.
pub(crate) struct Formatter {
    /// What the session's settings say about texts.
    context: IoContext,
    /// The names of the objects in the rows under way, for `regclass` and its kin.
    names: BTreeMap<(TypeId, u32), String>,
    text: String,
    binary: Vec<u8>,
}

impl Formatter {
    /// One for a session.
    ///
    /// # Errors
    /// None for settings that were checked when they were set.
    pub(crate) fn new(session: &Session) -> Result<Formatter> {
        let names = BTreeMap::new();
        Ok(Formatter { context: context(session)?, names, text: String::new(), binary: Vec::new() })
    }

    /// Has to be called when settings have changed.
    ///
    /// # Errors
    /// As [`Formatter::new`].
    pub(crate) fn settings_changed(&mut self, session: &Session) -> Result<()> {
        self.context = context(session)?;
        Ok(())
    }

    /// What reading texts depends on at this moment.
    pub(crate) fn context_now(&self) -> IoContext {
        IoContext { now: microseconds_now(), ..self.context.clone() }
    }

    /// Looks up the names that the texts of `regclass` values and their kin in these rows are, and how `bytea` is written: clients
    /// are not told when `bytea_output` changes, so nobody tells this.
    pub(crate) fn learn_names(&mut self, session: &Session, rows: &Rows) {
        let is_bytea = |ty: TypeId| ty == TypeId::BYTEA || ty.element() == Some(TypeId::BYTEA);
        if rows.columns.iter().any(|column| is_bytea(column.ty)) {
            self.context.bytea_escape = session.setting("bytea_output").as_deref() == Some("escape");
        }
        if !rows.columns.iter().any(|column| column.ty.is_object_name()) {
            return;
        }
        self.names.clear();
        for row in rows.iter() {
            for (value, column) in row.iter().zip(rows.columns.iter()) {
                if let (Value::Oid(oid), true) = (value, column.ty.is_object_name())
                    && let Entry::Vacant(place) = self.names.entry((column.ty, *oid))
                    && let Some(name) = session.object_name(column.ty, *oid)
                {
                    place.insert(name);
                }
            }
        }
    }

    /// Appends a value that is not NULL, without its length.
    pub(crate) fn put(&mut self, buffer: &mut BytesMut, value: &Value, ty: TypeId, format: Format) {
        buffer.extend_from_slice(self.bytes(value, ty, format));
    }

    /// The bytes of a value that is not NULL.
    pub(crate) fn bytes(&mut self, value: &Value, ty: TypeId, format: Format) -> &[u8] {
        match format {
            Format::Text => {
                if let Value::Oid(oid) = value
                    && ty.is_object_name()
                    && let Some(name) = self.names.get(&(ty, *oid))
                {
                    return name.as_bytes();
                }
                self.text.clear();
                text_io::format_text(ty, value, &self.context, &mut self.text);
                self.text.as_bytes()
            }
            Format::Binary => {
                self.binary.clear();
                binary_io::send(ty, value, &mut self.binary);
                &self.binary
            }
        }
    }
}

/// The argument of type `ty` that a client sent.
///
/// # Errors
/// The type's own error for what is no such value, 22021 for text that is not UTF-8.
pub(crate) fn argument(
    bytes: Option<&[u8]>,
    ty: TypeId,
    format: Format,
    context: &IoContext,
) -> Result<Value> {
    match (bytes, format) {
        (None, _) => Ok(Value::Null),
        (Some(bytes), Format::Text) => text_io::parse_text(ty, -1, binary_io::utf8(bytes)?, context),
        (Some(bytes), Format::Binary) => binary_io::receive(ty, -1, bytes),
    }
}

fn context(session: &Session) -> Result<IoContext> {
    Ok(IoContext::of_settings(|name| session.setting(name)))
}

/// Microseconds since 2000-01-01 00:00 UTC, for arguments such as `now` and `today`.
fn microseconds_now() -> i64 {
    const POSTGRES_EPOCH: Duration = Duration::from_secs(946_684_800);
    // The wire stands outside the simulation.
    #[allow(clippy::disallowed_methods)]
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().saturating_sub(POSTGRES_EPOCH);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
