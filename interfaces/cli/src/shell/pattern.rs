//! The patterns of `\d` and its kin, as psql reads them: `*` and `?` stand for characters, `schema.name`, quotes keep case.

/// A pattern as regular expressions; `None` where everything goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) schema: Option<String>,
    pub(super) name: Option<String>,
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn of(text: &str) -> Pattern {
        let mut parts = vec![String::new()];
        let mut quoted = false;
        let mut characters = text.chars().peekable();
        while let Some(char) = characters.next() {
            let part = match parts.last_mut() {
                Some(part) => part,
                None => break,
            };
            match char {
                '"' if quoted && characters.peek() == Some(&'"') => {
                    characters.next();
                    part.push('"');
                }
                '"' => quoted = !quoted,
                '*' if !quoted => part.push_str(".*"),
                '?' if !quoted => part.push('.'),
                '.' if !quoted => parts.push(String::new()),
                _ if char.is_alphanumeric() || char == '_' => match quoted {
                    true => part.push(char),
                    false => part.extend(char.to_lowercase()),
                },
                // psql lets brackets and bars through as parts of regular expressions; as names they are rare.
                '[' | ']' | '|' | '+' | '(' | ')' | '-' if !quoted => part.push(char),
                _ => {
                    part.push('\\');
                    part.push(char);
                }
            }
        }
        let whole = |part: &String| (!part.is_empty() && part != ".*").then(|| format!("^({part})$"));
        match parts.as_slice() {
            [name] => Pattern { schema: None, name: whole(name) },
            // A schema of `*` is all of them, seen or not.
            [.., schema, name] => Pattern {
                schema: Some(format!("^({})$", if schema.is_empty() { ".*" } else { schema })),
                name: whole(name),
            },
            [] => Pattern::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_are_regular_expressions() {
        for (text, schema, name) in [
            ("account", None, Some("^(account)$")),
            ("Account", None, Some("^(account)$")),
            ("\"Account\"", None, Some("^(Account)$")),
            ("acc*", None, Some("^(acc.*)$")),
            ("os.task?", Some("^(os)$"), Some("^(task.)$")),
            ("os.*", Some("^(os)$"), None),
            ("*.*", Some("^(.*)$"), None),
            ("*", None, None),
            ("\"a.b\"", None, Some("^(a\\.b)$")),
            ("a$b", None, Some("^(a\\$b)$")),
        ] {
            let expected = Pattern { schema: schema.map(str::to_owned), name: name.map(str::to_owned) };
            assert_eq!(Pattern::of(text), expected, "{text}");
        }
    }
}
