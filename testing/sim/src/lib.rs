//! The seeded simulator and the kill -9 loop
