//! Parts of the tree back as SQL text, for what the catalogue and the session keep as text.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{LimitOption, Node, ParseResult, RawStmt, ResTarget, SelectStmt, SetOperation};
use tuplix_types::{Result, SqlError};

/// An expression as SQL.
pub(super) fn expression(node: &Node) -> Result<String> {
    let target = ResTarget { val: Some(Box::new(node.clone())), location: -1, ..ResTarget::default() };
    let select = SelectStmt {
        target_list: vec![Node { node: Some(NodeEnum::ResTarget(Box::new(target))) }],
        limit_option: LimitOption::Default as i32,
        op: SetOperation::SetopNone as i32,
        ..SelectStmt::default()
    };
    let text = statement(&NodeEnum::SelectStmt(Box::new(select)))?;
    match text.strip_prefix("SELECT ") {
        Some(expression) => Ok(expression.to_owned()),
        None => Err(SqlError::internal("an expression did not come back as one")),
    }
}

/// A statement as SQL.
pub(super) fn statement(node: &NodeEnum) -> Result<String> {
    let raw =
        RawStmt { stmt: Some(Box::new(Node { node: Some(node.clone()) })), stmt_location: 0, stmt_len: 0 };
    let tree = ParseResult { version: 180_000, stmts: vec![raw] };
    pg_query::deparse(&tree, pg_query::DeparseOptions::default())
        .map_err(|error| SqlError::internal(format!("a statement cannot be written as text: {error}")))
}
