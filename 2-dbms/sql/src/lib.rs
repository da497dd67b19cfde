//! From SQL text to one typed plan: PostgreSQL's grammar, PL/pgSQL, the analyzer.
//!
//! ```text
//!   text --parser--> parse tree --analyze--> plan::Statement
//!   body --plpgsql-> its own AST --analyze--> plan::Procedure
//! ```

pub mod analyze;
pub mod parser;
pub mod plan;
pub mod plpgsql;

#[cfg(test)]
mod fuzz;
