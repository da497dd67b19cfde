//! Built-in functions, operators, casts and aggregates, and PostgreSQL's rules for choosing among them
