//! Pausing, resuming, reasons, schedules, keys; what programs read.

use serde_json::Value;

use crate::harness::{Node, answer, fed, refused, said};

/// What a command printed, as JSON.
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_is_paused_begins_when_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let _node = Node::with(data, &["--isolation", "off"]);
    let task = json(&said(data, &["submit", "--json", "--paused", "/bin/true"]))["task"].to_string();
    let reasons = json(&said(data, &["why", "--json", &task]));
    assert_eq!(reasons[0]["reason"], "paused", "{reasons}");
    assert!(said(data, &["why", &task]).contains("What lets it begin"));
    let resumed = json(&said(data, &["resume", "--json", &task]));
    assert_eq!(resumed["paused"], false, "{resumed}");
    said(data, &["wait", &task]);
    assert!(refused(data, &["pause", &task]).contains("TXS10"));
    assert!(refused(data, &["pause", "--graph", "64"]).contains("no graph 64"));
    assert!(refused(data, &["resume", "--queue", "mail"]).contains("TXS14"));
    let graph = b"[[task]]\nname = \"a\"\nprogram = \"/bin/true\"\n";
    let delayed = json(&said(data, &["submit", "--json", "--delay", "1h", "/bin/true"]))["task"].to_string();
    assert_eq!(json(&said(data, &["cancel", "--json", &delayed]))["state"], "cancelled");
    let retried = json(&said(data, &["retry", "--json", &delayed]));
    assert!(retried["state"].is_string(), "{retried}");
    let submitted = json(&fed(data, &["run", "--detach", "--json", "-"], graph));
    assert_eq!(submitted["tasks"], 1, "{submitted}");
    said(data, &["wait", "--graph", &submitted["graph"].to_string()]);
}

#[test]
fn a_key_names_one_task() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let _node = Node::with(data, &["--no-worker"]);
    let submit = ["submit", "--key", "order 7", "/bin/echo", "7"];
    let first = said(data, &submit);
    assert_eq!(said(data, &submit), first);
    assert!(refused(data, &["submit", "--key", "order 7", "/bin/echo", "8"]).contains("TXS13"));
}

#[test]
fn schedules_are_made_listed_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let _node = Node::with(data, &["--no-worker"]);
    let added = json(&said(data, &["cron", "add", "--json", "nightly", "30 2 * * *", "/bin/true", "--all"]));
    assert!(added["next_at"].as_str().unwrap().contains("T02:30:00"), "{added}");
    assert!(refused(data, &["cron", "add", "never", "61 * * * *", "/bin/true"]).contains("TXS16"));
    let listed = json(&said(data, &["cron", "list", "--json"]));
    assert_eq!((&listed[0]["cron"], &listed[0]["missed"]), (&"nightly".into(), &"once".into()), "{listed}");
    let task = answer(data, &["--csv"], "SELECT task ->> 'arguments' AS arguments FROM os.cron");
    assert!(task.contains("--all"), "{task}");
    assert_eq!(said(data, &["cron", "drop", "nightly"]), "nightly submits nothing more\n");
    assert!(refused(data, &["cron", "drop", "nightly"]).contains("tuplix cron list"));
}
