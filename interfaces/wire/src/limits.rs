//! The limits of the protocol side, each with a name and a typed refusal (docs/limits.md lists them).

use std::time::Duration;

/// Largest message of the kinds that carry data (`Query`, `Parse`, `Bind`, ...): 256 MiB. A longer one
/// ends the connection with 08P01, because what follows it could no longer be told apart.
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Largest message of every other kind, and of the start-up packet, as in PostgreSQL.
pub const SMALL_MESSAGE_BYTES_MAX: usize = 10_000;

/// Connections at a time unless [`crate::ServerOptions::connections_max`] says otherwise; one more is
/// refused with 53300.
pub const CONNECTIONS_MAX: usize = 1_000;

/// How many of them are kept for superusers, PostgreSQL's `superuser_reserved_connections`.
pub const CONNECTIONS_RESERVED: usize = 3;

/// How long a client may take to send its start-up packet, PostgreSQL's `authentication_timeout`.
pub const STARTUP_TIMEOUT: Duration = Duration::from_secs(60);

/// Answers kept for one client that does not read them, or whose commits are not on disk yet. At this
/// limit the connection stops reading requests until the client or the disk catches up.
pub const PENDING_BYTES_MAX: usize = 4 << 20;

/// Answers in flight on one connection that wait for their commits; at this limit it stops reading too.
pub const PENDING_COMMITS_MAX: usize = 4_096;

/// How much is read from a connection at a time.
pub const READ_BYTES: usize = 64 << 10;

/// What has come of a pipeline is looked at by a thread that other connections wait for, up to so many bytes.
pub(crate) const SHORT_BYTES: usize = 16 << 10;

/// A text of statements is parsed and planned by such a thread, up to so many bytes.
pub(crate) const SHORT_TEXT_BYTES: usize = 1 << 10;

/// Most data of one COPY FROM STDIN, which are kept until they are complete: 54000.
pub const COPY_BYTES_MAX: usize = 1 << 30;

/// Longest path of a local socket (`sun_path` has 108 bytes with its end mark).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// How long a shutdown lets running statements finish before it cancels them.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
