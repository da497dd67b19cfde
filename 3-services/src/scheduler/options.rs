//! What few tasks ask for.

use std::collections::BTreeMap;

use serde_json::{Map, json};
use tuplix::Value;

use crate::procedure::text;

/// Options of a task: the argument `options` of `os.submit_task`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskOptions {
    /// A class of `os.task_class`, whose policy places it.
    pub class: Option<String>,
    /// Named resources that it takes, as in `{"gpu": 1}`.
    pub resources: BTreeMap<String, i64>,
    /// A queue with limits, in which it waits.
    pub queue: Option<String>,
    /// Whom a fair share counts it for; otherwise its owner.
    pub group: Option<String>,
    /// The same key and the same arguments give the same task again.
    pub key: Option<String>,
    /// The longest pause between two attempts.
    pub backoff_max_ms: Option<i64>,
    /// The part of a pause, 0 to 1, that is random.
    pub jitter: Option<f64>,
    /// A time before which it does not begin, as text: `2026-12-31 08:00:00+00`.
    pub start_at: Option<String>,
    /// The version of its program, for people and for workers.
    pub code: Option<String>,
    /// It begins only after [`resume_task`](super::Scheduler::resume_task).
    pub paused: bool,
}

impl TaskOptions {
    /// As JSON; `None` where nothing is asked for.
    pub fn json(&self) -> Option<serde_json::Value> {
        let mut options = Map::new();
        let texts = [
            ("class", &self.class),
            ("queue", &self.queue),
            ("group", &self.group),
            ("key", &self.key),
            ("start_at", &self.start_at),
            ("code", &self.code),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                options.insert(name.to_owned(), json!(value));
            }
        }
        if !self.resources.is_empty() {
            options.insert("resources".to_owned(), json!(self.resources));
        }
        if let Some(longest) = self.backoff_max_ms {
            options.insert("backoff_max_ms".to_owned(), json!(longest));
        }
        if let Some(jitter) = self.jitter {
            options.insert("jitter".to_owned(), json!(jitter));
        }
        if self.paused {
            options.insert("paused".to_owned(), json!(true));
        }
        (!options.is_empty()).then_some(serde_json::Value::Object(options))
    }

    pub(super) fn value(&self) -> Value {
        self.json().map_or(Value::Null, |options| text(&options.to_string()))
    }
}

/// Named resources as the text of JSON; null for none.
pub(super) fn resources_value(resources: &BTreeMap<String, i64>) -> Value {
    if resources.is_empty() { Value::Null } else { text(&json!(resources).to_string()) }
}
