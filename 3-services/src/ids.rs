//! Identifiers that carry their bucket, and times.

use sha2::{Digest, Sha256};
use tuplix::Value;

/// Buckets of every distributed table; fixed, because keys never change.
pub const BUCKETS: i32 = 64;

/// Microseconds from 1970 to 2000, where SQL's timestamps begin.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// A bucket, 0 to 63: the distribution key `p_key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(pub i32);

impl Bucket {
    /// The bucket of a name: what `os.bucket(text)` gives.
    pub fn of_name(name: &str) -> Bucket {
        Bucket(i32::from(Sha256::digest(name.as_bytes())[0] & 63))
    }

    /// The bucket of an identifier: its low six bits, what `os.bucket(bigint)` gives.
    pub fn of_id(id: i64) -> Bucket {
        Bucket((id & 63) as i32)
    }

    /// All buckets.
    pub fn all() -> impl Iterator<Item = Bucket> {
        (0..BUCKETS).map(Bucket)
    }

    pub(crate) fn value(self) -> Value {
        Value::Int4(self.0)
    }
}

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub i64);

            impl $name {
                /// The bucket that it stands in.
                pub fn bucket(self) -> Bucket {
                    Bucket::of_id(self.0)
                }

                pub(crate) fn value(self) -> Value {
                    Value::Int8(self.0)
                }
            }

            impl std::fmt::Display for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    self.0.fmt(f)
                }
            }
        )*
    };
}

ids! {
    /// A task.
    TaskId;
    /// A graph of tasks.
    GraphId;
    /// A worker. It may serve many buckets, its own among them or not.
    WorkerId;
    /// A file or directory.
    FileId;
    /// A receiver or sender of messages: a task, a graph, or the address of a name.
    ReceiverId;
}

impl ReceiverId {
    /// The receiver that a name means: what `os.address(text)` gives.
    pub fn of_name(name: &str) -> ReceiverId {
        if (1..=18).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(number) = name.parse()
        {
            return ReceiverId(number);
        }
        let hash = Sha256::digest(name.as_bytes());
        let middle = (1..=6).map(|byte| i64::from(hash[byte]) << (8 * byte - 2)).sum::<i64>();
        ReceiverId(1 << 62 | middle | i64::from(hash[0] & 63))
    }
}

impl From<TaskId> for ReceiverId {
    fn from(task: TaskId) -> ReceiverId {
        ReceiverId(task.0)
    }
}

impl From<GraphId> for ReceiverId {
    fn from(graph: GraphId) -> ReceiverId {
        ReceiverId(graph.0)
    }
}

/// A time: microseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time in a `timestamptz` value.
    pub(crate) fn from_value(value: &Value) -> Option<Timestamp> {
        match value {
            Value::Timestamptz(us) => Some(Timestamp(us.saturating_add(EPOCH_2000_US))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_buckets_that_sql_gives_them() {
        assert_eq!(Bucket::of_name("alice"), Bucket(43));
        assert_eq!(ReceiverId::of_name("alice"), ReceiverId(4_611_690_003_926_464_043));
        assert_eq!(ReceiverId::of_name("alice").bucket(), Bucket(43));
        assert_eq!(ReceiverId::of_name("77"), ReceiverId(77));
        assert_eq!(TaskId(-1).bucket(), Bucket(63));
    }
}
