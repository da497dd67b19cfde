//! The redo log: epochs, group commit, segments, recovery
