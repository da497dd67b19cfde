//! The lists of a history, as the crate `adya` reads them: it finds from the answers alone who must have come before whom, and names
//! what is wrong as Adya does.

use std::collections::BTreeMap;

use adya::{History, Opts, Valid, Workload};

use super::Transaction;
use super::operation::{Operation, Seen};
use super::run::Levels;

/// Anomalies that READ COMMITTED permits: one of them shows that the checker has seen what there is to see. `internal` is a
/// transaction that sees another state at its second look; that it sees what it wrote itself is checked by [`own_writes`].
const PERMITTED: [&str; 8] = [
    "G-single",
    "G-single-item",
    "G-nonadjacent",
    "G-nonadjacent-item",
    "G2",
    "G2-item",
    "internal",
    "lost-update",
];

/// For the search for circles, on a busy machine too.
const SEARCH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// Finds the anomalies of a history, and judges whether its levels permit them.
///
/// # Errors
/// adya's proof of an anomaly that they do not permit.
pub fn check(history: &[Transaction], levels: Levels) -> Result<Vec<String>, String> {
    let model = match levels {
        Levels::Serializable => "strict-serializable",
        Levels::All | Levels::ReadCommitted => "read-committed",
    };
    let report = verdict(history, model)?;
    match report.valid {
        Valid::True => {}
        Valid::Unknown if levels != Levels::Serializable => {}
        _ => return Err(format!("not {model}: {:?}\n{}", report.anomaly_types, report.explanations)),
    }
    history.iter().try_for_each(own_writes)?;
    let mut anomalies = report.anomaly_types;
    anomalies.extend(verdict(history, "serializable")?.anomaly_types);
    anomalies.sort();
    anomalies.dedup();
    Ok(anomalies)
}

/// Checks that a transaction sees what it has appended, in order and behind everything else: others wait for its rows.
fn own_writes(transaction: &Transaction) -> Result<(), String> {
    let mut own: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (operation, seen) in transaction.effective() {
        match (operation, seen) {
            (Operation::Append(place, item), _) => own.entry(place).or_default().push(*item),
            (Operation::List(place), Seen::Items(items)) => {
                if let Some(own) = own.get(place)
                    && !items.ends_with(own)
                {
                    return Err(format!("{transaction:?} appended {own:?} to {place:?} and read {items:?}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether READ COMMITTED permits an anomaly that SERIALIZABLE does not.
pub fn is_permitted(anomaly: &str) -> bool {
    PERMITTED.contains(&anomaly)
}

/// What adya says.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whether the history fits the model.
    pub valid: Valid,
    /// What it found.
    pub anomaly_types: Vec<String>,
    /// Why.
    pub explanations: String,
}

/// adya's verdict on a history under a consistency model of its list.
///
/// # Errors
/// What adya can't read.
pub fn verdict(history: &[Transaction], model: &str) -> Result<Verdict, String> {
    let parsed = History::from_json(&lines(history)).map_err(|error| error.to_string())?;
    let options = Opts { models: vec![model.to_owned()], timeout: SEARCH_TIMEOUT, ..Opts::default() };
    let report = adya::check(&parsed, Workload::ListAppend, &options);
    let explanations = report.anomalies.values().flatten().take(3).map(|anomaly| anomaly.explanation.clone());
    Ok(Verdict {
        valid: report.valid,
        explanations: explanations.collect::<Vec<_>>().join("\n"),
        anomaly_types: report.anomaly_types,
    })
}

/// The history in Jepsen's format: a line when a transaction begins, and one when it ends.
fn lines(history: &[Transaction]) -> String {
    let mut events = Vec::new();
    for transaction in history {
        let operations: Vec<String> = transaction
            .effective()
            .iter()
            .filter_map(|(operation, seen)| micro(operation, Some(seen)))
            .collect();
        if operations.is_empty() {
            continue;
        }
        let asked =
            transaction.effective().iter().filter_map(|(operation, _)| micro(operation, None)).collect();
        let end = if transaction.committed { "ok" } else { "fail" };
        let line = |kind: &str, operations: Vec<String>| {
            format!(
                "{{\"type\":\"{kind}\",\"process\":{},\"value\":[{}]}}",
                transaction.client,
                operations.join(",")
            )
        };
        events.push((transaction.began, line("invoke", asked)));
        events.push((transaction.returned, line(end, operations)));
    }
    events.sort();
    events.into_iter().map(|(_, line)| line + "\n").collect()
}

fn micro(operation: &Operation, seen: Option<&Seen>) -> Option<String> {
    match (operation, seen) {
        (Operation::Append((place, k), item), _) => Some(format!("[\"append\",\"{place}/{k}\",{item}]")),
        (Operation::List((place, k)), None) => Some(format!("[\"r\",\"{place}/{k}\",null]")),
        (Operation::List((place, k)), Some(Seen::Items(items))) => {
            Some(format!("[\"r\",\"{place}/{k}\",{items:?}]"))
        }
        (Operation::List((place, k)), Some(_)) => Some(format!("[\"r\",\"{place}/{k}\",[]]")),
        _ => None,
    }
}
