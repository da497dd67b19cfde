//! The SQLSTATEs of the services' own errors, class `TX`; the rows of the table in `3-services/README.md`.
//!
//! The third letter names the service: `O` the base, `S` the scheduler, `M` messages, `F` files. The last two digits of a
//! file error are Linux's errno.

use tuplix::SqlState;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub const $name: SqlState = SqlState(*$code);)*

        /// All of them.
        pub const ALL: &[SqlState] = &[$($name),*];
    };
}

errors! {
    /// There is no such bucket.
    UNKNOWN_BUCKET = b"TXO01";
    /// No user can have this name or bucket.
    INVALID_USER = b"TXO02";
    /// Nothing reads a setting of this name.
    UNKNOWN_SETTING = b"TXO03";
    /// There is no such task.
    UNKNOWN_TASK = b"TXS01";
    /// Who calls does not hold the running attempt of the task (any more).
    STALE_ATTEMPT = b"TXS02";
    /// The worker does not work in the bucket: it never joined, left, or was lost.
    UNKNOWN_WORKER = b"TXS03";
    /// The graph has a cycle, which the message names.
    GRAPH_CYCLE = b"TXS04";
    /// A task comes after one that is not in the graph.
    MISSING_DEPENDENCY = b"TXS05";
    /// Two tasks of the graph have one name.
    DUPLICATE_TASK = b"TXS06";
    /// The description of the task or graph is invalid.
    INVALID_TASK = b"TXS07";
    /// The queue is full.
    QUEUE_FULL = b"TXS08";
    /// A worker offers nothing.
    INVALID_WORKER = b"TXS09";
    /// The task is in a state in which this cannot be done.
    WRONG_STATE = b"TXS10";
    /// There is no such graph.
    UNKNOWN_GRAPH = b"TXS11";
    /// No worker has the room that a gang or a copy needs at once.
    NO_ROOM = b"TXS12";
    /// The key was used with other arguments.
    KEY_IN_USE = b"TXS13";
    /// There is no such queue.
    UNKNOWN_QUEUE = b"TXS14";
    /// The function of a task is not the one that was there at its submission.
    CODE_CHANGED = b"TXS15";
    /// No schedule, time zone or rule for missed times.
    INVALID_SCHEDULE = b"TXS16";
    /// The receiver's mailbox is full.
    MAILBOX_FULL = b"TXM01";
    /// The message is too large.
    MESSAGE_TOO_LARGE = b"TXM02";
    /// The receiver stands in another bucket.
    WRONG_BUCKET = b"TXM03";
    /// ENOENT: there is no such file or directory.
    NO_ENTRY = b"TXF02";
    /// EEXIST: there is such a file already.
    EXISTS = b"TXF17";
    /// EXDEV: the path leads into another bucket.
    OTHER_BUCKET = b"TXF18";
    /// ENOTDIR: a name in the path, or what the call needs as a directory, is none.
    NOT_A_DIRECTORY = b"TXF20";
    /// EISDIR: the call needs a file, and this is a directory.
    IS_A_DIRECTORY = b"TXF21";
    /// EINVAL: a path, place, size or block that no file has.
    INVALID = b"TXF22";
    /// EFBIG: more bytes than one call moves.
    TOO_LARGE = b"TXF27";
    /// ENAMETOOLONG: a path over 4096 bytes, or a name over 255.
    NAME_TOO_LONG = b"TXF36";
    /// ENOTEMPTY: the directory is not empty.
    NOT_EMPTY = b"TXF39";
}
