//! The options of COPY (`ProcessCopyOptions`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{CopyStmt, DefElem, Node};
use tuplix_catalog::TableDef;
use tuplix_types::copy::{CopyDirection, CopyFormat, CopyHeader, CopyKind};
use tuplix_types::{Result, SqlError, sqlstate};

use super::nodes;
use crate::plan::OutputColumn;

/// The options as written.
#[derive(Default)]
struct Options<'a> {
    kind: Option<CopyKind>,
    freeze: Option<bool>,
    delimiter: Option<&'a str>,
    null: Option<&'a str>,
    header: Option<CopyHeader>,
    quote: Option<&'a str>,
    escape: Option<&'a str>,
    force_quote: Option<Columns<'a>>,
    force_not_null: Option<Columns<'a>>,
    force_null: Option<Columns<'a>>,
    encoding: Option<&'a str>,
}

/// Columns that an option is about.
enum Columns<'a> {
    All,
    Listed(Vec<&'a str>),
}

/// The format that a COPY asks for. `at` gives the position of a location.
pub(super) fn format(
    stmt: &CopyStmt,
    direction: CopyDirection,
    columns: &[OutputColumn],
    table: Option<&TableDef>,
    at: &dyn Fn(i32) -> Option<u32>,
) -> Result<CopyFormat> {
    let mut options = Options::default();
    for node in &stmt.options {
        let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
        options.read(option, direction, at(option.location))?;
    }
    let format = options.checked(direction)?;
    Ok(CopyFormat {
        force_quote: flags(options.force_quote.as_ref(), columns, table, "FORCE_QUOTE")?,
        force_not_null: flags(options.force_not_null.as_ref(), columns, table, "FORCE_NOT_NULL")?,
        force_null: flags(options.force_null.as_ref(), columns, table, "FORCE_NULL")?,
        ..format
    })
}

/// Sets an option that must not be there yet.
fn once<T>(place: &mut Option<T>, value: T, at: Option<u32>) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(SqlError::new(sqlstate::SYNTAX_ERROR, "conflicting or redundant options").at(at)),
    }
}

impl<'a> Options<'a> {
    fn read(&mut self, option: &'a DefElem, direction: CopyDirection, at: Option<u32>) -> Result<()> {
        match option.defname.as_str() {
            "format" => once(&mut self.kind, kind(option, at)?, at),
            "freeze" => once(&mut self.freeze, flag(option)?, at),
            "delimiter" => once(&mut self.delimiter, text(option)?, at),
            "null" => once(&mut self.null, text(option)?, at),
            "header" => once(&mut self.header, header(option, direction)?, at),
            "quote" => once(&mut self.quote, text(option)?, at),
            "escape" => once(&mut self.escape, text(option)?, at),
            "force_quote" => once(&mut self.force_quote, listed(option, true, at)?, at),
            "force_not_null" => once(&mut self.force_not_null, listed(option, false, at)?, at),
            "force_null" => once(&mut self.force_null, listed(option, false, at)?, at),
            "encoding" => once(&mut self.encoding, text(option)?, at),
            other => {
                Err(SqlError::new(sqlstate::SYNTAX_ERROR, format!("option \"{other}\" not recognized"))
                    .at(at))
            }
        }
    }

    /// The format, but for options about columns.
    fn checked(&self, direction: CopyDirection) -> Result<CopyFormat> {
        let kind = self.kind.unwrap_or(CopyKind::Text);
        let mut format = CopyFormat::new(kind);
        if kind == CopyKind::Binary {
            self.check_binary()?;
        }
        if let Some(delimiter) = self.delimiter {
            format.delimiter = byte(delimiter, "delimiter")?;
        }
        if let Some(null) = self.null {
            null.clone_into(&mut format.null);
        }
        check_delimiter_and_null(&format)?;
        self.check_csv_only(kind, direction)?;
        format.header = self.header.unwrap_or(CopyHeader::No);
        if let Some(quote) = self.quote {
            format.quote = byte(quote, "quote")?;
        }
        format.escape = match self.escape {
            Some(escape) => byte(escape, "escape")?,
            None => format.quote,
        };
        if kind == CopyKind::Csv && format.delimiter == format.quote {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        if kind != CopyKind::Binary && format.null.as_bytes().contains(&format.delimiter) {
            return Err(unsupported("COPY delimiter must not appear in the NULL specification"));
        }
        if kind == CopyKind::Csv && format.null.as_bytes().contains(&format.quote) {
            return Err(unsupported("CSV quote character must not appear in the NULL specification"));
        }
        check_encoding(self.encoding)?;
        Ok(format)
    }

    fn check_binary(&self) -> Result<()> {
        let refuse = |what: &str| {
            SqlError::new(sqlstate::SYNTAX_ERROR, format!("cannot specify {what} in BINARY mode"))
        };
        if self.delimiter.is_some() {
            return Err(refuse("DELIMITER"));
        }
        if self.null.is_some() {
            return Err(refuse("NULL"));
        }
        match self.header {
            None | Some(CopyHeader::No) => Ok(()),
            Some(_) => Err(unsupported("cannot specify HEADER in BINARY mode")),
        }
    }

    fn check_csv_only(&self, kind: CopyKind, direction: CopyDirection) -> Result<()> {
        let csv = kind == CopyKind::Csv;
        let only_csv = |given: bool, what: &str| match given && !csv {
            true => Err(unsupported(&format!("COPY {what} available only in CSV mode"))),
            false => Ok(()),
        };
        only_csv(self.quote.is_some(), "quote")?;
        only_csv(self.escape.is_some(), "escape")?;
        let (to, from) = (direction == CopyDirection::To, direction == CopyDirection::From);
        let forced = [
            (self.force_quote.is_some(), "force quote", to, "COPY TO"),
            (self.force_not_null.is_some(), "force not null", from, "COPY FROM"),
            (self.force_null.is_some(), "force null", from, "COPY FROM"),
        ];
        for (given, what, fits, verb) in forced {
            only_csv(given, what)?;
            if given && !fits {
                return Err(unsupported(&format!("COPY {what} only available using {verb}")));
            }
        }
        Ok(())
    }
}

fn check_delimiter_and_null(format: &CopyFormat) -> Result<()> {
    let delimiter = format.delimiter;
    if matches!(delimiter, b'\n' | b'\r') {
        return Err(invalid("COPY delimiter cannot be newline or carriage return"));
    }
    if format.null.contains(['\n', '\r']) {
        return Err(invalid("COPY null representation cannot use newline or carriage return"));
    }
    // What the text format gives a meaning behind a backslash.
    let taken = matches!(delimiter, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9');
    if format.kind == CopyKind::Text && taken {
        return Err(invalid(&format!("COPY delimiter cannot be \"{}\"", char::from(delimiter))));
    }
    Ok(())
}

fn check_encoding(encoding: Option<&str>) -> Result<()> {
    let Some(name) = encoding else { return Ok(()) };
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" | "sqlascii" => Ok(()),
        _ => {
            Err(SqlError::unsupported(format_args!("the encoding {name}")).hint("UTF8 is the one there is."))
        }
    }
}

/// The columns of an option as flags, a column each.
fn flags(
    columns: Option<&Columns<'_>>,
    all: &[OutputColumn],
    table: Option<&TableDef>,
    option: &str,
) -> Result<Vec<bool>> {
    let names = match columns {
        None => return Ok(Vec::new()),
        Some(Columns::All) => return Ok(vec![true; all.len()]),
        Some(Columns::Listed(names)) => names,
    };
    let mut flags = vec![false; all.len()];
    for name in names {
        let column = all.iter().position(|column| column.name == *name).ok_or_else(|| match table {
            Some(table) if table.column(name).is_none() => super::copy::no_column(table, name),
            None => SqlError::new(sqlstate::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")),
            Some(_) => {
                let message = format!("{option} column \"{name}\" not referenced by COPY");
                SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message)
            }
        })?;
        flags[column] = true;
    }
    Ok(flags)
}

fn kind(option: &DefElem, at: Option<u32>) -> Result<CopyKind> {
    match text(option)? {
        "text" => Ok(CopyKind::Text),
        "csv" => Ok(CopyKind::Csv),
        "binary" => Ok(CopyKind::Binary),
        other => Err(invalid(&format!("COPY format \"{other}\" not recognized")).at(at)),
    }
}

fn header(option: &DefElem, direction: CopyDirection) -> Result<CopyHeader> {
    if let Some(NodeEnum::String(word)) = argument(option)
        && word.sval.eq_ignore_ascii_case("match")
    {
        return match direction {
            CopyDirection::From => Ok(CopyHeader::Match),
            CopyDirection::To => Err(unsupported("cannot use \"match\" with HEADER in COPY TO")),
        };
    }
    let given = boolean(option).ok_or_else(|| {
        let message = "header requires a Boolean value or \"match\"";
        SqlError::new(sqlstate::SYNTAX_ERROR, message)
    })?;
    Ok(if given { CopyHeader::Yes } else { CopyHeader::No })
}

fn flag(option: &DefElem) -> Result<bool> {
    boolean(option).ok_or_else(|| {
        let message = format!("{} requires a Boolean value", option.defname);
        SqlError::new(sqlstate::SYNTAX_ERROR, message)
    })
}

/// `defGetBoolean`: without a value, on.
fn boolean(option: &DefElem) -> Option<bool> {
    match argument(option) {
        None => Some(true),
        Some(NodeEnum::Boolean(truth)) => Some(truth.boolval),
        Some(NodeEnum::Integer(number)) => match number.ival {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        Some(NodeEnum::String(word)) => match word.sval.to_lowercase().as_str() {
            "true" | "on" => Some(true),
            "false" | "off" => Some(false),
            _ => None,
        },
        Some(_) => None,
    }
}

fn argument(option: &DefElem) -> Option<&NodeEnum> {
    option.arg.as_deref().and_then(|arg| arg.node.as_ref())
}

fn text(option: &DefElem) -> Result<&str> {
    option.arg.as_deref().and_then(nodes::string).ok_or_else(|| {
        let message = format!("{} requires a parameter", option.defname);
        SqlError::new(sqlstate::SYNTAX_ERROR, message)
    })
}

/// A list of columns, or `*` where that may stand.
fn listed(option: &DefElem, or_all: bool, at: Option<u32>) -> Result<Columns<'_>> {
    let name = |node: &'_ Node| nodes::string(node).is_some();
    match argument(option) {
        Some(NodeEnum::AStar(_)) if or_all => Ok(Columns::All),
        Some(NodeEnum::List(list)) if list.items.iter().all(name) => {
            Ok(Columns::Listed(nodes::strings(&list.items)))
        }
        _ => {
            let message = format!("argument to option \"{}\" must be a list of column names", option.defname);
            Err(invalid(&message).at(at))
        }
    }
}

fn byte(text: &str, what: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(unsupported(&format!("COPY {what} must be a single one-byte character"))),
    }
}

fn invalid(message: &str) -> SqlError {
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

fn unsupported(message: &str) -> SqlError {
    SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
}
