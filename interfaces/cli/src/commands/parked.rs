//! Tasks that are larger than every worker: nothing else would say why they wait.

use std::collections::BTreeSet;

use tuplix::{SqlError, Value};
use tuplix_services::TaskId;

use crate::node::Node;

const PARKED: &str = include_str!("parked.sql");

/// Those that were told of.
#[derive(Default)]
pub(super) struct Parked {
    told: BTreeSet<i64>,
}

impl Parked {
    /// What there is to say of tasks `first` to `last` of one bucket that was not said yet, a line each.
    pub(super) fn look(
        &mut self,
        node: &mut Node,
        first: TaskId,
        last: TaskId,
    ) -> Result<Vec<String>, SqlError> {
        let key = [Value::Int4(first.bucket().0), Value::Int8(first.0), Value::Int8(last.0)];
        let rows = node.session.query(PARKED, &key)?;
        let mut lines = Vec::new();
        for row in rows.iter() {
            let number = |column: usize| row[column].as_i64().unwrap_or_default();
            let (name, task) = (row[0].as_str().unwrap_or_default(), number(1));
            if self.told.insert(task) {
                let needs = needs(number(2), number(3));
                lines.push(format!(
                    "task {task} {name}: no worker of this bucket is as large ({needs}); it waits for one"
                ));
            }
        }
        Ok(lines)
    }
}

/// What it needs, in words.
fn needs(cores: i64, memory: i64) -> String {
    let cores = super::counted(cores.unsigned_abs(), "core");
    match memory {
        0 => cores,
        _ => format!("{cores}, {} MiB of memory", (memory.unsigned_abs()).div_ceil(1 << 20)),
    }
}
