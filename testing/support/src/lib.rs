//! What several tests share: a PostgreSQL cluster of the test's own, folders, checks of the workspace
