//! Changing what a query that is kept as text calls the tables it reads, when they or their columns get other names.
//!
//! A view means what it meant: `s.t` becomes `s.new AS t`, and a table with a renamed column gets a list of the names that its
//! columns had, `s.t AS t(id, old)`. So nothing else of the text has to change.

use tuplix_types::{Result, SqlError};

use super::lexer::{Lexer, Token};
use super::text::quote_ident;
use super::walk::{Visitor, walk};

/// Deeper than anything that the parser lets through.
const DEPTH_MAX: usize = 10_000;

/// What becomes of a table in a query.
#[derive(Clone, Copy, Debug)]
pub enum RelationEdit<'e> {
    /// It has this schema and name now.
    Name(&'e str, &'e str),
    /// Its columns are called otherwise now; these are the names they had.
    Columns(&'e [String]),
    /// The last of these columns is new.
    Added(&'e [String]),
    /// The column at this position is gone.
    Without(usize),
}

/// A query with an edit made wherever it names the table `schema.name`.
///
/// # Errors
/// The parser's.
pub fn edit_relation(text: &str, (schema, name): (&str, &str), edit: RelationEdit<'_>) -> Result<String> {
    let mut found = Tables::default();
    for statement in super::parse(text)? {
        if !walk(&statement.node, &mut found, DEPTH_MAX) {
            return Err(SqlError::internal("a query of the catalogue nests too deeply"));
        }
    }
    let mut tables: Vec<Table> =
        found.tables.into_iter().filter(|table| table.schema == schema && table.name == name).collect();
    tables.sort_unstable_by_key(|table| table.at);
    let mut changed = text.to_owned();
    for table in tables.into_iter().rev() {
        let Ok(start) = usize::try_from(table.at) else { continue };
        let extent = extent(&text[start..], &table)?;
        let at = |offset: usize| start + offset;
        let names = |list: &[String]| {
            let list: Vec<String> = list.iter().map(|name| quote_ident(name)).collect();
            if list.is_empty() { String::new() } else { format!("({})", list.join(", ")) }
        };
        match edit {
            RelationEdit::Name(schema, new) => {
                let alias = if table.has_alias || new == name {
                    String::new()
                } else {
                    format!(" AS {}", quote_ident(name))
                };
                let written = format!("{}.{}{alias}", quote_ident(schema), quote_ident(new));
                changed.replace_range(at(0)..at(extent.name), &written);
            }
            RelationEdit::Columns(old) => {
                let mut kept = table.columns.clone();
                kept.extend(old.iter().skip(kept.len()).cloned());
                let alias =
                    if table.has_alias { String::new() } else { format!(" AS {}", quote_ident(name)) };
                changed
                    .replace_range(at(extent.alias)..at(extent.columns), &format!("{alias}{}", names(&kept)));
            }
            RelationEdit::Without(position) if position < table.columns.len() => {
                let mut kept = table.columns.clone();
                kept.remove(position);
                changed.replace_range(at(extent.alias)..at(extent.columns), &names(&kept));
            }
            RelationEdit::Added([known @ .., new])
                if table.columns.len() <= known.len() && table.columns.contains(new) =>
            {
                let mut kept = table.columns.clone();
                kept.extend(known.iter().skip(kept.len()).cloned());
                let free = (1..).map(|number| format!("{new}_{number}")).find(|name| !kept.contains(name));
                kept.extend(free);
                changed.replace_range(at(extent.alias)..at(extent.columns), &names(&kept));
            }
            RelationEdit::Without(_) | RelationEdit::Added(_) => {}
        }
    }
    Ok(changed)
}

/// Where the parts of a table in FROM end.
struct Extent {
    name: usize,
    alias: usize,
    columns: usize,
}

fn extent(text: &str, table: &Table) -> Result<Extent> {
    let lost = || SqlError::internal("a table of a kept query is not where the parser says");
    let mut lexer = Lexer::new(text);
    let mut next = || lexer.next_token();
    let mut name = 0;
    for part in 0..3 {
        let lexeme = next()?.ok_or_else(lost)?;
        let fits = match &lexeme.token {
            Token::Ident { .. } => part != 1,
            Token::Other('.') => part == 1,
            _ => false,
        };
        if !fits {
            return Err(lost());
        }
        name = lexeme.end;
    }
    let (mut alias, mut columns) = (name, name);
    if table.has_alias {
        loop {
            let lexeme = next()?.ok_or_else(lost)?;
            match lexeme.token {
                Token::Ident { name, quoted: false } if name == "as" => {}
                Token::Ident { .. } => {
                    (alias, columns) = (lexeme.end, lexeme.end);
                    break;
                }
                // `table *`
                Token::Operator(_) | Token::Other('*') => {}
                _ => return Err(lost()),
            }
        }
    }
    while !table.columns.is_empty() {
        let lexeme = next()?.ok_or_else(lost)?;
        if lexeme.token == Token::Other(')') {
            columns = lexeme.end;
            break;
        }
    }
    Ok(Extent { name, alias, columns })
}

#[derive(Clone, Debug, Default)]
struct Table {
    at: i64,
    schema: String,
    name: String,
    has_alias: bool,
    columns: Vec<String>,
}

#[derive(Default)]
struct Tables {
    inside: Option<Table>,
    tables: Vec<Table>,
}

impl Visitor for Tables {
    fn enter(&mut self, name: &'static str, _: (&'static str, &'static str)) {
        match (name, &mut self.inside) {
            ("RangeVar", _) => self.inside = Some(Table::default()),
            ("Alias", Some(table)) => table.has_alias = true,
            _ => {}
        }
    }

    fn number(&mut self, name: &'static str, field: &'static str, value: i64) {
        if let (("RangeVar", "location"), Some(table)) = ((name, field), &mut self.inside) {
            table.at = value;
        }
    }

    fn text(&mut self, name: &'static str, field: &'static str, value: &str) {
        let Some(table) = &mut self.inside else { return };
        match (name, field) {
            ("RangeVar", "schemaname") => value.clone_into(&mut table.schema),
            ("RangeVar", "relname") => value.clone_into(&mut table.name),
            ("String", _) => table.columns.push(value.to_owned()),
            _ => {}
        }
    }

    fn present(&mut self, _: &'static str, _: &'static str, _: usize) {}

    fn leave(&mut self, name: &'static str) {
        if name == "RangeVar" {
            self.tables.extend(self.inside.take());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn edited(text: &str, edit: RelationEdit<'_>) -> String {
        edit_relation(text, ("s", "t"), edit).unwrap()
    }

    #[test]
    fn a_new_name_keeps_the_old_one_as_an_alias() {
        let name = RelationEdit::Name("s", "New");
        assert_eq!(edited("SELECT t.a FROM s.t", name), "SELECT t.a FROM s.\"New\" AS t");
        assert_eq!(
            edited("SELECT x.a FROM s.t x, s.u, (SELECT 1 FROM \"s\" . t AS y) z", name),
            "SELECT x.a FROM s.\"New\" x, s.u, (SELECT 1 FROM s.\"New\" AS y) z"
        );
        assert_eq!(
            edited("SELECT 's.t' FROM s.t -- s.t", RelationEdit::Name("o", "t")),
            "SELECT 's.t' FROM o.t -- s.t"
        );
    }

    #[test]
    fn renamed_columns_get_a_list() {
        let old = ["id".to_owned(), "Old".to_owned()];
        let columns = RelationEdit::Columns(&old);
        assert_eq!(
            edited("SELECT a FROM s.t WHERE a > 1", columns),
            "SELECT a FROM s.t AS t(id, \"Old\") WHERE a > 1"
        );
        assert_eq!(
            edited("SELECT a FROM s.t AS x JOIN s.t y ON true", columns),
            "SELECT a FROM s.t AS x(id, \"Old\") JOIN s.t y(id, \"Old\") ON true"
        );
        assert_eq!(edited("SELECT a FROM s.t x (k)", columns), "SELECT a FROM s.t x(k, \"Old\")");
        assert_eq!(
            edited("SELECT a FROM s.t x(a, b), s.t", RelationEdit::Without(0)),
            "SELECT a FROM s.t x(b), s.t"
        );
        assert_eq!(edited("SELECT a FROM s.t x(a)", RelationEdit::Without(0)), "SELECT a FROM s.t x");
    }
}
