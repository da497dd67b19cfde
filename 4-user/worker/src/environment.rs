//! What a program finds in its environment.

use std::collections::BTreeMap;
use std::path::Path;

use tuplix_services::scheduler::Claim;

use crate::options::WorkerOptions;
use crate::runner::{FOLDER_VARIABLE, SOCKET_FOLDER, TOOLS_FOLDER, WORKING_FOLDER};

/// Where programs are looked for that are named without a path.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of an attempt: the system's, what the task declares, and who it is, which no declaration changes.
///
/// `folder` is the private folder as the worker sees it, `token` the secret of this attempt.
pub(crate) fn environment(
    options: &WorkerOptions,
    claim: &Claim,
    folder: &Path,
    isolated: bool,
    token: &str,
) -> BTreeMap<String, String> {
    let own = |place: &str, name: &str| {
        if isolated { place.to_owned() } else { folder.join(name).to_string_lossy().into_owned() }
    };
    let tools = own(TOOLS_FOLDER, "tools");
    let files = own(WORKING_FOLDER, "files");
    let mut all = BTreeMap::new();
    let mut set = |name: &str, value: String| drop(all.insert(name.to_owned(), value));
    set("PATH", format!("{tools}:{SEARCH_PATH}"));
    set("HOME", files.clone());
    set("TMPDIR", own("/tmp", "tmp"));
    set("LANG", "C.UTF-8".to_owned());
    set("USER", claim.owner.clone());
    set("LOGNAME", claim.owner.clone());
    for (name, value) in &claim.environment {
        set(name, value.clone());
    }
    if let Some(socket) = &options.socket {
        let sockets = match socket.parent() {
            Some(folder) if !isolated => folder.to_string_lossy().into_owned(),
            _ => SOCKET_FOLDER.to_owned(),
        };
        let port = socket.extension().map(|port| port.to_string_lossy().into_owned()).unwrap_or_default();
        // For `tuplix`, and for everything that is built on libpq.
        set("TUPLIX_DATA", sockets.clone());
        set("PGHOST", sockets);
        set("PGPORT", port);
        set("PGUSER", claim.owner.clone());
        set("PGDATABASE", "tuplix".to_owned());
    }
    set(FOLDER_VARIABLE, files);
    set("TUPLIX_TASK_ID", claim.task.to_string());
    set("TUPLIX_TASK_NAME", claim.name.clone());
    set("TUPLIX_TASK_ATTEMPT", claim.attempt.to_string());
    set("TUPLIX_TASK_TOKEN", token.to_owned());
    if let Some(graph) = claim.graph {
        set("TUPLIX_GRAPH_ID", graph.to_string());
    }
    all
}
