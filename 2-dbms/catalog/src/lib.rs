//! The catalogue: definitions of schemas, tables, columns, indexes, functions, types
