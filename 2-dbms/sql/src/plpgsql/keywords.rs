//! PL/pgSQL's key words, which are not those of SQL.

/// Whether the word can never name a variable unless it is quoted.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// Whether the word means something at some places only.
pub(super) fn is_unreserved(word: &str) -> bool {
    UNRESERVED.binary_search(&word).is_ok()
}

#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "all", "begin", "by", "case", "declare", "else", "end", "execute", "for", "foreach", "from", "if", "in", "into",
    "loop", "not", "null", "or", "strict", "then", "to", "using", "when", "while",
];

#[rustfmt::skip]
const UNRESERVED: &[&str] = &[
    "absolute", "alias", "and", "array", "assert", "backward", "call", "chain", "close", "collate", "column",
    "column_name", "commit", "constant", "constraint", "constraint_name", "continue", "current", "cursor",
    "datatype", "debug", "default", "detail", "diagnostics", "do", "dump", "elseif", "elsif", "errcode", "error",
    "exception", "exit", "fetch", "first", "forward", "get", "hint", "import", "info", "insert", "is", "last",
    "log", "merge", "message", "message_text", "move", "next", "no", "notice", "open", "option", "perform",
    "pg_context", "pg_datatype_name", "pg_exception_context", "pg_exception_detail", "pg_exception_hint",
    "print_strict_params", "prior", "query", "raise", "relative", "return", "returned_sqlstate", "reverse",
    "rollback", "row_count", "rowtype", "schema", "schema_name", "scroll", "slice", "sqlstate", "stacked", "table",
    "table_name", "type", "use_column", "use_variable", "variable_conflict", "warning",
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_lists_are_sorted() {
        assert!(super::RESERVED.is_sorted() && super::UNRESERVED.is_sorted());
    }
}
