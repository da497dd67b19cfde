//! PL/pgSQL bodies.

pub mod ast;

pub use ast::*;
