//! Random text never panics the parsers, and our scanner sees the tokens that PostgreSQL's sees.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use crate::parser::lexer::{Lexer, Token};
use crate::{parser, plpgsql};

/// Pieces of SQL and PL/pgSQL that often meet.
const PIECES: &[&str] = &[
    "select",
    "from",
    "where",
    "insert",
    "into",
    "values",
    "update",
    "set",
    "delete",
    "returning",
    "with",
    "as",
    "begin",
    "end",
    "declare",
    "if",
    "then",
    "elsif",
    "else",
    "case",
    "when",
    "loop",
    "while",
    "for",
    "foreach",
    "in",
    "reverse",
    "exit",
    "continue",
    "return",
    "next",
    "query",
    "execute",
    "using",
    "raise",
    "notice",
    "exception",
    "others",
    "or",
    "perform",
    "call",
    "do",
    "get",
    "diagnostics",
    "stacked",
    "open",
    "fetch",
    "move",
    "close",
    "cursor",
    "scroll",
    "no",
    "null",
    "not",
    "strict",
    "constant",
    "alias",
    "array",
    "slice",
    "sqlstate",
    "commit",
    "rollback",
    "and",
    "chain",
    "create",
    "function",
    "table",
    "t",
    "x",
    "y.z",
    "a.b.c",
    "int",
    "text",
    "record",
    "refcursor",
    "x%type",
    "t%rowtype",
    "\"q i\"",
    "é",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    ";",
    ";",
    ".",
    "..",
    ":=",
    "=",
    "=>",
    "::",
    ":",
    "<<",
    ">>",
    "<",
    ">",
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "->>",
    "@>",
    "!",
    "1",
    "2.5",
    ".5",
    "1e3",
    "1..2",
    "$1",
    "$$",
    "$a$",
    "'s'",
    "''",
    "'it''s'",
    "E'\\n\\u00e9'",
    "B'01'",
    "X'ff'",
    "U&'x'",
    "N'x'",
    "'",
    "\"",
    "--",
    "-- c\n",
    "/*",
    "*/",
    "/* c */",
    "\n",
    "#",
    "#variable_conflict",
    "use_column",
    "true",
    "default",
    "collate",
    "is",
    "null;",
    "end if;",
    "end loop;",
    "end;",
];

fn soup(most: usize) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        20 => prop::sample::select(PIECES).prop_map(str::to_owned),
        1 => "[ -~]{0,3}",
        1 => "\\PC{0,2}",
    ];
    let glue = prop_oneof![8 => Just(" "), 1 => Just(""), 1 => Just("\n")];
    prop::collection::vec((piece, glue), 0..most)
        .prop_map(|parts| parts.into_iter().map(|(piece, glue)| piece + glue).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn token_soup_never_panics(text in soup(40)) {
        for error in [
            parser::parse(&text).err(),
            parser::parse_expression(&text).err(),
            parser::parse_assignment(&text, 1).err(),
            parser::parse_type_name(&text).err(),
            plpgsql::parse_body(&text, "f").err(),
            plpgsql::parse_body(&format!("declare {text} begin end"), "f").err(),
            plpgsql::parse_body(&format!("begin {text} end"), "f").err(),
        ].into_iter().flatten() {
            prop_assert_ne!(error.sqlstate(), tuplix_types::sqlstate::INTERNAL_ERROR, "{:?}", error);
        }
    }

    #[test]
    fn positions_stay_inside(text in soup(12)) {
        let length = u32::try_from(text.chars().count()).unwrap();
        for error in [parser::parse(&text).err(), plpgsql::parse_body(&text, "f").err()].into_iter().flatten() {
            let position = error.fields().position;
            prop_assert!(position.is_none_or(|position| (1..=length + 1).contains(&position)), "{:?}", error);
        }
    }

    #[test]
    fn our_scanner_agrees_with_postgresqls(text in soup(30)) {
        let mut lexer = Lexer::new(&text);
        let mut ours = Vec::new();
        let failure = loop {
            match lexer.next_token() {
                Ok(Some(lexeme)) => ours.push((lexeme.start, lexeme.end, lexeme.token)),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        match pg_query::scan(&text) {
            Ok(scan) => {
                let theirs: Vec<(usize, usize)> = scan.tokens.iter()
                    .filter(|token| !matches!(token.token(), pg_query::protobuf::Token::SqlComment | pg_query::protobuf::Token::CComment))
                    .map(|token| (usize::try_from(token.start).unwrap(), usize::try_from(token.end).unwrap()))
                    .collect();
                if let Some(error) = failure {
                    // Numbers that are newer than PostgreSQL 15 are junk to us.
                    prop_assert!(error.message().starts_with("trailing junk"), "only we refuse {:?}: {:?}", text, error);
                } else {
                    let places: Vec<(usize, usize)> = ours.iter().map(|(start, end, _)| (*start, *end)).collect();
                    // N'...' is two tokens, the same place for both scanners or not.
                    if !ours.iter().any(|(_, _, token)| matches!(token, Token::Ident { name, .. } if name == "n")) {
                        prop_assert_eq!(places, theirs, "{:?}", text);
                    }
                }
            }
            Err(error) => prop_assert!(failure.is_some(), "only PostgreSQL refuses {:?}: {:?}", text, error),
        }
    }
}
