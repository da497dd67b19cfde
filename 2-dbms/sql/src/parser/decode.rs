//! From the C library's bytes to the tree, within a bounded part of the stack.
//!
//! Decoding is recursive: a message in a message is a call in a call. The C side stops at about
//! 5,000 levels of expressions, which is more than a thread's stack holds here. The serialized
//! bytes don't say how deep they nest without the schema, so the reader itself watches: every read
//! compares the stack's address with the one it began at, and past the budget it pretends that the
//! bytes end. The decoder then unwinds with an ordinary error.

use std::cell::Cell;

use pg_query::protobuf::ParseResult;
use prost::Message;
use prost::bytes::Buf;
use tuplix_types::{Result, SqlError, sqlstate};

/// The most stack in bytes that decoding, or walking the tree, may use; a thread of ours has 2 MiB
/// or more. Optimized, a level of an expression takes 2.2 KiB, so [`super::NESTING_MAX`] comes first.
const STACK_BUDGET_BYTES: usize = 1024 * 1024;

/// Where the stack was when a recursion began.
#[derive(Clone, Copy)]
pub(super) struct StackBase(usize);

impl StackBase {
    pub fn here() -> StackBase {
        StackBase(stack_address())
    }

    /// Whether the stack grew past the budget since.
    pub fn is_exceeded(self) -> bool {
        self.0.abs_diff(stack_address()) > STACK_BUDGET_BYTES
    }
}

/// Decodes the tree of one parse.
pub(super) fn decode(bytes: &[u8]) -> Result<ParseResult> {
    let too_deep = Cell::new(false);
    let reader = Reader { rest: bytes, base: StackBase::here(), too_deep: &too_deep };
    match ParseResult::decode(reader) {
        Ok(tree) => Ok(tree),
        Err(_) if too_deep.get() => Err(too_complex()),
        Err(error) => Err(SqlError::internal(format!("the parse tree cannot be read: {error}"))),
    }
}

/// SQLSTATE 54001, in PostgreSQL's words.
pub(super) fn too_complex() -> SqlError {
    SqlError::new(sqlstate::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").hint(format!(
        "Statements nest at most {} levels deep; write the expression with fewer nested parts.",
        super::NESTING_MAX
    ))
}

/// Where the stack is now: the address of a local variable.
#[inline(never)]
fn stack_address() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

/// Bytes that end early when the stack below the reader grows past the budget.
struct Reader<'a> {
    rest: &'a [u8],
    base: StackBase,
    too_deep: &'a Cell<bool>,
}

impl Buf for Reader<'_> {
    fn remaining(&self) -> usize {
        self.chunk().len()
    }

    fn chunk(&self) -> &[u8] {
        if self.too_deep.get() {
            return &[];
        }
        if self.base.is_exceeded() {
            self.too_deep.set(true);
            return &[];
        }
        self.rest
    }

    fn advance(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}
