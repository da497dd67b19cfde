//! A shrunk program as a file for testing/slt, with PostgreSQL's answers.

use std::fmt::Write as _;

use anyhow::Result;
use sqllogictest::ColumnType as _;
use tuplix_slt::Column;

use crate::compare::{Difference, shown_row};
use crate::engines::Engines;
use crate::program::Program;

/// The file.
///
/// # Errors
/// When PostgreSQL does not answer.
pub fn file(engines: &mut Engines, program: &Program, difference: &Difference) -> Result<String> {
    engines.reset()?;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# Seed {}: {}.", program.seed, difference.kind);
    for line in difference.engine.lines() {
        let _ = writeln!(out, "#   engine: {line}");
    }
    for (number, statement) in program.statements.iter().enumerate() {
        for sql in statement.texts(number, false) {
            let sql = sql.trim();
            match engines.postgres(sql) {
                Err(error) => {
                    let _ = writeln!(out, "\nstatement error ({})\n{sql}", error.sqlstate().as_str());
                }
                Ok(answer) if answer.columns.is_empty() => {
                    let counted = answer.tag.rsplit(' ').next().and_then(|word| word.parse::<u64>().ok());
                    let expected = counted.map_or("ok".to_owned(), |count| format!("count {count}"));
                    let _ = writeln!(out, "\nstatement {expected}\n{sql}");
                }
                Ok(answer) => {
                    let letters: String = answer.columns.iter().map(|ty| Column::of(*ty).to_char()).collect();
                    let sort = if statement.tree.is_ordered() { "" } else { " rowsort" };
                    let _ = writeln!(out, "\nquery {letters}{sort}\n{sql}\n----");
                    for row in &answer.rows {
                        let _ = writeln!(out, "{}", shown_row(row));
                    }
                }
            }
        }
    }
    Ok(out)
}
