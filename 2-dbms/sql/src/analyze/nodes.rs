//! Reading protobuf nodes: every field of a message is optional, so these say what a grammar guarantees.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{Alias, Node};
use tuplix_types::{Result, SqlError};

/// The node inside; the parser never leaves one empty.
pub(super) fn inner(node: &Node) -> Result<&NodeEnum> {
    node.node.as_ref().ok_or_else(missing)
}

/// The node of a field that the grammar always fills.
pub(super) fn required(node: Option<&Node>) -> Result<&NodeEnum> {
    inner(node.ok_or_else(missing)?)
}

/// A parse tree that the grammar cannot have made.
pub(super) fn missing() -> SqlError {
    SqlError::internal("the parse tree lacks a part that the grammar guarantees")
}

/// The text of a `String` node.
pub(super) fn string(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::String(text)) => Some(&text.sval),
        _ => None,
    }
}

/// The texts of a list of `String` nodes, such as a qualified name.
pub(super) fn strings(list: &[Node]) -> Vec<&str> {
    list.iter().filter_map(string).collect()
}

/// `Some` unless empty: protobuf has no absent strings.
pub(super) fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The column names of an alias.
pub(super) fn alias_columns(alias: Option<&Alias>) -> Vec<String> {
    alias.map(|alias| strings(&alias.colnames).into_iter().map(str::to_owned).collect()).unwrap_or_default()
}

/// Where an expression begins (`exprLocation` of raw trees): -1 when unknown.
pub(super) fn location(node: &Node) -> i32 {
    node.node.as_ref().map_or(-1, location_of)
}

/// As [`location`].
pub(super) fn location_of(node: &NodeEnum) -> i32 {
    let opt = |node: &Option<Box<Node>>| node.as_deref().map_or(-1, location);
    match node {
        NodeEnum::AConst(n) => n.location,
        NodeEnum::ColumnRef(n) => n.location,
        NodeEnum::ParamRef(n) => n.location,
        NodeEnum::FuncCall(n) => leftmost(n.location, n.args.first().map_or(-1, location)),
        NodeEnum::AExpr(n) => leftmost(n.location, opt(&n.lexpr)),
        NodeEnum::BoolExpr(n) => leftmost(n.location, n.args.first().map_or(-1, location)),
        NodeEnum::NullTest(n) => leftmost(n.location, opt(&n.arg)),
        NodeEnum::BooleanTest(n) => leftmost(n.location, opt(&n.arg)),
        NodeEnum::TypeCast(n) => {
            let name = n.type_name.as_ref().map_or(-1, |name| name.location);
            leftmost(leftmost(n.location, name), opt(&n.arg))
        }
        NodeEnum::CollateClause(n) => opt(&n.arg),
        NodeEnum::CaseExpr(n) => n.location,
        NodeEnum::CoalesceExpr(n) => n.location,
        NodeEnum::MinMaxExpr(n) => n.location,
        NodeEnum::SqlvalueFunction(n) => n.location,
        NodeEnum::AArrayExpr(n) => n.location,
        NodeEnum::RowExpr(n) => n.location,
        NodeEnum::SubLink(n) => leftmost(n.location, opt(&n.testexpr)),
        NodeEnum::AIndirection(n) => opt(&n.arg),
        NodeEnum::SetToDefault(n) => n.location,
        NodeEnum::ResTarget(n) => n.location,
        NodeEnum::MultiAssignRef(n) => opt(&n.source),
        NodeEnum::GroupingFunc(n) => n.location,
        NodeEnum::GroupingSet(n) => n.location,
        NodeEnum::NamedArgExpr(n) => n.location,
        NodeEnum::RangeVar(n) => n.location,
        NodeEnum::List(n) => n.items.iter().map(location).fold(-1, leftmost),
        NodeEnum::SelectStmt(n) => n.target_list.first().map_or(-1, location),
        NodeEnum::SortBy(n) => opt(&n.node),
        _ => -1,
    }
}

/// The smaller of two locations that are known.
pub(super) fn leftmost(a: i32, b: i32) -> i32 {
    match (a, b) {
        (a, b) if a < 0 => b,
        (a, b) if b < 0 => a,
        (a, b) => a.min(b),
    }
}

/// What to call a statement that is refused: the words it begins with.
pub(super) fn statement_name(node: &NodeEnum) -> &'static str {
    match node {
        NodeEnum::MergeStmt(_) => "MERGE",
        NodeEnum::CopyStmt(_) => "COPY",
        NodeEnum::ViewStmt(_) => "CREATE VIEW",
        NodeEnum::CreateTrigStmt(_) => "CREATE TRIGGER",
        NodeEnum::CreateEventTrigStmt(_) => "CREATE EVENT TRIGGER",
        NodeEnum::CreateEnumStmt(_) => "CREATE TYPE AS ENUM",
        NodeEnum::CompositeTypeStmt(_) => "CREATE TYPE",
        NodeEnum::CreateRangeStmt(_) => "CREATE TYPE AS RANGE",
        NodeEnum::AlterEnumStmt(_) | NodeEnum::AlterTypeStmt(_) => "ALTER TYPE",
        NodeEnum::CreateDomainStmt(_) => "CREATE DOMAIN",
        NodeEnum::AlterDomainStmt(_) => "ALTER DOMAIN",
        NodeEnum::CreateSeqStmt(_) => "CREATE SEQUENCE",
        NodeEnum::AlterSeqStmt(_) => "ALTER SEQUENCE",
        NodeEnum::CreateTableAsStmt(_) => "CREATE TABLE AS",
        NodeEnum::RefreshMatViewStmt(_) => "REFRESH MATERIALIZED VIEW",
        NodeEnum::CreateExtensionStmt(_) => "CREATE EXTENSION",
        NodeEnum::CreateRoleStmt(_) => "CREATE ROLE",
        NodeEnum::AlterRoleStmt(_) | NodeEnum::AlterRoleSetStmt(_) => "ALTER ROLE",
        NodeEnum::DropRoleStmt(_) => "DROP ROLE",
        NodeEnum::GrantStmt(_) | NodeEnum::GrantRoleStmt(_) => "GRANT or REVOKE",
        NodeEnum::CreatePolicyStmt(_) => "CREATE POLICY",
        NodeEnum::AlterPolicyStmt(_) => "ALTER POLICY",
        NodeEnum::CreatedbStmt(_) => "CREATE DATABASE",
        NodeEnum::DropdbStmt(_) => "DROP DATABASE",
        NodeEnum::AlterDatabaseStmt(_) | NodeEnum::AlterDatabaseSetStmt(_) => "ALTER DATABASE",
        NodeEnum::AlterSystemStmt(_) => "ALTER SYSTEM",
        NodeEnum::AlterFunctionStmt(_) => "ALTER FUNCTION",
        NodeEnum::AlterOwnerStmt(_) => "ALTER ... OWNER TO",
        NodeEnum::AlterObjectSchemaStmt(_) => "ALTER ... SET SCHEMA",
        NodeEnum::AlterDefaultPrivilegesStmt(_) => "ALTER DEFAULT PRIVILEGES",
        NodeEnum::RuleStmt(_) => "CREATE RULE",
        NodeEnum::CommentStmt(_) => "COMMENT",
        NodeEnum::SecLabelStmt(_) => "SECURITY LABEL",
        NodeEnum::DeclareCursorStmt(_) => "DECLARE CURSOR",
        NodeEnum::ClosePortalStmt(_) => "CLOSE",
        NodeEnum::FetchStmt(_) => "FETCH",
        NodeEnum::ClusterStmt(_) => "CLUSTER",
        NodeEnum::ReindexStmt(_) => "REINDEX",
        NodeEnum::CheckPointStmt(_) => "CHECKPOINT",
        NodeEnum::LockStmt(_) => "LOCK TABLE",
        NodeEnum::ConstraintsSetStmt(_) => "SET CONSTRAINTS",
        NodeEnum::LoadStmt(_) => "LOAD",
        NodeEnum::DefineStmt(_) => "CREATE AGGREGATE, OPERATOR, TYPE or COLLATION",
        NodeEnum::CreateCastStmt(_) => "CREATE CAST",
        NodeEnum::CreateStatsStmt(_) => "CREATE STATISTICS",
        NodeEnum::CreatePublicationStmt(_) => "CREATE PUBLICATION",
        NodeEnum::CreateSubscriptionStmt(_) => "CREATE SUBSCRIPTION",
        NodeEnum::CreatePlangStmt(_) => "CREATE LANGUAGE",
        NodeEnum::CreateTableSpaceStmt(_) => "CREATE TABLESPACE",
        _ => "this statement",
    }
}
