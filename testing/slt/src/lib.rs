//! sqllogictest files on the engine, over the wire and on PostgreSQL
