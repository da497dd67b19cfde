//! What a backup says of itself: `backup.json`.

use serde::{Deserialize, Serialize};
use tuplix_types::{Result, SqlError, sqlstate};

use crate::damaged;

/// The manifest's file name.
pub const MANIFEST: &str = "backup.json";

/// The version of a backup's layout.
const FORMAT: u32 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the backup's layout.
    pub format: u32,
    /// The node that it is a copy of.
    pub node_id: u64,
    /// When it was made, in microseconds since 2000-01-01 UTC.
    pub made_us: i64,
    /// What a restore can reach.
    pub reach: Reach,
    /// All other files.
    pub files: Vec<FileEntry>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path in the backup.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The CRC-32C of its bytes.
    pub crc32c: u32,
}

/// The moments between which a restore can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The epoch of the oldest checkpoint; 0: the log begins with the node's first epoch.
    pub first_epoch: u64,
    /// When it was closed, in microseconds since 2000-01-01 UTC.
    pub first_us: i64,
    /// The last epoch.
    pub last_epoch: u64,
    /// When it was closed.
    pub last_us: i64,
}

impl Manifest {
    pub(crate) fn new(node_id: u64, made_us: i64, reach: Reach, files: Vec<FileEntry>) -> Manifest {
        Manifest { format: FORMAT, node_id, made_us, reach, files }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|error| SqlError::internal(error.to_string()))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Manifest> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let unreadable =
            |error: serde_json::Error| damaged(format!("the backup's \"{MANIFEST}\" is damaged: {error}"));
        let version: Version = serde_json::from_slice(bytes).map_err(unreadable)?;
        if version.format != FORMAT {
            let message = format!(
                "the backup has format version {}, this program reads version {FORMAT}",
                version.format
            );
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
                .hint("Restore it with the version of Tuplix that made it."));
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// All bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}
