//! PostgreSQL (alone or with Citus) as the second engine
