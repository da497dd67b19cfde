//! A service's SQL, as it is installed.

/// A service: its folder's texts.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its folder's name.
    pub name: &'static str,
    /// The version of its tables.
    pub version: i32,
    /// Makes its tables as they were in version 1; may run again.
    pub schema: &'static str,
    /// What brings tables of the version before to the one named, new ones too, in this order; each may run again.
    pub upgrades: &'static [(i32, &'static str)],
    /// Its procedures in the order in which they are made: name and text.
    pub procedures: &'static [(&'static str, &'static str)],
    /// Views over its tables, made after the procedures.
    pub views: &'static str,
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
    ($folder:literal, $version:literal, $(upgrades [$($upgrade:literal),*], $views:literal,)? [$($procedure:literal),* $(,)?]) => {
        $crate::service::Service {
            name: $folder,
            version: $version,
            schema: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/schema.sql")),
            upgrades: &[
                $($(($upgrade, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/upgrades/", $upgrade, ".sql"))),)*)?
            ],
            procedures: &[
                $(($procedure, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/procedures/", $procedure, ".sql"))),)*
            ],
            views: concat!($(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/", $views)))?),
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

    /// The version of a service is that of its last upgrade, and none is left out.
    #[test]
    fn every_upgrade_is_installed() {
        for service in SERVICES {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(service.name).join("upgrades");
            let files = std::fs::read_dir(folder).map_or(0, |files| files.count());
            let versions: Vec<i32> = service.upgrades.iter().map(|(version, _)| *version).collect();
            assert_eq!(versions, (2..=service.version).collect::<Vec<_>>(), "{}", service.name);
            assert_eq!(files, versions.len(), "{}", service.name);
        }
    }

    /// A procedure file makes the procedure that it is named after.
    #[test]
    fn procedure_files_say_what_they_make() {
        for (name, text) in SERVICES.iter().flat_map(|service| service.procedures) {
            assert!(text.contains(&format!("CREATE OR REPLACE FUNCTION os.{name}(")), "{name}");
        }
    }

    /// A README's `call(parameters)` can be written with `=>`: these are the parameters' names, in their order.
    #[test]
    fn readmes_name_parameters_as_they_are() {
        let mut calls = 0;
        for service in SERVICES {
            let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join(service.name).join("README.md");
            let readme = std::fs::read_to_string(readme).unwrap();
            let rows = readme.lines().filter(|line| line.starts_with("| `"));
            let cells = rows.map(|line| line.split(" | ").next().unwrap());
            for call in cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
                let Some((name, written)) = call.trim_end_matches(')').split_once('(') else { continue };
                let name = name.trim_start_matches("os.");
                let (_, text) = service.procedures.iter().find(|(procedure, _)| *procedure == name).unwrap();
                let word = |part: &str| part.split_whitespace().next().unwrap_or_default().replace("[]", "");
                let written: Vec<String> = written.split(',').map(word).collect();
                // One of its definitions; parameters left out are at the end, or stand behind "...".
                let fits = text.split(&format!("FUNCTION os.{name}(")).skip(1).any(|head| {
                    let (head, _) =
                        head.split_once(")\nRETURNS").or(head.split_once(") RETURNS")).unwrap_or((head, ""));
                    let names: Vec<String> = head.split(',').map(word).collect();
                    let mut rest = names.iter();
                    written.iter().all(|name| name == "..." || rest.any(|other| other == name))
                });
                assert!(fits, "{}: {call}", service.name);
                calls += 1;
            }
        }
        assert!(calls > 40, "{calls}");
    }

    /// What a procedure reads can be set, and what can be set is read.
    #[test]
    fn settings_are_known() {
        let texts = || SERVICES.iter().flat_map(|service| service.procedures);
        let mut read: Vec<&str> = texts()
            .flat_map(|(_, text)| text.split("os.setting('").skip(1))
            .map(|rest| rest.split('\'').next().unwrap())
            .collect();
        read.sort_unstable();
        read.dedup();
        let (_, text) = texts().find(|(name, _)| *name == "set_setting").unwrap();
        let list = text.split("ARRAY[").nth(1).unwrap().split(']').next().unwrap();
        let known: Vec<&str> = list.split(',').map(|name| name.trim().trim_matches('\'')).collect();
        assert_eq!(read, known);
        for name in known {
            let (service, _) = name.split_once('.').unwrap();
            let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join(service).join("README.md");
            assert!(std::fs::read_to_string(readme).unwrap().contains(&format!("`{name}`")), "{name}");
        }
    }

    /// The portable shape: a statement on a distributed table names its bucket, a LIMIT has an order.
    #[test]
    fn procedures_keep_the_portable_shape() {
        let mut schemas: String = SERVICES.iter().map(|service| service.schema).collect();
        schemas.extend(SERVICES.iter().flat_map(|service| service.upgrades).map(|(_, text)| *text));
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
