//! The tree of a PL/pgSQL body.
//!
//! Statements and declarations are ours; what is SQL in them ([`Expression`], [`Query`],
//! [`Assignment`]) is parsed already and holds the grammar's own tree. Names are not resolved:
//! whether a dotted name is a variable, a field of a record or a label and a variable is for the
//! analyzer to say.
//!
//! All offsets are bytes in the body. A `location` in a tree of the grammar is a byte offset in the
//! `text` beside it, so `offset + location` is its place in the body.

use pg_query::NodeEnum;
use pg_query::protobuf::{PlAssignStmt, SelectStmt, TypeName};

/// A whole body: options, and the outermost block.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// What `#variable_conflict` says, `Error` without it.
    pub variable_conflict: VariableConflict,
    /// What `#print_strict_params` says.
    pub print_strict_params: Option<bool>,
    /// The outermost block.
    pub block: Block,
}

/// What a name means that is both a variable and a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VariableConflict {
    /// 42702.
    #[default]
    Error,
    /// The variable.
    UseVariable,
    /// The column.
    UseColumn,
}

/// `[<<label>>] [DECLARE ...] BEGIN ... [EXCEPTION ...] END`.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its label.
    pub label: Option<String>,
    /// Line of its `BEGIN`.
    pub line: u32,
    /// Its declarations in order.
    pub declarations: Vec<Declaration>,
    /// Its statements.
    pub statements: Vec<Statement>,
    /// Its exception handlers; `None` without an `EXCEPTION` section (no subtransaction then).
    pub handlers: Option<Vec<Handler>>,
}

/// `WHEN condition OR condition THEN statements`.
#[derive(Clone, Debug, PartialEq)]
pub struct Handler {
    /// Line of its `WHEN`.
    pub line: u32,
    /// Any of them makes it run.
    pub conditions: Vec<Condition>,
    /// Its statements.
    pub statements: Vec<Statement>,
}

/// What an exception handler waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `OTHERS`: everything but 57014 and P0004.
    Others,
    /// A condition's name, known to `SqlState::from_condition_name`; a class's name means the class.
    Named(String),
    /// `SQLSTATE 'xxxxx'`.
    SqlState(String),
}

/// One declaration of a `DECLARE` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// The name declared.
    pub name: String,
    /// Byte offset of the name.
    pub offset: usize,
    /// Line of the name.
    pub line: u32,
    /// What it is.
    pub kind: DeclarationKind,
}

/// What is declared.
#[derive(Clone, Debug, PartialEq)]
pub enum DeclarationKind {
    /// `name [CONSTANT] type [COLLATE c] [NOT NULL] [{ DEFAULT | := | = } expression]`.
    Variable {
        /// Its type.
        data_type: DataType,
        /// `CONSTANT`.
        constant: bool,
        /// `NOT NULL`; a default is there then.
        not_null: bool,
        /// `COLLATE`'s name.
        collation: Option<Vec<String>>,
        /// Evaluated each time the block is entered.
        default: Option<Expression>,
    },
    /// `name ALIAS FOR target`; the target is a variable's name or `$1`.
    Alias {
        /// The name aliased, with its labels.
        target: Vec<String>,
        /// Byte offset of the target.
        offset: usize,
    },
    /// `name [NO] SCROLL CURSOR [(arguments)] {FOR | IS} query`.
    Cursor {
        /// `SCROLL` is true, `NO SCROLL` false.
        scroll: Option<bool>,
        /// Its arguments, visible in the query only.
        arguments: Vec<CursorArgument>,
        /// Its query.
        query: Query,
    },
}

/// An argument of a bound cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct CursorArgument {
    /// Its name.
    pub name: String,
    /// Byte offset of the name.
    pub offset: usize,
    /// Line of the name.
    pub line: u32,
    /// Its type.
    pub data_type: DataType,
}

/// The type of a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct DataType {
    /// As written.
    pub text: String,
    /// Byte offset of the text.
    pub offset: usize,
    /// What it says.
    pub kind: DataTypeKind,
}

/// How a type is named.
#[derive(Clone, Debug, PartialEq)]
pub enum DataTypeKind {
    /// A type's name, `refcursor` and composite types among them.
    Named(Box<TypeName>),
    /// `record`.
    Record,
    /// `name%TYPE`: the type of a variable or of a table's column.
    OfVariable(Vec<String>),
    /// `name%ROWTYPE`: the row type of a table.
    RowOf(Vec<String>),
}

/// An expression of SQL, as it may follow `SELECT`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// As written, without what surrounds it.
    pub text: String,
    /// Byte offset of the text.
    pub offset: usize,
    /// Line of the text.
    pub line: u32,
    /// Its tree. One target and nothing else for a plain expression; PostgreSQL allows `x FROM t`.
    pub select: Box<SelectStmt>,
}

/// A statement of SQL.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// As written, with spaces in place of a PL/pgSQL `INTO` clause, so that offsets hold, and
    /// `SELECT` in place of `PERFORM`.
    pub text: String,
    /// Byte offset of the text; one past that of `PERFORM`, which is a byte longer.
    pub offset: usize,
    /// Line of the text.
    pub line: u32,
    /// Its tree.
    pub node: Box<NodeEnum>,
}

/// `target := expression`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// As written.
    pub text: String,
    /// Byte offset of the text.
    pub offset: usize,
    /// Line of the text.
    pub line: u32,
    /// Its tree, as if the first name alone were the variable: `name` is the first name, and
    /// `indirection` has the further names (of a field, or of the variable when the first is a
    /// label) and the subscripts.
    pub tree: Box<PlAssignStmt>,
}

/// The name of a variable, or of a field of one: up to three names joined by dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The names.
    pub parts: Vec<String>,
    /// Byte offset of the first.
    pub offset: usize,
    /// Line of the first.
    pub line: u32,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.parts.join("."))
    }
}

/// `INTO [STRICT] target, ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Into {
    /// Exactly one row must come (P0002, P0003).
    pub strict: bool,
    /// One record or row variable, or scalar variables and fields.
    pub targets: Vec<Name>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Byte offset of its first token.
    pub offset: usize,
    /// Its line, as error contexts show it.
    pub line: u32,
    /// What it is.
    pub kind: StatementKind,
}

/// A condition and the statements it guards.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Line of its key word.
    pub line: u32,
    /// The condition; in a `CASE x` the values compared with x, one or more targets.
    pub condition: Expression,
    /// What then happens.
    pub statements: Vec<Statement>,
}

/// What a loop repeats, and its name.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopBody {
    /// Its label.
    pub label: Option<String>,
    /// Its statements.
    pub statements: Vec<Statement>,
}

/// Every kind of statement.
#[derive(Clone, Debug, PartialEq)]
pub enum StatementKind {
    /// A nested block.
    Block(Block),
    /// `target := expression`.
    Assign(Assignment),
    /// `IF ... ELSIF ... ELSE ... END IF`.
    If {
        /// `IF` and every `ELSIF`, tried in order.
        branches: Vec<Branch>,
        /// `ELSE`, empty without one.
        otherwise: Vec<Statement>,
    },
    /// `CASE ... END CASE`.
    Case {
        /// What the branches' values are compared with; without it they are conditions.
        subject: Option<Expression>,
        /// Every `WHEN`, tried in order.
        branches: Vec<Branch>,
        /// `ELSE`; without one, no branch taken is 20000.
        otherwise: Option<Vec<Statement>>,
    },
    /// `LOOP`.
    Loop(LoopBody),
    /// `WHILE condition LOOP`.
    While {
        /// Checked before each round.
        condition: Expression,
        /// The body.
        body: LoopBody,
    },
    /// `FOR variable IN [REVERSE] lower .. upper [BY step] LOOP`.
    ForInteger {
        /// The loop's own integer variable.
        variable: Name,
        /// `REVERSE`.
        reverse: bool,
        /// First value.
        lower: Expression,
        /// Last value.
        upper: Expression,
        /// Distance, 1 without it.
        step: Option<Expression>,
        /// The body.
        body: LoopBody,
    },
    /// `FOR targets IN query LOOP`.
    ForQuery {
        /// One record or row variable, or scalar variables.
        targets: Vec<Name>,
        /// The query.
        query: Query,
        /// The body.
        body: LoopBody,
    },
    /// `FOR targets IN EXECUTE text USING ... LOOP`.
    ForExecute {
        /// One record or row variable, or scalar variables.
        targets: Vec<Name>,
        /// The text of the query.
        query: Expression,
        /// Its parameters.
        using: Vec<Expression>,
        /// The body.
        body: LoopBody,
    },
    /// `FOR variable IN cursor [(arguments)] LOOP`, the cursor declared with its query.
    ForCursor {
        /// The loop's own record variable.
        variable: Name,
        /// The cursor.
        cursor: Name,
        /// Its arguments in the order of its declaration.
        arguments: Vec<Expression>,
        /// The body.
        body: LoopBody,
    },
    /// `FOREACH target [SLICE n] IN ARRAY expression LOOP`.
    ForEach {
        /// What gets each element.
        targets: Vec<Name>,
        /// Dimensions of a slice; 0 iterates over elements.
        slice: i32,
        /// The array.
        array: Expression,
        /// The body.
        body: LoopBody,
    },
    /// `EXIT` or `CONTINUE`.
    Exit {
        /// `CONTINUE`.
        next: bool,
        /// Which loop or block, the innermost loop without one.
        label: Option<String>,
        /// `WHEN`.
        condition: Option<Expression>,
    },
    /// `RETURN [expression]`.
    Return(Option<Expression>),
    /// `RETURN NEXT [expression]`.
    ReturnNext(Option<Expression>),
    /// `RETURN QUERY query`.
    ReturnQuery(Query),
    /// `RETURN QUERY EXECUTE text USING ...`.
    ReturnQueryExecute {
        /// The text of the query.
        query: Expression,
        /// Its parameters.
        using: Vec<Expression>,
    },
    /// `RAISE`.
    Raise(Raise),
    /// `ASSERT condition [, message]`.
    Assert {
        /// What must hold.
        condition: Expression,
        /// Said when it does not.
        message: Option<Expression>,
    },
    /// `PERFORM ...`: the query's rows are thrown away.
    Perform(Query),
    /// `CALL procedure(...)`.
    Call(Query),
    /// `DO ...`.
    Do(Query),
    /// Any other statement of SQL.
    Sql {
        /// The statement.
        query: Query,
        /// Where its row goes.
        into: Option<Into>,
    },
    /// `EXECUTE text [INTO ...] [USING ...]`.
    Execute {
        /// The text of the statement.
        query: Expression,
        /// Where its row goes.
        into: Option<Into>,
        /// Its parameters.
        using: Vec<Expression>,
    },
    /// `GET [CURRENT | STACKED] DIAGNOSTICS`.
    GetDiagnostics {
        /// Of the exception being handled.
        stacked: bool,
        /// What goes where.
        items: Vec<(Name, DiagnosticsItem)>,
    },
    /// `OPEN cursor ...`.
    Open {
        /// The cursor variable.
        cursor: Name,
        /// What it is opened for.
        source: OpenSource,
    },
    /// `FETCH [direction] cursor INTO ...`, or `MOVE` without targets.
    Fetch {
        /// The cursor variable.
        cursor: Name,
        /// Which row.
        direction: FetchDirection,
        /// Where it goes; empty for `MOVE`.
        targets: Vec<Name>,
    },
    /// `CLOSE cursor`.
    Close(Name),
    /// `NULL`.
    Null,
    /// `COMMIT [AND [NO] CHAIN]`.
    Commit {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `ROLLBACK [AND [NO] CHAIN]`.
    Rollback {
        /// `AND CHAIN`.
        chain: bool,
    },
}

/// How bad a `RAISE` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaiseLevel {
    /// `EXCEPTION`, also without a level.
    Exception,
    /// `WARNING`.
    Warning,
    /// `NOTICE`.
    Notice,
    /// `INFO`.
    Info,
    /// `LOG`.
    Log,
    /// `DEBUG`.
    Debug,
}

/// `RAISE [level] ['format' [, argument ...] | condition | SQLSTATE 'x'] [USING option = expression ...]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Raise {
    /// How bad it is.
    pub level: RaiseLevel,
    /// What is said; `None` with no options either raises the handled error again.
    pub message: RaiseMessage,
    /// `USING`.
    pub options: Vec<(RaiseOption, Expression)>,
}

impl Raise {
    /// Whether it is a bare `RAISE`, which raises the error being handled again.
    pub fn is_again(&self) -> bool {
        self.message == RaiseMessage::Nothing && self.options.is_empty()
    }
}

/// What a `RAISE` says before its options.
#[derive(Clone, Debug, PartialEq)]
pub enum RaiseMessage {
    /// Nothing.
    Nothing,
    /// A format whose every `%` but `%%` takes an argument; the counts agree.
    Format {
        /// The format, decoded.
        format: String,
        /// Its arguments.
        arguments: Vec<Expression>,
    },
    /// A condition's name, known to `SqlState::from_condition_name`.
    Condition(String),
    /// `SQLSTATE 'xxxxx'`.
    SqlState(String),
}

/// An option of `RAISE ... USING`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaiseOption {
    /// `ERRCODE`: a condition's name or an SQLSTATE.
    ErrCode,
    /// `MESSAGE`.
    Message,
    /// `DETAIL`.
    Detail,
    /// `HINT`.
    Hint,
    /// `COLUMN`.
    Column,
    /// `CONSTRAINT`.
    Constraint,
    /// `DATATYPE`.
    DataType,
    /// `TABLE`.
    Table,
    /// `SCHEMA`.
    Schema,
}

/// What `GET DIAGNOSTICS` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiagnosticsItem {
    /// `ROW_COUNT`
    RowCount,
    /// `PG_CONTEXT`
    Context,
    /// `RETURNED_SQLSTATE`
    ReturnedSqlState,
    /// `MESSAGE_TEXT`
    MessageText,
    /// `PG_EXCEPTION_DETAIL`
    ExceptionDetail,
    /// `PG_EXCEPTION_HINT`
    ExceptionHint,
    /// `PG_EXCEPTION_CONTEXT`
    ExceptionContext,
    /// `COLUMN_NAME`
    ColumnName,
    /// `CONSTRAINT_NAME`
    ConstraintName,
    /// `PG_DATATYPE_NAME`
    DataTypeName,
    /// `TABLE_NAME`
    TableName,
    /// `SCHEMA_NAME`
    SchemaName,
}

/// What a cursor is opened for.
#[derive(Clone, Debug, PartialEq)]
pub enum OpenSource {
    /// The query it was declared with.
    Bound {
        /// Its arguments in the order of its declaration.
        arguments: Vec<Expression>,
    },
    /// `FOR query`.
    Query {
        /// `SCROLL` is true, `NO SCROLL` false.
        scroll: Option<bool>,
        /// The query.
        query: Query,
    },
    /// `FOR EXECUTE text USING ...`.
    Execute {
        /// `SCROLL` is true, `NO SCROLL` false.
        scroll: Option<bool>,
        /// The text of the query.
        query: Expression,
        /// Its parameters.
        using: Vec<Expression>,
    },
    /// No query and no declared one in this body: the variable may be a parameter, which is 42601
    /// then, since it cannot be bound.
    Unknown,
}

/// Which rows `FETCH` and `MOVE` mean.
#[derive(Clone, Debug, PartialEq)]
pub enum FetchDirection {
    /// `NEXT`, `FORWARD` or nothing.
    Next,
    /// `PRIOR` or `BACKWARD`.
    Prior,
    /// `FIRST`.
    First,
    /// `LAST`.
    Last,
    /// `ABSOLUTE n`.
    Absolute(Expression),
    /// `RELATIVE n`.
    Relative(Expression),
    /// `FORWARD n` or `n`; only `MOVE`.
    Forward(Expression),
    /// `BACKWARD n`; only `MOVE`.
    Backward(Expression),
    /// `ALL` or `FORWARD ALL`; only `MOVE`.
    ForwardAll,
    /// `BACKWARD ALL`; only `MOVE`.
    BackwardAll,
}
