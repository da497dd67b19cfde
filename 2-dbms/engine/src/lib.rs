//! The embedded engine: partitions, transactions, compiled plans and procedures
