//! Installing the services, and upgrading them.
//!
//! `os.version` says what is installed. Tables are made once; procedures are replaced whenever their text is another one.
//! On PostgreSQL a service's tables are made in one transaction with their row of `os.version`. The embedded engine makes
//! each table by itself, so the texts may run again after a crash in the middle.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tuplix::{Result, Session, SqlError, Value, sqlstate};

use crate::service::{SERVICES, Service};

/// What [`install`] found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// Services whose tables were made.
    pub created: Vec<&'static str>,
    /// Services whose procedures were made or replaced.
    pub replaced: Vec<&'static str>,
}

/// Installs the services, upgrades those of an older version, leaves the others alone. Every start of a node calls it.
///
/// # Errors
/// 55000 when a newer Tuplix installed them; what the database finds otherwise.
pub fn install(session: &mut Session) -> Result<Installed> {
    // Nodes that start side by side on one PostgreSQL take turns. An embedded engine has one node, and no such lock.
    let locked = match session.query("SELECT pg_advisory_lock(7300, 0)", &[]) {
        Ok(_) => true,
        Err(error) if error.sqlstate() == sqlstate::FEATURE_NOT_SUPPORTED => false,
        Err(error) => return Err(error),
    };
    let installed = install_locked(session);
    if locked {
        session.query("SELECT pg_advisory_unlock(7300, 0)", &[])?;
    }
    installed
}

fn install_locked(session: &mut Session) -> Result<Installed> {
    let found = versions(session)?;
    let mut installed = Installed::default();
    for service in SERVICES {
        if let Some((_, version, _)) = found.iter().find(|(name, ..)| name == service.name)
            && *version > i64::from(service.version)
        {
            return Err(newer(service, *version));
        }
    }
    for service in SERVICES {
        let found = found.iter().find(|(name, ..)| name == service.name);
        if found.is_none() {
            create(session, service)?;
            installed.created.push(service.name);
        }
    }
    for service in SERVICES {
        let fingerprint = fingerprint(service);
        let found = found.iter().find(|(name, ..)| name == service.name);
        if found.is_none_or(|(.., procedures)| *procedures != fingerprint) {
            for (_, text) in service.procedures {
                session.execute(text)?;
            }
            session.execute(service.distribute)?;
            session.query(
                "UPDATE os.version SET procedures = $1, installed_at = now() WHERE service = $2",
                &[Value::text(fingerprint), Value::text(service.name)],
            )?;
            installed.replaced.push(service.name);
        }
    }
    Ok(installed)
}

/// Service, version and fingerprint of what is installed; nothing in an empty database.
fn versions(session: &mut Session) -> Result<Vec<(String, i64, String)>> {
    let rows = match session.query("SELECT service, version, procedures FROM os.version", &[]) {
        Ok(rows) => rows,
        Err(error)
            if [sqlstate::UNDEFINED_TABLE, sqlstate::INVALID_SCHEMA_NAME].contains(&error.sqlstate()) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let read = |row: &[Value]| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&row[0]), row[1].as_i64().unwrap_or_default(), text(&row[2]))
    };
    Ok(rows.iter().map(read).collect())
}

fn newer(service: &Service, version: i64) -> SqlError {
    let message = format!(
        "the tables of service {} have version {version}, this Tuplix knows version {}",
        service.name, service.version
    );
    SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .hint("Start the newer Tuplix that wrote them; a version is never taken back.")
}

/// Makes a service's tables and notes their version.
fn create(session: &mut Session, service: &Service) -> Result<()> {
    let text = format!(
        "{}\nINSERT INTO os.version (service, version, procedures) VALUES ('{}', {}, '') ON CONFLICT DO NOTHING",
        service.schema, service.name, service.version
    );
    // One text to PostgreSQL, a statement at a time to the embedded engine.
    for statement in session.parse(&text)? {
        match session.execute(statement.text()) {
            // The start before this one came no further.
            Err(error)
                if error.sqlstate() == sqlstate::INVALID_TABLE_DEFINITION
                    && distributes(statement.text()) => {}
            done => drop(done?),
        }
    }
    session.take_notices();
    Ok(())
}

fn distributes(statement: &str) -> bool {
    statement.lines().any(|line| line.starts_with("SELECT create_"))
}

/// Names a service's procedures as they are: another text, another name.
fn fingerprint(service: &Service) -> String {
    let mut hash = Sha256::new();
    for (name, text) in service.procedures {
        hash.update(name);
        hash.update([0]);
        hash.update(text);
        hash.update([0]);
    }
    hash.update(service.distribute);
    let mut text = String::new();
    for byte in &hash.finalize()[..16] {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
