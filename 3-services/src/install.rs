//! Installing the services, and upgrading them.
//!
//! `os.version` says what is installed. Tables are made once; procedures are replaced whenever their text is another one.
//! On PostgreSQL a service's tables are made in one transaction with their row of `os.version`. The embedded engine makes
//! each table by itself, so the texts may run again after a crash in the middle.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tuplix::{Result, Session, SqlError, Value, sqlstate};

use crate::service::{SERVICES, Service};

const VERSIONS: &str = include_str!("../os/versions.sql");
const NOTE_PROCEDURES: &str = include_str!("../os/note_procedures.sql");
const PLACE_BUCKETS: &str = include_str!("../os/place_buckets.sql");

/// What [`install`] found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// Services whose tables were made.
    pub created: Vec<&'static str>,
    /// Services whose tables had an older version.
    pub upgraded: Vec<&'static str>,
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
    let installed = install_services(session, SERVICES);
    if locked {
        session.query("SELECT pg_advisory_unlock(7300, 0)", &[])?;
    }
    installed
}

fn install_services(session: &mut Session, services: &[Service]) -> Result<Installed> {
    let found = versions(session)?;
    let mut installed = Installed::default();
    for service in services {
        if let Some((_, version, _)) = found.iter().find(|(name, ..)| name == service.name)
            && *version > i64::from(service.version)
        {
            return Err(newer(service, *version));
        }
    }
    for service in services {
        let found = found.iter().find(|(name, ..)| name == service.name);
        match found {
            None => {
                create(session, service)?;
                installed.created.push(service.name);
            }
            Some((_, version, _)) if *version < i64::from(service.version) => {
                upgrade(session, service, *version)?;
                installed.upgraded.push(service.name);
            }
            Some(_) => {}
        }
    }
    for service in services {
        let fingerprint = fingerprint(service);
        let found = found.iter().find(|(name, ..)| name == service.name);
        if found.is_none_or(|(.., procedures)| *procedures != fingerprint) {
            for (_, text) in service.procedures {
                session.execute(text)?;
            }
            run(session, service.views)?;
            session.execute(service.distribute)?;
            session.query(NOTE_PROCEDURES, &[Value::text(fingerprint), Value::text(service.name)])?;
            installed.replaced.push(service.name);
        }
    }
    place_buckets(session)?;
    Ok(installed)
}

/// Makes `os.partition_map` true on the embedded engine. PostgreSQL has no such table to take it from, and one partition.
fn place_buckets(session: &mut Session) -> Result<()> {
    match session.query(PLACE_BUCKETS, &[]) {
        Err(error) if error.sqlstate() != sqlstate::UNDEFINED_TABLE => Err(error),
        _ => Ok(()),
    }
}

/// Service, version and fingerprint of what is installed; nothing in an empty database.
fn versions(session: &mut Session) -> Result<Vec<(String, i64, String)>> {
    let rows = match session.query(VERSIONS, &[]) {
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

/// Makes a service's tables as version 1 had them, notes that, and brings them to the newest: one way for new and old databases.
fn create(session: &mut Session, service: &Service) -> Result<()> {
    let text = format!(
        "{}\nINSERT INTO os.version (service, version, procedures) VALUES ('{}', 1, '') ON CONFLICT DO NOTHING",
        service.schema, service.name
    );
    run(session, &text)?;
    upgrade(session, service, 1)
}

/// Brings a service's tables from a version to the newest, step by step.
fn upgrade(session: &mut Session, service: &Service, from: i64) -> Result<()> {
    for (version, text) in service.upgrades.iter().filter(|(version, _)| i64::from(*version) > from) {
        let name = service.name;
        run(
            session,
            &format!("{text};\nUPDATE os.version SET version = {version} WHERE service = '{name}'"),
        )?;
    }
    Ok(())
}

/// Runs a text that makes tables: in one piece on PostgreSQL, a statement at a time on the embedded engine.
fn run(session: &mut Session, text: &str) -> Result<()> {
    for statement in session.parse(text)? {
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
    hash.update(service.views);
    hash.update(service.distribute);
    let mut text = String::new();
    for byte in &hash.finalize()[..16] {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tuplix::Tuplix;

    use super::*;

    #[test]
    fn the_map_says_where_buckets_lie() {
        let options = tuplix::Options { partitions: 4, ..Default::default() };
        let node = Tuplix::open_with(&options).unwrap();
        let mut session = node.session(&Default::default()).unwrap();
        install(&mut session).unwrap();
        let map = "SELECT partition, count(*) FROM os.partition_map GROUP BY 1 ORDER BY 1";
        let rows = session.query(map, &[]).unwrap();
        let counts: Vec<_> = rows.iter().map(|row| (row[0].as_i64(), row[1].as_i64())).collect();
        assert_eq!(counts, (0..4).map(|partition| (Some(partition), Some(16))).collect::<Vec<_>>());
    }

    #[test]
    fn older_tables_are_upgraded_step_by_step() {
        let node = Tuplix::open_with(&Default::default()).unwrap();
        let mut session = node.session(&Default::default()).unwrap();
        install(&mut session).unwrap();
        let steps = &[
            (1, "this was done when the tables were made"),
            (2, "CREATE TABLE os.step (number int)"),
            (3, "INSERT INTO os.step VALUES (3)"),
        ];
        let newer = Service { version: 3, upgrades: steps, ..crate::os::SERVICE };
        let installed = install_services(&mut session, &[newer]).unwrap();
        assert_eq!(installed, Installed { upgraded: vec!["os"], ..Installed::default() });
        assert_eq!(session.query("SELECT number FROM os.step", &[]).unwrap().len(), 1);
        assert_eq!(install_services(&mut session, &[newer]).unwrap(), Installed::default());
        assert_eq!(install(&mut session).unwrap_err().sqlstate().as_str(), "55000");
    }
}
