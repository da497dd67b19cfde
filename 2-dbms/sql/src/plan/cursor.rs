//! Cursors.

use tuplix_catalog::TableId;

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
    /// What of its rows is for WHERE CURRENT OF.
    pub places: CursorPlaces,
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

/// The cursor of WHERE CURRENT OF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CurrentOf {
    /// By its name.
    Named(String),
    /// The PL/pgSQL variable that holds its name.
    Variable(usize),
}

/// Which columns of a cursor's query are not for those who fetch: they say which rows of tables a row was made of.
#[derive(Clone, Debug, Default)]
pub struct CursorPlaces {
    /// How many columns are for those who fetch; the others are [`super::ExprKind::Place`] of these tables, in order.
    pub visible: usize,
    /// The tables whose rows can be changed through the cursor.
    pub tables: Vec<CursorTable>,
    /// The query says FOR UPDATE or alike: of all tables in it these are those whose rows it locks.
    pub locked: bool,
}

/// A table whose rows can be changed through a cursor.
#[derive(Clone, Debug)]
pub struct CursorTable {
    /// The table.
    pub table: TableId,
    /// Columns whose values tell the row from one that has taken its place since; none where rows are locked.
    pub keys: Vec<usize>,
    /// The columns are a key: no other row has the same values.
    pub unique: bool,
}
