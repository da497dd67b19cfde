//! Statements that change rows.

use tuplix_catalog::{IndexId, TableId};

use super::{CurrentOf, Expr, From, Query, RelationId};

/// INSERT
#[derive(Clone, Debug)]
pub struct Insert {
    /// The table.
    pub table: TableId,
    /// The table as a relation, for RETURNING and ON CONFLICT.
    pub relation: RelationId,
    /// Gives rows of as many columns as `columns`, already of the columns' types.
    pub source: InsertSource,
    /// The target column of each source column.
    pub columns: Vec<usize>,
    /// For the columns that the source does not give: their defaults (none: NULL).
    pub defaults: Vec<(usize, Expr)>,
    /// ON CONFLICT
    pub on_conflict: Option<OnConflict>,
    /// RETURNING
    pub returning: Vec<Expr>,
    /// What a view that the statement names asks of each new row.
    pub view_checks: Vec<ViewCheck>,
    /// What policies ask of each row that is to be inserted.
    pub policies: Vec<ViewCheck>,
    /// The table is a view, whose INSTEAD OF triggers take the rows.
    pub instead: bool,
}

/// Where inserted rows come from.
#[derive(Clone, Debug)]
pub enum InsertSource {
    /// VALUES lists; DEFAULT is already replaced.
    Values(Vec<Vec<Expr>>),
    /// A query.
    Query(Box<Query>),
    /// DEFAULT VALUES
    Defaults,
}

/// ON CONFLICT
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// The unique index that decides; `None`: any (DO NOTHING only).
    pub index: Option<IndexId>,
    /// The action.
    pub action: ConflictAction,
}

/// What to do with a conflicting row.
#[derive(Clone, Debug)]
pub enum ConflictAction {
    /// DO NOTHING
    Nothing,
    /// DO UPDATE
    Update {
        /// The row that was to be inserted, as a relation.
        excluded: RelationId,
        /// SET column = expression
        assignments: Vec<(usize, Expr)>,
        /// WHERE
        filter: Option<Expr>,
        /// What policies ask of the row that is there and of what it becomes.
        policies: Vec<ViewCheck>,
    },
}

/// WITH CHECK OPTION of a view.
#[derive(Clone, Debug)]
pub struct ViewCheck {
    /// The view's name.
    pub view: String,
    /// Its WHERE over the new row.
    pub condition: Expr,
    /// A policy's check rather than a view's; `view` is the table then.
    pub policy: Option<PolicyCheck>,
}

/// How a policy's check is named when it fails.
#[derive(Clone, Debug)]
pub struct PolicyCheck {
    /// The policy, when it is a restrictive one.
    pub name: Option<String>,
    /// Its USING, of a row that is there.
    pub using: bool,
    /// Of a row that a MERGE has matched.
    pub matched: bool,
}

/// UPDATE
#[derive(Clone, Debug)]
pub struct Update {
    /// The table.
    pub table: TableId,
    /// The table as a relation.
    pub relation: RelationId,
    /// SET column = expression, of the column's type.
    pub assignments: Vec<(usize, Expr)>,
    /// FROM
    pub from: Vec<From>,
    /// WHERE
    pub filter: Option<Expr>,
    /// WHERE CURRENT OF
    pub current_of: Option<CurrentOf>,
    /// The table is a view of this query, whose INSTEAD OF triggers take the rows.
    pub instead: Option<Box<Query>>,
    /// RETURNING
    pub returning: Vec<Expr>,
    /// What a view that the statement names asks of each new row.
    pub view_checks: Vec<ViewCheck>,
}

/// DELETE
#[derive(Clone, Debug)]
pub struct Delete {
    /// The table.
    pub table: TableId,
    /// The table as a relation.
    pub relation: RelationId,
    /// USING
    pub using: Vec<From>,
    /// WHERE
    pub filter: Option<Expr>,
    /// WHERE CURRENT OF
    pub current_of: Option<CurrentOf>,
    /// The table is a view of this query, whose INSTEAD OF triggers take the rows.
    pub instead: Option<Box<Query>>,
    /// RETURNING
    pub returning: Vec<Expr>,
}

/// MERGE
#[derive(Clone, Debug)]
pub struct Merge {
    /// The table.
    pub table: TableId,
    /// The table as a relation.
    pub relation: RelationId,
    /// USING
    pub source: From,
    /// ON
    pub on: Expr,
    /// WHEN clauses, in order.
    pub actions: Vec<MergeAction>,
}

/// A WHEN clause.
#[derive(Clone, Debug)]
pub struct MergeAction {
    /// MATCHED
    pub matched: bool,
    /// AND
    pub condition: Option<Expr>,
    /// THEN
    pub change: MergeChange,
    /// What policies ask of the row that is there, before it is changed.
    pub old_checks: Vec<ViewCheck>,
    /// What policies ask of what an UPDATE makes of it.
    pub new_checks: Vec<ViewCheck>,
}

impl MergeAction {
    /// All that policies ask.
    pub fn checks(&self) -> impl Iterator<Item = &ViewCheck> {
        self.old_checks.iter().chain(&self.new_checks)
    }
}

/// What a WHEN clause does.
#[derive(Clone, Debug)]
pub enum MergeChange {
    /// DO NOTHING
    Nothing,
    /// UPDATE SET
    Update(Vec<(usize, Expr)>),
    /// DELETE
    Delete,
    /// INSERT, of one row; its relation is nobody else's.
    Insert(Box<Insert>),
}

impl Merge {
    /// Each expression of it, apart from those of USING.
    pub fn expressions(&self) -> Vec<&Expr> {
        let mut found = vec![&self.on];
        for action in &self.actions {
            found.extend(&action.condition);
            match &action.change {
                MergeChange::Update(assignments) => found.extend(assignments.iter().map(|(_, value)| value)),
                MergeChange::Insert(insert) => {
                    if let InsertSource::Values(rows) = &insert.source {
                        found.extend(rows.iter().flatten());
                    }
                    found.extend(insert.defaults.iter().map(|(_, default)| default));
                }
                MergeChange::Nothing | MergeChange::Delete => {}
            }
        }
        found
    }

    /// The same, to be changed.
    pub fn expressions_mut(&mut self) -> Vec<&mut Expr> {
        let mut found = vec![&mut self.on];
        for action in &mut self.actions {
            found.extend(&mut action.condition);
            match &mut action.change {
                MergeChange::Update(assignments) => {
                    found.extend(assignments.iter_mut().map(|(_, value)| value));
                }
                MergeChange::Insert(insert) => {
                    if let InsertSource::Values(rows) = &mut insert.source {
                        found.extend(rows.iter_mut().flatten());
                    }
                    found.extend(insert.defaults.iter_mut().map(|(_, default)| default));
                }
                MergeChange::Nothing | MergeChange::Delete => {}
            }
        }
        found
    }
}
