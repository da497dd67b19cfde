//! Typed expressions.

use tuplix_catalog::FunctionId;
use tuplix_functions::Function;
use tuplix_types::{TypeId, Value};

use super::{OutputColumn, Query};

/// A relation of a statement; unique in the whole statement, subqueries included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelationId(pub u32);

/// An expression with its type.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// Its type.
    pub ty: TypeId,
    /// Its type modifier, -1 for none.
    pub typmod: i32,
    /// Where it stands in the statement's text, in characters from 1.
    pub position: Option<u32>,
}

/// What an expression computes.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A constant of the expression's type.
    Constant(Value),
    /// A column of a relation of this or an outer query.
    Column {
        /// The relation.
        relation: RelationId,
        /// The column's position.
        column: usize,
    },
    /// A whole row of a relation, as a record.
    WholeRow(RelationId),
    /// Which row of a table it is, with the values of some columns, as a record; NULL for none (WHERE CURRENT OF).
    Place {
        /// The table as a relation.
        relation: RelationId,
        /// The columns.
        keys: Vec<usize>,
    },
    /// `$n` of the statement, from 0.
    Parameter(usize),
    /// A PL/pgSQL variable (or a function's argument), by its number in [`super::Procedure::variables`].
    Variable(usize),
    /// A built-in function; also every operator and every casting function. Strictness is the function's.
    Call {
        /// The function.
        function: &'static Function,
        /// Its arguments, already of the types that it takes.
        arguments: Vec<Expr>,
    },
    /// A function of the catalogue.
    UserCall {
        /// The function.
        function: FunctionId,
        /// Its input arguments, defaults filled in.
        arguments: Vec<Expr>,
    },
    /// The same value seen as another type (`varchar` as `text`, `int4` as `oid`).
    Relabel(Box<Expr>),
    /// Through the text form of one type into another, with the target's typmod.
    CastViaText(Box<Expr>),
    /// Each element of an array cast by an expression over [`ExprKind::CaseOperand`].
    CastElements {
        /// The array.
        array: Box<Expr>,
        /// The cast of one element, which it names as [`ExprKind::CaseOperand`].
        element: Box<Expr>,
    },
    /// A value of a domain's base type as one of the domain (the expression's type), checked.
    Domain {
        /// The value.
        argument: Box<Expr>,
        /// Whether NULL is refused.
        not_null: bool,
        /// Name and condition of each CHECK, over [`ExprKind::DomainValue`].
        checks: Vec<(String, Expr)>,
    },
    /// VALUE in a domain's CHECK: what the innermost [`ExprKind::Domain`] checks.
    DomainValue,
    /// AND of two or more.
    And(Vec<Expr>),
    /// OR of two or more.
    Or(Vec<Expr>),
    /// NOT
    Not(Box<Expr>),
    /// IS \[NOT\] NULL; over a record: all fields.
    IsNull {
        /// What is tested.
        argument: Box<Expr>,
        /// IS NOT NULL
        negated: bool,
    },
    /// IS \[NOT\] TRUE / FALSE / UNKNOWN; `value` is `None` for UNKNOWN.
    IsBoolean {
        /// What is tested.
        argument: Box<Expr>,
        /// TRUE, FALSE or UNKNOWN.
        value: Option<bool>,
        /// IS NOT
        negated: bool,
    },
    /// IS \[NOT\] DISTINCT FROM
    IsDistinct {
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
        /// The type's equality.
        equal: &'static Function,
        /// IS NOT DISTINCT FROM
        negated: bool,
    },
    /// CASE. With an operand the conditions name it as [`ExprKind::CaseOperand`].
    Case {
        /// CASE operand WHEN ...
        operand: Option<Box<Expr>>,
        /// WHEN condition THEN result
        arms: Vec<(Expr, Expr)>,
        /// ELSE
        otherwise: Option<Box<Expr>>,
    },
    /// The operand of the innermost CASE or CastElements around it.
    CaseOperand,
    /// COALESCE
    Coalesce(Vec<Expr>),
    /// NULLIF(left, right)
    NullIf {
        /// Left side, the result.
        left: Box<Expr>,
        /// `left = right`, with left repeated in it.
        equal: Box<Expr>,
    },
    /// GREATEST or LEAST
    MinMax {
        /// GREATEST
        greatest: bool,
        /// Arguments of one type.
        arguments: Vec<Expr>,
    },
    /// ARRAY[...]; a nested one when `multidimensional`.
    Array {
        /// Elements, or arrays of equal shape.
        elements: Vec<Expr>,
        /// Elements are arrays themselves.
        multidimensional: bool,
    },
    /// array\[i\] or array\[i\]\[j\], or slices array\[a:b\].
    Subscript {
        /// The array.
        array: Box<Expr>,
        /// One entry a dimension.
        subscripts: Vec<Subscript>,
        /// Whether any is a slice (then the result is an array).
        slice: bool,
    },
    /// An array with an element or slice replaced.
    SetElement {
        /// The array before.
        array: Box<Expr>,
        /// One entry a dimension.
        subscripts: Vec<Subscript>,
        /// Whether any is a slice (then `value` is an array).
        slice: bool,
        /// The new element or slice.
        value: Box<Expr>,
    },
    /// A row of a named type with a field replaced.
    SetField {
        /// The row before.
        record: Box<Expr>,
        /// The field's position.
        index: usize,
        /// How many fields the type has.
        width: usize,
        /// The new field.
        value: Box<Expr>,
    },
    /// A `jsonb` with what lies at a path replaced.
    SetJson {
        /// The document before.
        target: Box<Expr>,
        /// Keys, each an `integer` or a `text`.
        path: Vec<Expr>,
        /// The new part, a `jsonb`.
        value: Box<Expr>,
    },
    /// A row made of a JSON object (`json_populate_record`, `json_to_record`).
    Populate {
        /// A `json` or `jsonb`.
        source: Box<Expr>,
        /// The row that members which the object lacks are taken from.
        base: Option<Box<Expr>>,
        /// The row's columns.
        columns: Vec<OutputColumn>,
    },
    /// ROW(...)
    Row(Vec<Expr>),
    /// (record).field
    Field {
        /// The record.
        record: Box<Expr>,
        /// The field's position.
        index: usize,
    },
    /// left operator ANY (array) / ALL (array)
    AnyAll {
        /// Left side.
        left: Box<Expr>,
        /// The array.
        array: Box<Expr>,
        /// The operator's function over (left, element).
        function: &'static Function,
        /// ALL
        all: bool,
    },
    /// A subquery in an expression.
    Subquery {
        /// How its rows become a value.
        kind: SubqueryKind,
        /// The query.
        query: Box<Query>,
    },
    /// The value of [`super::Select::aggregates`]`[n]` in the current group.
    Aggregate(usize),
    /// The value of [`super::Select::group_by`]`[n]` in the current group.
    GroupKey(usize),
    /// GROUPING(...): a bit for each of these keys, set when the group's set lacks it.
    Grouping(Vec<Expr>),
    /// The value of [`super::Select::windows`]`[n]` in the current row.
    Window(usize),
    /// DEFAULT in VALUES or SET: the analyzer replaces it by the column's default; it never reaches the planner.
    Default,
}

/// A subscript of an array.
#[derive(Clone, Debug)]
pub struct Subscript {
    /// Lower bound of a slice.
    pub lower: Option<Expr>,
    /// The index, or upper bound of a slice.
    pub upper: Option<Expr>,
}

/// How a subquery's rows become a value.
#[derive(Clone, Debug)]
pub enum SubqueryKind {
    /// (SELECT ...): the one row's one column, NULL for none, 21000 for more.
    Scalar,
    /// EXISTS (SELECT ...)
    Exists,
    /// ARRAY(SELECT ...)
    Array,
    /// left operator ANY/ALL (SELECT ...), IN, NOT IN.
    Compare {
        /// Left sides.
        left: Vec<Expr>,
        /// One operator per column, over (left, column).
        functions: Vec<&'static Function>,
        /// ALL rather than ANY.
        all: bool,
    },
}

impl Expr {
    /// An expression without modifier and position.
    pub fn new(kind: ExprKind, ty: TypeId) -> Expr {
        Expr { kind, ty, typmod: -1, position: None }
    }

    /// A constant.
    pub fn constant(value: Value, ty: TypeId) -> Expr {
        Expr::new(ExprKind::Constant(value), ty)
    }
}
