//! A bound function body: PL/pgSQL with every name resolved and every expression typed.

use tuplix_catalog::FunctionId;
use tuplix_types::sqlstate::SqlState;
use tuplix_types::{Severity, SqlError, TypeId};

use super::{Expr, OutputColumn, Relation, Statement};

/// A function ready to be compiled.
#[derive(Clone, Debug)]
pub struct Procedure {
    /// The function; `None` for DO.
    pub function: Option<FunctionId>,
    /// Name for error contexts: `f(integer)`.
    pub signature: String,
    /// Variables: the input arguments first, then OUT arguments, `found`, then declared ones.
    pub variables: Vec<Variable>,
    /// How many of them are arguments that the caller passes.
    pub inputs: usize,
    /// The variables of OUT, INOUT and TABLE arguments, in order.
    pub outputs: Vec<usize>,
    /// The variable `FOUND`.
    pub found: usize,
    /// A call's value is the empty text of type `void`: PL/pgSQL's, where SQL functions give NULL.
    pub gives_void: bool,
    /// A trigger's function: the arguments are NEW, OLD and the `TG_` variables.
    pub is_trigger: bool,
    /// What a call gives: one column for a scalar function, none for void.
    pub columns: Vec<OutputColumn>,
    /// Gives any number of rows.
    pub returns_set: bool,
    /// Gives rows of a named row type: its values are records of `columns`.
    pub returns_row: bool,
    /// SET: settings while it runs.
    pub settings: Vec<(String, String)>,
    /// The body.
    pub body: Block,
}

/// A variable of a procedure.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Name, for errors.
    pub name: String,
    /// The same for the same declaration of the text whatever the catalogue is.
    pub id: u64,
    /// Type; `RECORD` for a record.
    pub ty: TypeId,
    /// Type modifier.
    pub typmod: i32,
    /// NOT NULL
    pub not_null: bool,
    /// The fields of a %ROWTYPE variable, or of a record whose shape is known when bound.
    pub fields: Option<Vec<OutputColumn>>,
}

/// BEGIN ... END with its declarations.
#[derive(Clone, Debug)]
pub struct Block {
    /// `<<label>>`
    pub label: Option<String>,
    /// Variables set when the block is entered, in order; without a value they become NULL.
    pub initial: Vec<(usize, Option<Expr>)>,
    /// Statements.
    pub statements: Vec<Located<PlStatement>>,
    /// EXCEPTION WHEN ... THEN; not empty means a subtransaction.
    pub handlers: Vec<Handler>,
    /// The variables SQLSTATE and SQLERRM inside the handlers.
    pub error_variables: Option<(usize, usize)>,
}

/// WHEN conditions THEN statements.
#[derive(Clone, Debug)]
pub struct Handler {
    /// SQLSTATEs; a code ending in `000` stands for its class. `None` is OTHERS.
    pub conditions: Vec<Option<SqlState>>,
    /// Statements.
    pub statements: Vec<Located<PlStatement>>,
}

/// A statement with its line in the body, from 1.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// Line.
    pub line: u32,
    /// The same for the same statement of the text whatever the catalogue is; 0 for what the binder made up.
    pub id: u64,
    /// The statement.
    pub node: T,
}

/// A query or change inside a body: a typed statement that reads variables as [`super::ExprKind::Variable`].
#[derive(Clone, Debug)]
pub struct Embedded {
    /// The statement.
    pub statement: Statement,
    /// Its text, for error contexts.
    pub text: String,
}

/// An expression inside a body; subqueries in it use `relations`.
#[derive(Clone, Debug)]
pub struct Expression {
    /// The expression.
    pub expr: Expr,
    /// Relations that its subqueries use.
    pub relations: Vec<Relation>,
    /// Its text, for error contexts.
    pub text: String,
    /// Why it cannot be computed: the error of reaching it. `expr` is NULL then.
    pub failure: Option<SqlError>,
}

/// Where a value goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// A variable; the value was coerced to its type by the analyzer.
    Variable(usize),
    /// A field of a record or row variable.
    Field(usize, usize),
    /// A whole record or row variable, filled from all columns.
    Record(usize),
}

/// INTO \[STRICT\] targets.
#[derive(Clone, Debug)]
pub struct Into {
    /// Exactly one row, or P0002 / P0003.
    pub strict: bool,
    /// Target of each column, with the assignment cast over [`super::ExprKind::CaseOperand`] when types differ.
    pub targets: Vec<(Target, Option<Expr>)>,
}

/// A PL/pgSQL statement.
#[derive(Clone, Debug)]
pub enum PlStatement {
    /// A nested block.
    Block(Box<Block>),
    /// target := expression, coerced to the target's type.
    Assign {
        /// Target.
        target: Target,
        /// Value.
        value: Expression,
    },
    /// IF ... ELSIF ... ELSE
    If {
        /// Conditions with their statements.
        arms: Vec<(Expression, Vec<Located<PlStatement>>)>,
        /// ELSE
        otherwise: Vec<Located<PlStatement>>,
    },
    /// CASE; the operand was folded into the conditions. Without ELSE and match: 20000.
    Case {
        /// Conditions with their statements.
        arms: Vec<(Expression, Vec<Located<PlStatement>>)>,
        /// ELSE; `None` raises.
        otherwise: Option<Vec<Located<PlStatement>>>,
    },
    /// LOOP
    Loop {
        /// Label.
        label: Option<String>,
        /// Body.
        body: Vec<Located<PlStatement>>,
    },
    /// WHILE
    While {
        /// Label.
        label: Option<String>,
        /// Condition.
        condition: Expression,
        /// Body.
        body: Vec<Located<PlStatement>>,
    },
    /// FOR i IN \[REVERSE\] a..b BY c; all `int4`.
    ForRange {
        /// Label.
        label: Option<String>,
        /// Loop variable.
        variable: usize,
        /// REVERSE
        reverse: bool,
        /// First.
        from: Expression,
        /// Last.
        to: Expression,
        /// Step, 1 unless said.
        step: Option<Expression>,
        /// Body.
        body: Vec<Located<PlStatement>>,
    },
    /// FOR targets IN query
    ForQuery {
        /// Label.
        label: Option<String>,
        /// Targets of each row.
        into: Into,
        /// Query.
        query: Embedded,
        /// Body.
        body: Vec<Located<PlStatement>>,
    },
    /// FOR targets IN cursor
    ForCursor {
        /// Label.
        label: Option<String>,
        /// The variable that holds the cursor's name.
        cursor: usize,
        /// SCROLL or NO SCROLL.
        scroll: Option<bool>,
        /// Targets of each row.
        into: Into,
        /// Query.
        query: Embedded,
        /// What of its rows is for WHERE CURRENT OF.
        places: super::CursorPlaces,
        /// Body.
        body: Vec<Located<PlStatement>>,
    },
    /// FOR targets IN EXECUTE text USING arguments
    ForExecute {
        /// Label.
        label: Option<String>,
        /// Targets of each row; casts are made when the columns' types are known.
        into: Into,
        /// The text.
        text: Expression,
        /// USING
        arguments: Vec<Expression>,
        /// Body.
        body: Vec<Located<PlStatement>>,
    },
    /// FOREACH target IN ARRAY array
    ForEach {
        /// Label.
        label: Option<String>,
        /// Target of each element, with its cast.
        target: (Target, Option<Expr>),
        /// SLICE
        slice: u32,
        /// The array.
        array: Expression,
        /// Body.
        body: Vec<Located<PlStatement>>,
    },
    /// EXIT or CONTINUE
    Leave {
        /// CONTINUE
        next: bool,
        /// Label.
        label: Option<String>,
        /// WHEN
        condition: Option<Expression>,
    },
    /// RETURN, with the value coerced to the result type; `None`: OUT variables or void.
    Return(Option<Expression>),
    /// RETURN NEXT with the columns of one row; none: OUT variables.
    ReturnNext(Vec<Expression>),
    /// RETURN QUERY, with its columns coerced.
    ReturnQuery(Embedded),
    /// RETURN QUERY EXECUTE
    ReturnQueryExecute {
        /// The text.
        text: Expression,
        /// USING
        arguments: Vec<Expression>,
    },
    /// RAISE
    Raise(Box<Raise>),
    /// ASSERT
    Assert {
        /// Condition.
        condition: Expression,
        /// Message, a `text`.
        message: Option<Expression>,
    },
    /// An SQL statement, PERFORM too (its rows are dropped, FOUND is set).
    Sql {
        /// The statement.
        statement: Embedded,
        /// INTO
        into: Option<Into>,
        /// PERFORM: a query whose rows are dropped; a plain SELECT without INTO is refused when bound.
        perform: bool,
    },
    /// EXECUTE text INTO targets USING arguments
    Execute {
        /// The text.
        text: Expression,
        /// INTO; casts are made when the columns' types are known.
        into: Option<Into>,
        /// USING
        arguments: Vec<Expression>,
    },
    /// OPEN
    OpenCursor {
        /// The variable that holds the cursor's name.
        cursor: usize,
        /// It is CONSTANT: a cursor that is to be given a name cannot be opened.
        constant: bool,
        /// Values of the variables that the query reads as its arguments.
        arguments: Vec<(usize, Expression)>,
        /// SCROLL or NO SCROLL.
        scroll: Option<bool>,
        /// The query.
        source: CursorSource,
    },
    /// FETCH, or MOVE without targets.
    FetchCursor {
        /// The variable that holds the cursor's name.
        cursor: usize,
        /// Which rows; the number in it stands for `count` when there is one.
        by: super::CursorMove,
        /// How many, or which.
        count: Option<Expression>,
        /// INTO; casts are made when the columns' types are known.
        into: Option<Into>,
    },
    /// CLOSE
    CloseCursor(usize),
    /// GET \[STACKED\] DIAGNOSTICS
    GetDiagnostics(Vec<(Target, Diagnostic)>),
    /// NULL
    Null,
    /// A statement that cannot be done: reaching it raises the error.
    Fail {
        /// The error.
        error: SqlError,
        /// What the statement is called in error contexts.
        what: &'static str,
    },
}

/// What a cursor is opened for.
#[derive(Clone, Debug)]
pub enum CursorSource {
    /// A query, and what of its rows is for WHERE CURRENT OF.
    Query(Embedded, super::CursorPlaces),
    /// FOR EXECUTE text USING arguments
    Dynamic {
        /// The text.
        text: Expression,
        /// USING
        arguments: Vec<Expression>,
    },
}

/// RAISE
#[derive(Clone, Debug)]
pub struct Raise {
    /// Severity; [`Severity::Error`] for EXCEPTION.
    pub severity: Severity,
    /// Bare RAISE: the error in hand again.
    pub rethrow: bool,
    /// Condition name or SQLSTATE.
    pub sqlstate: Option<SqlState>,
    /// The condition's name, which is the message when there is no other.
    pub condition: Option<String>,
    /// Format with `%` for each argument, `%%` for a percent sign.
    pub format: Option<String>,
    /// Arguments, already as `text`.
    pub arguments: Vec<Expression>,
    /// USING option = `text` expression.
    pub options: Vec<(RaiseOption, Expression)>,
}

/// USING options of RAISE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaiseOption {
    /// ERRCODE
    Errcode,
    /// MESSAGE
    Message,
    /// DETAIL
    Detail,
    /// HINT
    Hint,
    /// COLUMN
    Column,
    /// CONSTRAINT
    Constraint,
    /// DATATYPE
    Datatype,
    /// TABLE
    Table,
    /// SCHEMA
    Schema,
}

/// GET DIAGNOSTICS items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diagnostic {
    /// ROW_COUNT
    RowCount,
    /// PG_CONTEXT
    Context,
    /// RETURNED_SQLSTATE
    ReturnedSqlstate,
    /// MESSAGE_TEXT
    MessageText,
    /// PG_EXCEPTION_DETAIL
    ExceptionDetail,
    /// PG_EXCEPTION_HINT
    ExceptionHint,
    /// PG_EXCEPTION_CONTEXT
    ExceptionContext,
    /// CONSTRAINT_NAME
    ConstraintName,
    /// COLUMN_NAME
    ColumnName,
    /// TABLE_NAME
    TableName,
    /// SCHEMA_NAME
    SchemaName,
    /// PG_DATATYPE_NAME
    DatatypeName,
}
