//! Tuplix: a database operating system. Everything is a tuple
