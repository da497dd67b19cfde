//! `GET DIAGNOSTICS`.

use tuplix_types::Result;

use super::Parser;
use super::ast::{DiagnosticsItem, Name, StatementKind};

impl Parser<'_> {
    /// `GET [CURRENT | STACKED] DIAGNOSTICS target = item, ...;`
    pub(super) fn get_diagnostics(&mut self, offset: usize) -> Result<StatementKind> {
        let stacked = !self.tokens.take_word("current")? && self.tokens.take_word("stacked")?;
        self.tokens.expect_word("diagnostics")?;
        let mut items: Vec<(Name, DiagnosticsItem)> = Vec::new();
        loop {
            let target = self.name()?;
            if self.tokens.is_char(0, '[')? {
                let message = format!("\"{target}\" is not a scalar variable");
                return Err(self.tokens.error_plain(&message, target.offset));
            }
            if !self.tokens.take_assign()? {
                return Err(self.tokens.syntax_error());
            }
            let item = self.tokens.word(0)?.and_then(DiagnosticsItem::from_word);
            let Some(item) = item else { return Err(self.tokens.error("unrecognized GET DIAGNOSTICS item")) };
            self.tokens.take()?;
            items.push((target, item));
            if !self.tokens.take_char(',')? {
                break;
            }
        }
        self.tokens.expect_char(';')?;
        let wrong = items.iter().find(|(_, item)| item.is_stacked().is_some_and(|only| only != stacked));
        if let Some((_, item)) = wrong {
            let area = if stacked { "STACKED" } else { "CURRENT" };
            let message =
                format!("diagnostics item {} is not allowed in GET {area} DIAGNOSTICS", item.as_str());
            return Err(self.tokens.error_plain(&message, offset));
        }
        Ok(StatementKind::GetDiagnostics { stacked, items })
    }
}

impl DiagnosticsItem {
    const ALL: [(DiagnosticsItem, &'static str); 12] = [
        (DiagnosticsItem::RowCount, "ROW_COUNT"),
        (DiagnosticsItem::Context, "PG_CONTEXT"),
        (DiagnosticsItem::ReturnedSqlState, "RETURNED_SQLSTATE"),
        (DiagnosticsItem::MessageText, "MESSAGE_TEXT"),
        (DiagnosticsItem::ExceptionDetail, "PG_EXCEPTION_DETAIL"),
        (DiagnosticsItem::ExceptionHint, "PG_EXCEPTION_HINT"),
        (DiagnosticsItem::ExceptionContext, "PG_EXCEPTION_CONTEXT"),
        (DiagnosticsItem::ColumnName, "COLUMN_NAME"),
        (DiagnosticsItem::ConstraintName, "CONSTRAINT_NAME"),
        (DiagnosticsItem::DataTypeName, "PG_DATATYPE_NAME"),
        (DiagnosticsItem::TableName, "TABLE_NAME"),
        (DiagnosticsItem::SchemaName, "SCHEMA_NAME"),
    ];

    fn from_word(word: &str) -> Option<DiagnosticsItem> {
        Self::ALL.iter().find(|(_, name)| name.eq_ignore_ascii_case(word)).map(|(item, _)| *item)
    }

    /// Its name in upper case.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(item, _)| *item == self).map_or("", |(_, name)| name)
    }

    /// Whether it is for `STACKED` only (true) or for `CURRENT` only (false); `None` for both.
    fn is_stacked(self) -> Option<bool> {
        match self {
            DiagnosticsItem::RowCount => Some(false),
            DiagnosticsItem::Context => None,
            _ => Some(true),
        }
    }
}
