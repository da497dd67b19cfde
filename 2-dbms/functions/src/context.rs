//! What a function may ask of its surroundings: the clock, randomness and the session.
//!
//! A function is pure except for what it reads here (docs/adr/0003), so a procedure can be replayed and the
//! simulator decides every answer.

use ecow::EcoString;
use tuplix_types::text_io::IoContext;
use tuplix_types::{EnumValue, Result, SqlError, TypeId, Value};

use crate::Function;

/// The surroundings of a call. Making one costs nothing: what a function asks of them is looked up when it asks.
#[derive(Clone, Copy)]
pub struct CallContext<'a> {
    /// The clock, randomness and how text is read and written.
    pub moment: &'a dyn Moment,
    /// Who asks, and with which settings.
    pub session: &'a dyn SessionInfo,
    /// The actual types of the arguments, for polymorphic functions and those that take `"any"`.
    pub arg_types: &'a [TypeId],
    /// The actual type of the result, for polymorphic functions and casts.
    pub result_type: TypeId,
}

/// What functions may ask of the transaction that they run in.
pub trait Moment {
    /// Start of the transaction, `timestamptz` microseconds: `now()`.
    fn now_us(&self) -> i64;
    /// Start of the statement, `timestamptz` microseconds.
    fn statement_us(&self) -> i64;
    /// The next 64 random bits, from the session's seed.
    fn random(&self) -> u64;
    /// The settings that reading and writing text depend on: time zone, `DateStyle`, ...
    fn io(&self) -> &IoContext;
}

/// The moment of an immutable function that is called before anything runs: no clock, no randomness, default settings.
#[derive(Debug, Default)]
pub struct NoMoment {
    io: IoContext,
}

impl Moment for NoMoment {
    fn now_us(&self) -> i64 {
        0
    }

    fn statement_us(&self) -> i64 {
        0
    }

    fn random(&self) -> u64 {
        0
    }

    fn io(&self) -> &IoContext {
        &self.io
    }
}

/// What functions may know of the session. Everything has a default that suits a session without a catalogue.
pub trait SessionInfo {
    /// `current_user`
    fn current_user(&self) -> EcoString {
        EcoString::from("tuplix")
    }
    /// `session_user`
    fn session_user(&self) -> EcoString {
        self.current_user()
    }
    /// `current_database()`
    fn current_database(&self) -> EcoString {
        EcoString::from("tuplix")
    }
    /// `current_schemas(false)`: the schemas of the search path that exist, first one first.
    fn search_path(&self) -> Vec<EcoString> {
        vec![EcoString::from("public")]
    }
    /// The value of a setting as `SHOW` would print it.
    fn setting(&self, _name: &str) -> Option<EcoString> {
        None
    }
    /// `set_config`: changes a setting and returns its new value.
    fn set_setting(&self, name: &str, _value: Option<&str>, _local: bool) -> Result<EcoString> {
        Err(SqlError::unsupported(format_args!("set_config(\"{name}\")")))
    }
    /// The clock now, `timestamptz` microseconds: `clock_timestamp()`.
    fn clock_us(&self) -> i64 {
        0
    }
    /// `pg_backend_pid()`
    fn backend_pid(&self) -> i32 {
        1
    }
    /// `pg_listening_channels()`
    fn listening_channels(&self) -> Vec<String> {
        Vec::new()
    }
    /// The values of an enum type in their order; `None` when it is no enum.
    fn enum_values(&self, _enum_type: TypeId) -> Option<Vec<EnumValue>> {
        None
    }
    /// The names and types of a composite type's columns.
    fn composite_columns(&self, _composite: TypeId) -> Option<Vec<(EcoString, TypeId)>> {
        None
    }
    /// The name of a user type as `format_type` prints it.
    fn type_name(&self, _user_type: TypeId) -> Option<EcoString> {
        None
    }
    /// The text of a `regclass`, `regproc`, `regnamespace` or `regtype` value, and of other object ids with names.
    fn object_name(&self, _reg_type: TypeId, _oid: u32) -> Option<EcoString> {
        None
    }
    /// The object id behind the text of such a value.
    fn object_id(&self, _reg_type: TypeId, _name: &str) -> Result<Option<u32>> {
        Ok(None)
    }
    /// The value of a user type (enum, composite, domain, or an array of such) that a text spells.
    fn parse_user_type(&self, id: TypeId, _text: &str) -> Result<Value> {
        Err(SqlError::unsupported(format_args!("text input of {id}")))
    }
    /// Calls a function that needs the engine's state ([`Function::engine`]): sequences, advisory locks, notifications.
    fn call_engine(&self, function: &Function, _args: &[Value]) -> Result<Value> {
        Err(SqlError::unsupported(format_args!("function {}", function.name)))
    }
}

/// A session that has nothing but defaults, for tests and for folding constants.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSession;

impl SessionInfo for NoSession {}
