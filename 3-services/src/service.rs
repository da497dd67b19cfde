//! A service's SQL, as it is installed.

/// A service: its folder's texts.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its folder's name.
    pub name: &'static str,
    /// The version of its tables.
    pub version: i32,
    /// Makes its tables; may run again.
    pub schema: &'static str,
    /// What brings tables of an older version to the one named; each runs once, in this order.
    pub upgrades: &'static [(i32, &'static str)],
    /// Its procedures in the order in which they are made: name and text.
    pub procedures: &'static [(&'static str, &'static str)],
    /// Tells Citus which procedures stay in one bucket.
    pub distribute: &'static str,
    /// A query of two columns, name and detail: a row for everything that is wrong.
    pub invariants: &'static str,
}

/// The services, each after those that it uses.
pub const SERVICES: &[Service] =
    &[crate::os::SERVICE, crate::scheduler::SERVICE, crate::ipc::SERVICE, crate::fs::SERVICE];

/// A [`Service`] from its folder.
macro_rules! service {
    ($folder:literal, $version:literal, [$($procedure:literal),* $(,)?]) => {
        $crate::service::Service {
            name: $folder,
            version: $version,
            schema: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/schema.sql")),
            upgrades: &[],
            procedures: &[
                $(($procedure, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/procedures/", $procedure, ".sql"))),)*
            ],
            distribute: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/distribute.sql")),
            invariants: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/invariants.sql")),
        }
    };
}
pub(crate) use service;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    #[test]
    fn every_procedure_file_is_installed() {
        for service in SERVICES {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(service.name).join("procedures");
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            let mut listed: Vec<&str> = service.procedures.iter().map(|(name, _)| *name).collect();
            files.sort();
            listed.sort_unstable();
            assert_eq!(files, listed, "{}", service.name);
        }
    }

    /// A procedure file makes the procedure that it is named after.
    #[test]
    fn procedure_files_say_what_they_make() {
        for (name, text) in SERVICES.iter().flat_map(|service| service.procedures) {
            assert!(text.contains(&format!("CREATE OR REPLACE FUNCTION os.{name}(")), "{name}");
        }
    }

    /// The portable shape: a statement on a distributed table names its bucket, a LIMIT has an order.
    #[test]
    fn procedures_keep_the_portable_shape() {
        let schemas: String = SERVICES.iter().map(|service| service.schema).collect();
        let tables: Vec<&str> = schemas
            .split("create_distributed_table('")
            .skip(1)
            .map(|rest| rest.split('\'').next().unwrap())
            .collect();
        assert!(tables.contains(&"os.task") && tables.len() > 10, "{tables:?}");
        for (name, text) in SERVICES.iter().flat_map(|service| service.procedures) {
            let code: String = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
            for statement in code.split(';') {
                let reads = tables.iter().any(|table| {
                    ["FROM ", "UPDATE ", "JOIN "]
                        .iter()
                        .any(|verb| statement.contains(&format!("{verb}{table} ")))
                });
                assert!(!reads || statement.contains("p_key"), "{name} names no bucket: {statement}");
                assert!(
                    !statement.contains("LIMIT") || statement.contains("ORDER BY"),
                    "{name} takes any rows: {statement}"
                );
                for word in ["MERGE ", "TRIGGER", "serial", "SKIP LOCKED", "CURSOR"] {
                    assert!(!statement.contains(word), "{name} says {word}");
                }
            }
        }
    }

    /// What is delegated by its first argument has it.
    #[test]
    fn delegated_procedures_take_the_bucket_first() {
        for service in SERVICES {
            for line in service.distribute.lines().filter(|line| line.starts_with("SELECT")) {
                let name = line.split("'os.").nth(1).unwrap().split('(').next().unwrap();
                let (_, text) = service.procedures.iter().find(|(procedure, _)| *procedure == name).unwrap();
                let head = text.split(&format!("FUNCTION os.{name}(")).nth(1).unwrap().trim_start();
                assert!(head.starts_with("p int"), "{name}");
            }
        }
    }
}
