//! The PostgreSQL wire protocol over a Tuplix node
