//! From SQL text to one typed plan: PostgreSQL's grammar, PL/pgSQL, the analyzer
