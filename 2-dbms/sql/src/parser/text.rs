//! Small text helpers: positions and PostgreSQL's quoting.

/// The position of byte `offset` of `text` in characters from 1, as clients expect it.
pub fn position(text: &str, offset: usize) -> u32 {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    // Every byte but UTF-8's continuation bytes begins a character.
    let characters = before.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
    u32::try_from(characters).unwrap_or(u32::MAX - 1) + 1
}

/// The line of byte `offset` of `text`, from 1.
pub fn line(text: &str, offset: usize) -> u32 {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let ends = before.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(ends).unwrap_or(u32::MAX - 1) + 1
}

/// `name` as an SQL identifier, in double quotes only where it needs them (`quote_ident`).
pub fn quote_ident(name: &str) -> String {
    let mut characters = name.chars();
    let plain = characters.next().is_some_and(|c| c == '_' || c.is_ascii_lowercase())
        && characters.all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        && !super::keywords::needs_quotes(name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// `text` as an SQL string constant (`quote_literal`): with the `E` form where it has a backslash.
pub fn quote_literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}
