//! Queries: what gives or changes rows.

use tuplix_catalog::TableId;
use tuplix_functions::Aggregate;
use tuplix_types::TypeId;

use super::{Delete, Expr, Insert, Merge, OutputColumn, RelationId, Update, Window, WindowCall};

/// A query: SELECT, VALUES, set operation, or a data-modifying statement.
#[derive(Clone, Debug)]
pub struct Query {
    /// WITH, in order.
    pub ctes: Vec<Cte>,
    /// What gives the rows.
    pub body: QueryBody,
    /// ORDER BY.
    pub order_by: Vec<SortKey>,
    /// LIMIT, an `int8`.
    pub limit: Option<Expr>,
    /// FETCH FIRST ... WITH TIES.
    pub with_ties: bool,
    /// OFFSET, an `int8`.
    pub offset: Option<Expr>,
    /// FOR UPDATE and its kin.
    pub locking: Vec<Locking>,
    /// The columns of the result; none for a change without RETURNING.
    pub columns: Vec<OutputColumn>,
}

/// What gives a query's rows.
#[derive(Clone, Debug)]
pub enum QueryBody {
    /// SELECT
    Select(Box<Select>),
    /// VALUES
    Values(Vec<Vec<Expr>>),
    /// UNION, INTERSECT, EXCEPT
    SetOperation {
        /// Which.
        operation: SetOperation,
        /// ALL
        all: bool,
        /// Left side.
        left: Box<Query>,
        /// Right side.
        right: Box<Query>,
    },
    /// INSERT
    Insert(Box<Insert>),
    /// UPDATE
    Update(Box<Update>),
    /// DELETE
    Delete(Box<Delete>),
    /// MERGE
    Merge(Box<Merge>),
}

/// A set operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperation {
    /// UNION
    Union,
    /// INTERSECT
    Intersect,
    /// EXCEPT
    Except,
}

/// One WITH query.
#[derive(Clone, Debug)]
pub struct Cte {
    /// Its number, unique in the statement; [`From::Cte`] names it.
    pub id: CteId,
    /// Name.
    pub name: String,
    /// The query; for a recursive one the part that starts it.
    pub query: Query,
    /// The part that is repeated over the rows of the last round (WITH RECURSIVE).
    pub recursive: Option<Box<RecursivePart>>,
    /// MATERIALIZED said or needed (volatile, changing, used more than once).
    pub materialized: bool,
}

/// A CTE of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CteId(pub u32);

/// The repeated part of a recursive CTE.
#[derive(Clone, Debug)]
pub struct RecursivePart {
    /// The query; it names the CTE itself as a FROM item.
    pub query: Query,
    /// UNION ALL rather than UNION.
    pub all: bool,
}

/// SELECT without ORDER BY and LIMIT.
#[derive(Clone, Debug)]
pub struct Select {
    /// FROM items, joined by comma.
    pub from: Vec<From>,
    /// WHERE
    pub filter: Option<Expr>,
    /// GROUP BY keys.
    pub group_by: Vec<Expr>,
    /// GROUPING SETS: positions of keys. A group of a set has NULL for the keys that the set lacks.
    pub grouping_sets: Option<Vec<Vec<usize>>>,
    /// Whether it is grouped: GROUP BY, HAVING or an aggregate.
    pub grouped: bool,
    /// The aggregate calls that [`super::ExprKind::Aggregate`] names.
    pub aggregates: Vec<AggregateCall>,
    /// HAVING
    pub having: Option<Expr>,
    /// The window calls that [`super::ExprKind::Window`] names.
    pub windows: Vec<WindowCall>,
    /// The windows of those calls.
    pub window_definitions: Vec<Window>,
    /// The select list; columns past [`Query::columns`]' length are for ORDER BY only.
    pub targets: Vec<Expr>,
    /// DISTINCT
    pub distinct: Distinct,
}

impl Select {
    /// `SELECT targets FROM from`
    pub fn plain(from: Vec<From>, targets: Vec<Expr>) -> Select {
        Select {
            from,
            filter: None,
            group_by: Vec::new(),
            grouping_sets: None,
            grouped: false,
            aggregates: Vec::new(),
            having: None,
            windows: Vec::new(),
            window_definitions: Vec::new(),
            targets,
            distinct: Distinct::No,
        }
    }
}

/// DISTINCT
#[derive(Clone, Debug)]
pub enum Distinct {
    /// None.
    No,
    /// DISTINCT: all visible targets.
    All,
    /// DISTINCT ON: positions of targets.
    On(Vec<usize>),
}

/// A FROM item.
#[derive(Clone, Debug)]
pub enum From {
    /// A table.
    Table {
        /// Its name in this statement.
        relation: RelationId,
        /// The table.
        table: TableId,
    },
    /// A system table that the engine computes (`pg_class`, `os.partition`, ...), by schema and name.
    System {
        /// Its name in this statement.
        relation: RelationId,
        /// Schema.
        schema: String,
        /// Name.
        name: String,
    },
    /// A subquery, also VALUES and a view.
    Subquery {
        /// Its name in this statement.
        relation: RelationId,
        /// The query.
        query: Box<Query>,
        /// Whether it names earlier items.
        lateral: bool,
    },
    /// A function call: each row of its result, or one row of a scalar one.
    Function {
        /// Its name in this statement.
        relation: RelationId,
        /// The call: [`super::ExprKind::Call`] or [`super::ExprKind::UserCall`].
        call: Expr,
        /// WITH ORDINALITY: one column more.
        ordinality: bool,
    },
    /// ROWS FROM: functions side by side, NULLs after the end of those that end before others.
    RowsFrom {
        /// One for all columns, or one for each call.
        relations: Vec<RelationId>,
        /// The calls, with the number of columns of each.
        calls: Vec<(Expr, usize)>,
        /// WITH ORDINALITY: one column more.
        ordinality: bool,
    },
    /// A CTE.
    Cte {
        /// Its name in this statement.
        relation: RelationId,
        /// The CTE.
        cte: CteId,
    },
    /// JOIN
    Join {
        /// Which.
        kind: JoinKind,
        /// Left side.
        left: Box<From>,
        /// Right side.
        right: Box<From>,
        /// ON, or USING as equalities; `None` for CROSS.
        on: Option<Expr>,
    },
}

/// Join kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// INNER and CROSS
    Inner,
    /// LEFT
    Left,
    /// RIGHT
    Right,
    /// FULL
    Full,
}

/// An aggregate call.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// The aggregate.
    pub aggregate: &'static Aggregate,
    /// Arguments before WITHIN GROUP, over the group's keys.
    pub direct: Vec<Expr>,
    /// Arguments; none for `count(*)`; what ORDER BY in WITHIN GROUP names.
    pub arguments: Vec<Expr>,
    /// DISTINCT
    pub distinct: bool,
    /// ORDER BY inside the call.
    pub order_by: Vec<SortKey>,
    /// FILTER (WHERE ...)
    pub filter: Option<Expr>,
    /// Result type.
    pub ty: TypeId,
}

/// One ORDER BY key.
#[derive(Clone, Debug)]
pub struct SortKey {
    /// The key. In [`Query::order_by`]: position of a target for SELECT and set operations.
    pub key: SortTarget,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST (the default with DESC).
    pub nulls_first: bool,
}

/// What a sort key sorts by.
#[derive(Clone, Debug)]
pub enum SortTarget {
    /// A column of the select list, hidden ones included.
    Target(usize),
    /// Any expression (inside aggregates and windows).
    Expr(Box<Expr>),
}

/// FOR UPDATE and its kin.
#[derive(Clone, Debug)]
pub struct Locking {
    /// How strong.
    pub strength: LockStrength,
    /// What to do when a row is locked.
    pub wait: LockWait,
    /// Which relations.
    pub relations: Vec<RelationId>,
}

/// Row lock strengths: each conflicts with what those before it conflict with, and more ([`LockStrength::conflicts`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockStrength {
    /// FOR KEY SHARE: what a foreign key takes on the row it refers to.
    KeyShare,
    /// FOR SHARE
    Share,
    /// FOR NO KEY UPDATE, and changing what no key is made of.
    NoKeyUpdate,
    /// FOR UPDATE, deleting, and changing a key.
    Update,
}

impl LockStrength {
    /// Whether two transactions cannot hold these at once (PostgreSQL's manual, 13.3.2).
    pub fn conflicts(self, other: LockStrength) -> bool {
        use LockStrength::{KeyShare, NoKeyUpdate, Share, Update};
        match (self.min(other), self.max(other)) {
            (_, Update) | (Share | NoKeyUpdate, NoKeyUpdate) => true,
            (KeyShare | Share, _) | (NoKeyUpdate | Update, _) => false,
        }
    }
}

/// What to do when a row is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockWait {
    /// Wait.
    Block,
    /// NOWAIT: 55P03.
    Error,
    /// SKIP LOCKED.
    Skip,
}
