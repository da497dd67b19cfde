//! Cursors.

use super::Statement;

/// DECLARE name CURSOR FOR query
#[derive(Clone, Debug)]
pub struct DeclareCursor {
    /// Name.
    pub name: String,
    /// SCROLL or NO SCROLL.
    pub scroll: Option<bool>,
    /// WITH HOLD
    pub hold: bool,
    /// The query.
    pub statement: Box<Statement>,
    /// The statement's text.
    pub text: String,
}

/// Which rows FETCH and MOVE mean. A count is `None` for ALL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorMove {
    /// FORWARD n, NEXT
    Forward(Option<i64>),
    /// BACKWARD n, PRIOR
    Backward(Option<i64>),
    /// ABSOLUTE n, FIRST, LAST
    Absolute(i64),
    /// RELATIVE n
    Relative(i64),
}
