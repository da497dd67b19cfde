//! Why running code stops before its end.

use tuplix_types::SqlError;

/// Why running code stops before its end.
#[derive(Debug)]
pub enum Stop {
    /// An SQL error: PL/pgSQL may catch it, the client sees it.
    Error(SqlError),
    /// The transaction (one-shot) or statement (interactive) undoes itself, waits for or latches what it met, and runs
    /// again (docs/adr/0003). Nothing catches it but the transaction's driver.
    Restart,
}

/// The result of running code.
pub type Run<T> = Result<T, Stop>;

impl From<SqlError> for Stop {
    #[cold]
    fn from(error: SqlError) -> Stop {
        Stop::Error(error)
    }
}
