//! FOREIGN KEY and REFERENCES (`parse_utilcmd.c`, `gram.y`).

use pg_query::protobuf::{ConstrType, Constraint as ParsedConstraint};
use tuplix_catalog::ReferentialAction;
use tuplix_types::{Result, SqlError, sqlstate};

use super::{Analyzer, nodes};
use crate::plan::{Constraint, ConstraintKind, ForeignKey};

impl Analyzer<'_> {
    pub(super) fn foreign_key(&mut self, constraint: &ParsedConstraint) -> Result<Constraint> {
        let names = |list| nodes::strings(list).into_iter().map(str::to_owned).collect::<Vec<String>>();
        let parent = constraint.pktable.as_ref().ok_or_else(nodes::missing)?;
        if constraint.fk_with_period || constraint.pk_with_period {
            return Err(self.unsupported("PERIOD", constraint.location));
        }
        if constraint.fk_matchtype == "p" {
            let error = SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, "MATCH PARTIAL not yet implemented");
            return Err(error.at(self.at(constraint.location)));
        }
        let key = ForeignKey {
            columns: names(&constraint.fk_attrs),
            parent: self.qualified_name(parent)?,
            parent_columns: names(&constraint.pk_attrs),
            match_full: constraint.fk_matchtype == "f",
            on_delete: action(&constraint.fk_del_action),
            on_update: action(&constraint.fk_upd_action),
            set_columns: names(&constraint.fk_del_set_cols),
            deferrable: constraint.deferrable,
            deferred: constraint.initdeferred,
            skip_check: constraint.skip_validation,
        };
        let name = nodes::non_empty(&constraint.conname).map(str::to_owned);
        let kind = ConstraintKind::ForeignKey(key);
        let not_valid = constraint.skip_validation;
        Ok(Constraint { name, position: self.at(constraint.location), not_valid, kind, included: Vec::new() })
    }

    /// DEFERRABLE and its kin after a column's constraint.
    pub(super) fn constraint_attribute(
        &self,
        kind: ConstrType,
        location: i32,
        constraints: &mut [Constraint],
    ) -> Result<()> {
        let Some(Constraint { kind: ConstraintKind::ForeignKey(key), .. }) = constraints.last_mut() else {
            let what = match kind {
                ConstrType::ConstrAttrDeferrable => "DEFERRABLE",
                ConstrType::ConstrAttrNotDeferrable => "NOT DEFERRABLE",
                ConstrType::ConstrAttrDeferred => "INITIALLY DEFERRED",
                _ => "INITIALLY IMMEDIATE",
            };
            if constraints.is_empty() {
                let message = format!("misplaced {what} clause");
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(location)));
            }
            return match kind {
                ConstrType::ConstrAttrNotDeferrable | ConstrType::ConstrAttrImmediate => Ok(()),
                _ => Err(self.unsupported("a DEFERRABLE key or CHECK", location)),
            };
        };
        match kind {
            ConstrType::ConstrAttrDeferrable => key.deferrable = true,
            ConstrType::ConstrAttrDeferred => (key.deferrable, key.deferred) = (true, true),
            _ => {}
        }
        Ok(())
    }
}

fn action(code: &str) -> ReferentialAction {
    match code {
        "r" => ReferentialAction::Restrict,
        "c" => ReferentialAction::Cascade,
        "n" => ReferentialAction::SetNull,
        "d" => ReferentialAction::SetDefault,
        _ => ReferentialAction::NoAction,
    }
}
