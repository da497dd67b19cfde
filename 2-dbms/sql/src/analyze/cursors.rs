//! DECLARE, FETCH, MOVE, CLOSE (`transformDeclareCursorStmt`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{ClosePortalStmt, DeclareCursorStmt, FetchDirection, FetchStmt};
use tuplix_types::{Result, SqlError, sqlstate};

use super::current_of::add_places;
use super::{Analyzer, nodes};
use crate::plan::{CursorMove, DeclareCursor, StatementKind};

// Bits of `DeclareCursorStmt.options` (`parsenodes.h`).
const BINARY: i32 = 0x1;
const SCROLL: i32 = 0x2;
const NO_SCROLL: i32 = 0x4;
const INSENSITIVE: i32 = 0x8;
const ASENSITIVE: i32 = 0x10;
const HOLD: i32 = 0x20;

impl Analyzer<'_> {
    pub(super) fn declare_cursor(&mut self, stmt: &DeclareCursorStmt) -> Result<StatementKind> {
        let invalid = |message: &str| SqlError::new(sqlstate::INVALID_CURSOR_DEFINITION, message);
        let says = |bit: i32| stmt.options & bit != 0;
        if says(SCROLL) && says(NO_SCROLL) {
            return Err(invalid("cannot specify both SCROLL and NO SCROLL"));
        }
        if says(INSENSITIVE) && says(ASENSITIVE) {
            return Err(invalid("cannot specify both INSENSITIVE and ASENSITIVE"));
        }
        if says(BINARY) {
            return Err(SqlError::unsupported("a BINARY cursor"));
        }
        let node = nodes::required(stmt.query.as_deref())?;
        let NodeEnum::SelectStmt(select) = node else { return Err(nodes::missing()) };
        for node in select.with_clause.iter().flat_map(|with| &with.ctes) {
            let NodeEnum::CommonTableExpr(cte) = nodes::inner(node)? else { return Err(nodes::missing()) };
            if !matches!(nodes::required(cte.ctequery.as_deref())?, NodeEnum::SelectStmt(_)) {
                let message = "DECLARE CURSOR must not contain data-modifying statements in WITH";
                return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
            }
        }
        if !select.locking_clause.is_empty() {
            let name = super::select::lock_name(&select.locking_clause);
            let refuse = |what: String, detail: &str| {
                SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, what).detail(detail.to_owned())
            };
            if says(HOLD) {
                let what = format!("DECLARE CURSOR WITH HOLD ... {name} is not supported");
                return Err(refuse(what, "Holdable cursors must be READ ONLY."));
            }
            if says(SCROLL) {
                let what = format!("DECLARE SCROLL CURSOR ... {name} is not supported");
                return Err(refuse(what, "Scrollable cursors must be READ ONLY."));
            }
            if says(INSENSITIVE) {
                return Err(invalid(&format!("DECLARE INSENSITIVE CURSOR ... {name} is not valid"))
                    .detail("Insensitive cursors must be READ ONLY."));
            }
        }
        let text = self.source.map_or_else(String::new, |source| source.text.to_owned());
        let query = self.query(node)?;
        let mut statement = self.inner_statement(query)?;
        let places = add_places(self.context.catalog, &mut statement);
        // What has locked its row is not gone back to.
        let scroll =
            if says(SCROLL) { Some(true) } else { (says(NO_SCROLL) || places.locked).then_some(false) };
        Ok(StatementKind::DeclareCursor(Box::new(DeclareCursor {
            name: stmt.portalname.clone(),
            scroll,
            hold: says(HOLD),
            statement: Box::new(statement),
            places,
            text,
        })))
    }

    pub(super) fn fetch_cursor(&self, stmt: &FetchStmt) -> Result<StatementKind> {
        // The grammar's ALL is the largest number.
        let count = (stmt.how_many != i64::MAX).then_some(stmt.how_many);
        let by = match FetchDirection::try_from(stmt.direction) {
            Ok(FetchDirection::FetchForward) => CursorMove::Forward(count),
            Ok(FetchDirection::FetchBackward) => CursorMove::Backward(count),
            Ok(FetchDirection::FetchAbsolute) => CursorMove::Absolute(stmt.how_many),
            Ok(FetchDirection::FetchRelative) => CursorMove::Relative(stmt.how_many),
            _ => return Err(nodes::missing()),
        };
        Ok(StatementKind::FetchCursor { name: stmt.portalname.clone(), by, is_move: stmt.ismove })
    }

    pub(super) fn close_cursor(&self, stmt: &ClosePortalStmt) -> StatementKind {
        StatementKind::CloseCursor(nodes::non_empty(&stmt.portalname).map(str::to_owned))
    }
}
