//! The local socket of the node on a data directory.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tuplix::Address;

/// The socket of the node on a data directory; its name ends in the port.
pub(crate) fn find_socket(data: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(data)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".s.PGSQL.")))
        .collect();
    found.sort();
    // A socket whose node was killed stays behind; the one that answers is meant.
    let alive = found.iter().position(|path| UnixStream::connect(path).is_ok());
    match alive {
        Some(index) => Some(found.swap_remove(index)),
        None => found.into_iter().next(),
    }
}

/// A socket as an address; `None` when its name has no port.
pub(crate) fn socket_address(socket: &Path) -> Option<Address> {
    let port = socket.extension()?.to_str()?.parse().ok()?;
    Some(Address::unix(socket.parent()?, port))
}
