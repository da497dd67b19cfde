//! The one unsafe module of this crate: the call into PostgreSQL's grammar.
//!
//! The crate `pg_query` links libpg_query and drops the position of a syntax error; these
//! declarations mirror its header `pg_query.h` so that the position survives. The C side keeps its
//! state per thread and takes no lock, so parsing is free to run on every thread at once.

use std::ffi::{CStr, CString, c_char, c_int};

// The crate is used for its linked C library here; without a mention the linker would drop it.
use pg_query as _;

/// What to read: a list of statements or one of PL/pgSQL's and the type system's fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Mode {
    /// Statements separated by semicolons.
    Default = 0,
    /// The name of a type with its modifiers.
    TypeName = 1,
    /// What may follow `SELECT` without its own keyword.
    PlpgsqlExpression = 2,
    /// `name := expression`.
    PlpgsqlAssign1 = 3,
    /// `name.name := expression`.
    PlpgsqlAssign2 = 4,
    /// `name.name.name := expression`.
    PlpgsqlAssign3 = 5,
}

/// The C library's report of an error.
#[derive(Debug)]
pub(super) struct RawError {
    /// PostgreSQL's message.
    pub message: String,
    /// In characters from 1; zero when unknown.
    pub position: i32,
}

#[repr(C)]
struct PgQueryError {
    message: *mut c_char,
    funcname: *mut c_char,
    filename: *mut c_char,
    lineno: c_int,
    cursorpos: c_int,
    context: *mut c_char,
}

#[repr(C)]
struct PgQueryProtobuf {
    len: usize,
    data: *mut c_char,
}

#[repr(C)]
struct PgQueryProtobufParseResult {
    parse_tree: PgQueryProtobuf,
    stderr_buffer: *mut c_char,
    error: *mut PgQueryError,
}

unsafe extern "C" {
    fn pg_query_parse_protobuf_opts(input: *const c_char, options: c_int) -> PgQueryProtobufParseResult;
    fn pg_query_free_protobuf_parse_result(result: PgQueryProtobufParseResult);
}

/// Parses `text` and hands the serialized tree to `read` before it is freed.
pub(super) fn parse<T>(text: &CString, mode: Mode, read: impl FnOnce(&[u8]) -> T) -> Result<T, RawError> {
    /// Frees the result also when `read` panics.
    struct Owned(Option<PgQueryProtobufParseResult>);
    impl Drop for Owned {
        fn drop(&mut self) {
            if let Some(result) = self.0.take() {
                // SAFETY: the result came from pg_query_parse_protobuf_opts and is freed once, here.
                unsafe { pg_query_free_protobuf_parse_result(result) }
            }
        }
    }
    // SAFETY: the input is a NUL-terminated string that outlives the call; the options are one of
    // the library's parse modes; the library keeps no pointer to the input.
    let owned = Owned(Some(unsafe { pg_query_parse_protobuf_opts(text.as_ptr(), mode as c_int) }));
    let result = owned.0.as_ref().expect("invariant: taken only by drop");
    // SAFETY: error is null or points to a struct that lives until the result is freed.
    if let Some(error) = unsafe { result.error.as_ref() } {
        let message = if error.message.is_null() {
            String::from("syntax error")
        } else {
            // SAFETY: a non-null message is a NUL-terminated string owned by the result.
            unsafe { CStr::from_ptr(error.message) }.to_string_lossy().into_owned()
        };
        return Err(RawError { message, position: error.cursorpos });
    }
    let tree = if result.parse_tree.data.is_null() || result.parse_tree.len == 0 {
        &[]
    } else {
        // SAFETY: without an error, data points to len initialized bytes owned by the result, and
        // they are only read while `owned` lives.
        unsafe { std::slice::from_raw_parts(result.parse_tree.data.cast::<u8>(), result.parse_tree.len) }
    };
    Ok(read(tree))
}
