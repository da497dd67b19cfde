//! Names that PostgreSQL gives to constraints and indexes that have none.

use tuplix_catalog::Catalog;

/// The longest identifier, in bytes.
const NAME_BYTES: usize = 63;

/// `table_column_suffix`, cut to fit.
pub(crate) fn object_name(table: &str, column: Option<&str>, suffix: &str) -> String {
    let mut table = table.to_owned();
    let mut column = column.map(str::to_owned);
    let fixed = suffix.len() + 1 + usize::from(column.is_some());
    while table.len() + column.as_ref().map_or(0, String::len) + fixed > NAME_BYTES {
        match &mut column {
            Some(column) if column.len() > table.len() => drop(column.pop()),
            _ => drop(table.pop()),
        }
    }
    match column {
        Some(column) => format!("{table}_{column}_{suffix}"),
        None => format!("{table}_{suffix}"),
    }
}

/// The first of `name`, `name1`, `name2`, ... that is free.
pub(crate) fn unused(name: String, taken: impl Fn(&str) -> bool) -> String {
    if !taken(&name) {
        return name;
    }
    let mut number = 1;
    loop {
        let candidate = format!("{name}{number}");
        if !taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

/// The name of the function that an expression is a call of, when it is nothing else.
pub(crate) fn called_function(expression: &str) -> Option<String> {
    let (name, rest) = expression.split_once('(')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let (mut depth, mut quoted) = (1_usize, false);
    for (at, c) in rest.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (is_name && at + 1 == rest.len()).then(|| name.to_ascii_lowercase());
        }
    }
    None
}

/// Whether a table, index or sequence has this name.
pub(crate) fn relation_exists(catalog: &Catalog, schema: &str, name: &str) -> bool {
    catalog.table_named(schema, name).is_some()
        || catalog.table_of_index(schema, name).is_some()
        || catalog.sequence_named(schema, name).is_some()
}
