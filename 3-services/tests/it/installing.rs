//! Installing, again, after a crash in the middle, and over a newer version.

use tuplix_services::{Installed, SERVICES, check, errors, install, os};

use crate::engines::{bare, both, refused, rows};

fn names() -> Vec<&'static str> {
    SERVICES.iter().map(|service| service.name).collect()
}

#[test]
fn a_second_install_changes_nothing() {
    bare(|engine| {
        let mut session = engine.session();
        assert_eq!(
            install(&mut session).unwrap(),
            Installed { created: names(), replaced: names(), ..Installed::default() }
        );
        assert_eq!(install(&mut session).unwrap(), Installed::default());
        assert_eq!(check(&mut session).unwrap(), []);
        drop(session);
        engine.reopen();
        let mut session = engine.session();
        assert_eq!(install(&mut session).unwrap(), Installed::default());
        assert_eq!(check(&mut session).unwrap(), []);
    });
}

#[test]
fn changed_procedures_are_replaced() {
    both(|_, session| {
        session.execute("UPDATE os.version SET procedures = 'older' WHERE service = 'ipc'").unwrap();
        assert_eq!(install(session).unwrap(), Installed { replaced: vec!["ipc"], ..Installed::default() });
    });
}

#[test]
fn an_install_that_was_cut_off_is_completed() {
    both(|_, session| {
        // What the embedded engine may show after a crash: tables without their row of os.version.
        if rows(session, "SELECT version()")[0].contains("Tuplix") {
            session.execute("DELETE FROM os.version WHERE service = 'scheduler'").unwrap();
            let installed = install(session).unwrap();
            let again = vec!["scheduler"];
            assert_eq!(
                installed,
                Installed { created: again.clone(), replaced: again, ..Installed::default() }
            );
        }
    });
}

#[test]
fn a_newer_version_is_refused() {
    both(|_, session| {
        session.execute("UPDATE os.version SET version = 99 WHERE service = 'scheduler'").unwrap();
        let state = tuplix::SqlState::parse("55000").unwrap();
        let error = refused(install(session), state);
        assert!(error.message().contains("service scheduler have version 99"), "{error}");
    });
}

#[test]
fn sql_and_rust_agree_on_buckets_and_addresses() {
    both(|_, session| {
        for name in ["alice", "bob", "ä ö", "x.y/z", "4611690003926464043", "123", "00", ""] {
            let quoted = name.replace('\'', "''");
            let sql = format!("SELECT os.bucket('{quoted}'::text), os.address('{quoted}')");
            let bucket = tuplix_services::Bucket::of_name(name);
            let address = tuplix_services::ReceiverId::of_name(name);
            assert_eq!(rows(session, &sql), [format!("{bucket}|{address}")], "{name}");
        }
    });
}

#[test]
fn a_setting_that_nothing_reads_is_refused() {
    both(|_, session| {
        let error = refused(os::set(session, "ipc.mesages_max", 1), errors::UNKNOWN_SETTING);
        assert!(error.message().contains("ipc.mesages_max"), "{error}");
        os::set(session, "ipc.messages_max", 1).unwrap();
        os::set(session, "ipc.messages_max", 2).unwrap();
        session.execute("INSERT INTO os.setting VALUES ('mine.x', 1, 'for a policy of my own')").unwrap();
        os::set(session, "mine.x", 3).unwrap();
        assert_eq!(
            rows(session, "SELECT name, value FROM os.setting ORDER BY name"),
            ["ipc.messages_max|2", "mine.x|3"]
        );
    });
}

#[test]
fn every_sqlstate_is_documented() {
    let readme = include_str!("../../README.md");
    for state in tuplix_services::errors::ALL {
        assert!(readme.contains(&format!("| {state} |")), "{state} is missing in the README's table");
    }
    for (name, text) in SERVICES.iter().flat_map(|service| service.procedures) {
        for piece in text.split("ERRCODE = '").skip(1) {
            let code = tuplix::SqlState::parse(&piece[..5]).unwrap();
            assert!(
                tuplix_services::errors::ALL.contains(&code),
                "{name} raises {code}, which errors.rs lacks"
            );
        }
    }
}
