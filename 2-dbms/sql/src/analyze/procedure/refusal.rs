//! When an error in a body is raised.
//!
//! PostgreSQL finds what is wrong with PL/pgSQL itself when the function is created, and what is wrong with the SQL
//! inside when a statement is reached: handlers can catch that, and a branch never taken may name what does not exist.

use tuplix_types::SqlError;

/// An error in a body.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Of PL/pgSQL: there is no such function.
    Whole(SqlError),
    /// Of SQL: reaching the statement raises it.
    Reached(SqlError),
}

/// What analysing a part of a body gives.
pub(super) type Bound<T> = Result<T, Refusal>;

impl From<SqlError> for Refusal {
    fn from(error: SqlError) -> Refusal {
        Refusal::Reached(error)
    }
}

/// Makes an error one of the whole body.
pub(super) trait OfTheWhole<T> {
    fn of_the_whole(self) -> Bound<T>;
}

impl<T> OfTheWhole<T> for Result<T, SqlError> {
    fn of_the_whole(self) -> Bound<T> {
        self.map_err(Refusal::Whole)
    }
}
