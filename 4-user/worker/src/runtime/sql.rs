//! Kind `sql`: a function or procedure in the database, called in the transaction that finishes its task.
//!
//! ```text
//! BEGIN; code as submitted? limits; SET ROLE owner; SELECT program(arguments); RESET ROLE; finish_task with what it gave; COMMIT
//! ```
//!
//! So what it does and that it is done commit together: exactly once, whatever crashes. Its error undoes all of it and fails the
//! attempt with SQLSTATE and text. `program` is a name as the catalogue has it, `schema.name` or `name` in `public`; each argument is a
//! text, read as its parameter's type is. What it gives is the task's result, as JSON; several rows are an array.

use std::collections::BTreeMap;

use tuplix::{OutputColumn, Prepared, Result, Rows, Session, SqlError, TypeId, Value, sqlstate};
use tuplix_services::errors;
use tuplix_services::scheduler::{Claim, Usage};

use super::{Begun, Outcome, Runtime};
use crate::errors::{is_conflict, is_lost, is_transient, text_of};
use crate::ground::{Ground, TRIES};
use crate::link::Link;
use crate::outcome::{Failure, Verdict};

/// Calls that a thread keeps prepared; one more, and it begins anew.
const CALLS_KEPT: usize = 256;

/// Times that a session's own role is taken back.
const ROLE_TRIES: u32 = 3;

/// What a version begins with that is one of a function's text.
const OF_TEXT: &str = "md5:";

/// `void`: what functions give that give nothing.
const VOID: TypeId = TypeId(2278);

/// Runs functions.
#[derive(Default)]
pub(crate) struct Sql {
    /// Which session the calls were prepared in.
    session: u64,
    calls: BTreeMap<Key, Prepared>,
    /// What a function's version is.
    version: Option<Prepared>,
}

/// A call that is prepared: owner, function, number of arguments.
type Key = (String, String, usize);

/// Why an attempt did not come to its end.
enum Trouble {
    /// The task's own fault.
    Task(SqlError),
    /// The database's, or of ending the attempt.
    Database(SqlError),
}

impl From<SqlError> for Trouble {
    fn from(error: SqlError) -> Trouble {
        Trouble::Database(error)
    }
}

impl Runtime for Sql {
    fn kind(&self) -> &'static str {
        "sql"
    }

    fn run(&mut self, ground: &mut Ground, begun: &Begun<'_>) -> Result<Outcome> {
        if let Some(what) = not_for_sql(begun.claim) {
            return Ok(Outcome::Ended(failed(what, false)));
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let tried = self.transaction(ground, begun);
            begun.stopper.over();
            let trouble = match tried {
                Ok(true) => return Ok(Outcome::Settled),
                Ok(false) => return Ok(Outcome::Ended(ended(ground, begun))),
                Err(trouble) => trouble,
            };
            if let Trouble::Task(error) | Trouble::Database(error) = &trouble
                && is_lost(error)
            {
                return Err(error.clone());
            }
            ground.link.roll_back();
            // A cancel can have met the very statement that gives the role back, and meets no second one.
            for _ in 0..ROLE_TRIES {
                if ground.link.session.execute("SET ROLE NONE").is_ok() {
                    break;
                }
            }
            match trouble {
                Trouble::Task(_) | Trouble::Database(_) if begun.stopper.is_stopped() => {
                    return Ok(Outcome::Ended(ended(ground, begun)));
                }
                Trouble::Task(error) if is_conflict(&error) && tries < TRIES => ground.pause(),
                Trouble::Database(error) if is_transient(&error) && tries < TRIES => ground.pause(),
                Trouble::Task(error) => return Ok(Outcome::Ended(of_task(begun.claim, &error))),
                Trouble::Database(error)
                    if [errors::STALE_ATTEMPT, errors::UNKNOWN_TASK].contains(&error.sqlstate()) =>
                {
                    // Cancelled at its very end, or another attempt has taken over: the settlement finds out.
                    return Ok(Outcome::Ended(Verdict::Cancelled(Usage::default())));
                }
                // What it gave is more than a result can be.
                Trouble::Database(error) if error.sqlstate() == errors::INVALID_TASK => {
                    return Ok(Outcome::Ended(of_task(begun.claim, &error)));
                }
                Trouble::Database(error) => return Err(error),
            }
        }
    }
}

impl Sql {
    /// All of it; false when the attempt was ended before it began.
    fn transaction(&mut self, ground: &mut Ground, begun: &Begun<'_>) -> std::result::Result<bool, Trouble> {
        let claim = begun.claim;
        let node = ground.context.node.clone();
        let (id, secret) = (ground.link.session.id(), ground.link.session.secret());
        let armed = begun.stopper.begin(
            move || {
                // False when the session is gone, and with it what it ran.
                let _ = node.cancel(id, secret);
            },
            || (),
        );
        if armed.is_none() {
            return Ok(false);
        }
        let prepared = self.prepared(&mut ground.link, claim)?;
        let session = &mut ground.link.session;
        session.execute("BEGIN")?;
        self.check_code(session, claim)?;
        if let Some(timeout) = claim.timeout_ms {
            session.execute(&format!("SET LOCAL statement_timeout = {timeout}"))?;
        }
        session.execute(&format!("SET LOCAL ROLE {}", quoted(&claim.owner))).map_err(no_role)?;
        let given = call(session, &prepared, claim).map_err(Trouble::Task)?;
        session.execute("SET LOCAL ROLE NONE; SET LOCAL statement_timeout = 0")?;
        begun.stopper.over();
        let Link { session, scheduler, .. } = &mut ground.link;
        let (task, attempt, usage) = (claim.task, claim.attempt, Usage::default());
        match given {
            Some(result) => scheduler.finish_task_with(session, task, attempt, 0, &usage, &result),
            None => scheduler.finish_task(session, task, attempt, 0, &usage),
        }?;
        session.execute("COMMIT")?;
        Ok(true)
    }

    /// Refuses a function that is another one than when its task was submitted.
    fn check_code(&mut self, session: &mut Session, claim: &Claim) -> std::result::Result<(), Trouble> {
        let Some(code) = claim.options.get("code").and_then(serde_json::Value::as_str) else { return Ok(()) };
        let Some(version) = self.version.as_ref().filter(|_| code.starts_with(OF_TEXT)) else {
            return Ok(());
        };
        let mut rows = Rows::new();
        let called = session.call(version, &[Value::text(claim.program.as_str())], &mut rows);
        called.map_err(Trouble::Task)?;
        if rows.get(0, 0).and_then(Value::as_str) == Some(code) {
            return Ok(());
        }
        let message =
            format!("function \"{}\" is another one than when its task was submitted", claim.program);
        let error = SqlError::new(errors::CODE_CHANGED, message);
        Err(Trouble::Task(error.hint("Submit it again, or fork its graph.")))
    }

    /// The call, prepared: outside of the transaction, which an error in it would end, and as the task's owner.
    fn prepared(&mut self, link: &mut Link, claim: &Claim) -> std::result::Result<Prepared, Trouble> {
        if self.version.is_none() || self.session != link.number || self.calls.len() >= CALLS_KEPT {
            (self.session, self.calls) = (link.number, BTreeMap::new());
            self.version = Some(link.session.prepare("SELECT os.code_version($1)", &[])?);
        }
        let key = (claim.owner.clone(), claim.program.clone(), claim.arguments.len());
        if let Some(prepared) = self.calls.get(&key) {
            return Ok(prepared.clone());
        }
        let session = &mut link.session;
        session.execute(&format!("SET ROLE {}", quoted(&claim.owner))).map_err(no_role)?;
        let prepared = prepare(session, &claim.program, claim.arguments.len());
        session.execute("SET ROLE NONE")?;
        let prepared = prepared.map_err(Trouble::Task)?;
        self.calls.insert(key, prepared.clone());
        Ok(prepared)
    }
}

/// The session's role cannot be the task's owner.
fn no_role(error: SqlError) -> Trouble {
    Trouble::Task(error.hint(
        "What a task of kind \"sql\" may do is what its owner may: make its owner a role, and the worker's role its member.",
    ))
}

/// Calls it; what it gave.
fn call(session: &mut Session, prepared: &Prepared, claim: &Claim) -> Result<Option<serde_json::Value>> {
    let arguments: Vec<Value> = claim.arguments.iter().map(|text| Value::text(text.as_str())).collect();
    let mut rows = Rows::new();
    session.call(prepared, &arguments, &mut rows)?;
    // What a function that gives nothing gives is an empty text.
    let texts = rows.iter().filter_map(|row| row.first()?.as_str()).filter(|text| !text.is_empty());
    let read = |text: &str| {
        serde_json::from_str(text)
            .map_err(|error| SqlError::internal(format!("a result that is no JSON: {error}")))
    };
    let mut given = texts.map(read).collect::<Result<Vec<serde_json::Value>>>()?;
    Ok(if given.len() > 1 { Some(given.into()) } else { given.pop() })
}

/// Prepares a call whose arguments are texts, read as the parameters' types are.
fn prepare(session: &mut Session, program: &str, count: usize) -> Result<Prepared> {
    let (schema, function) = program.split_once('.').unwrap_or(("public", program));
    let name = format!("{}.{}", quoted(schema), quoted(function));
    let plain: Vec<String> = (1..=count).map(|number| format!("${number}")).collect();
    let plain = plain.join(", ");
    let (found, is_procedure) = match session.prepare(&format!("SELECT {name}({plain})"), &[]) {
        Err(error) if error.sqlstate() == sqlstate::WRONG_OBJECT_TYPE => {
            (session.prepare(&format!("CALL {name}({plain})"), &[])?, true)
        }
        found => (found?, false),
    };
    let mut read = Vec::new();
    for (number, ty) in (1..).zip(found.parameters()) {
        let named = session.query(&format!("SELECT format_type({}, NULL)", ty.0), &[])?;
        let named = named.get(0, 0).and_then(Value::as_str).unwrap_or("text").to_owned();
        read.push(format!("${number}::text::{named}"));
    }
    let call = format!("{name}({})", read.join(", "));
    let text = match found.columns() {
        _ if is_procedure => format!("CALL {call}"),
        [OutputColumn { ty, .. }] if *ty == VOID => format!("SELECT {call}"),
        _ => format!("SELECT to_jsonb({call})::text"),
    };
    session.prepare(&text, &[])
}

/// A name as SQL reads it, whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What a task asks for that no function has.
fn not_for_sql(claim: &Claim) -> Option<String> {
    let is_empty = |list: &serde_json::Value| list.as_array().is_none_or(Vec::is_empty);
    if !is_empty(&claim.inputs) || !is_empty(&claim.outputs) {
        return Some(
            "a task of kind \"sql\" has no inputs or outputs: it reads and writes tables".to_owned(),
        );
    }
    let parts: Vec<&str> = claim.program.split('.').collect();
    let is_name = parts.len() <= 2 && parts.iter().all(|part| !part.is_empty());
    (!is_name).then(|| format!("\"{}\" is not the name of a function: name or schema.name", claim.program))
}

/// Why it was ended before its end.
fn ended(ground: &Ground, begun: &Begun<'_>) -> Verdict {
    let ending = ground.context.room.ending(begun.claim.task);
    ending.map_or(Verdict::Returned, |ending| ending.verdict(Usage::default()))
}

fn failed(error: String, may_retry: bool) -> Verdict {
    Verdict::Failed(Failure { may_retry, ..Failure::of(error, Usage::default()) })
}

/// What its own error means; what is wrong with the call itself is so at the next attempt too.
fn of_task(claim: &Claim, error: &SqlError) -> Verdict {
    let limit = claim.timeout_ms.filter(|_| error.sqlstate() == sqlstate::QUERY_CANCELED);
    if let Some(limit) = limit {
        return failed(format!("it ran longer than its {limit} ms: raise `timeout`"), true);
    }
    let state = error.sqlstate();
    let may_retry = !["42", "22", "0A", "3F", "TX"].iter().any(|class| state.as_str().starts_with(class));
    failed(format!("SQLSTATE {state}: {}", text_of(error)), may_retry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_whatever_is_in_them() {
        assert_eq!(quoted("a"), "\"a\"");
        assert_eq!(quoted("a\"; DROP TABLE x"), "\"a\"\"; DROP TABLE x\"");
    }
}
