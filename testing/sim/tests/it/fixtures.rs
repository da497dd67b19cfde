//! Data directories of released formats: today's build reads each row by row, by every way that its files allow, and says by name what is
//! wrong with each kind of damage.

use std::path::{Path, PathBuf};

use tuplix::{SqlError, Tuplix, sqlstate};
use tuplix_backup::{Scope, Until, backup_to_tar, restore_tar, verify};
use tuplix_log::{SEGMENT_HEADER_BYTES, scan_segment};
use tuplix_machine::{DiskImage, Faults, Machine, Simulation};
use tuplix_sim::fixture::{self, Fixture, answers, answers_of, open, options};

/// The folders of `testing/fixtures`, one for each format.
fn folders() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let entries = std::fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

fn newest() -> Fixture {
    fixture::read(folders().last().unwrap()).unwrap()
}

/// Files of a folder of the data directory, in order.
fn files(disk: &DiskImage, folder: &str) -> Vec<String> {
    let start = format!("{}/{folder}/", fixture::DATA);
    disk.paths().into_iter().filter(|path| path.starts_with(&start)).map(str::to_owned).collect()
}

fn first_difference(found: &str, expected: &str) -> String {
    let mut about = "";
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        if expected.starts_with("> ") {
            about = expected;
        }
        if found != expected {
            return format!("line {}: {about}\nfound    {found}\nexpected {expected}", number + 1);
        }
    }
    format!("{} lines and {} expected", found.lines().count(), expected.lines().count())
}

#[track_caller]
fn assert_answers(what: &str, found: &str, expected: &str) {
    assert!(found == expected, "{what}: {}", first_difference(found, expected));
}

/// By the newest checkpoint and the log after it, by the older one, and by the log alone: the same rows.
#[test]
fn every_format_is_read_row_by_row() {
    for folder in folders() {
        let Fixture { disk, look, expected } = fixture::read(&folder).unwrap();
        let checkpoints = files(&disk, "checkpoint");
        assert_eq!(checkpoints.len(), 2, "{}", folder.display());
        let mut left = disk.clone();
        for without in 0..=checkpoints.len() {
            let found = answers_of(left.clone(), look.clone()).unwrap();
            let what = format!("{}, without {without} checkpoints", folder.display());
            assert_answers(&what, &found, &expected);
            if let Some(newest) = files(&left, "checkpoint").last() {
                left.remove(newest);
            }
        }
    }
}

/// On a real disk, with the checks, a backup and a restore of it, and once more after a checkpoint by today's build.
#[test]
fn every_format_lives_on() {
    for folder in folders() {
        let Fixture { disk, look, expected } = fixture::read(&folder).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join(fixture::DATA);
        for path in disk.paths() {
            let to = scratch.path().join(path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(to, disk.file(path).unwrap()).unwrap();
        }
        let machine = Machine::linux();
        let from = machine.disk(data.to_str().unwrap());
        assert_eq!(verify(&machine, &from).unwrap().findings, Vec::<String>::new());
        let mut tar = Vec::new();
        backup_to_tar(&machine, &from, &mut tar, Scope::Kept).unwrap();
        let restored = scratch.path().join("restored");
        std::fs::create_dir(&restored).unwrap();
        let to = machine.disk(restored.to_str().unwrap());
        restore_tar(&machine, &tar[..], &to, Until::End).unwrap();
        // Opened and written anew, as an upgrade does.
        let node = Tuplix::open_with(&options(None, &restored)).unwrap();
        node.checkpoint().unwrap();
        node.close().unwrap();
        drop(node);
        for directory in [&data, &restored] {
            let node = Tuplix::open_with(&options(None, directory)).unwrap();
            let mut session = node.session(&Default::default()).unwrap();
            let checked = tuplix::check::check(&mut session, true).unwrap();
            assert_eq!(checked.findings, []);
            assert!(checked.indexes >= 10 && checked.constraints >= 15, "{checked:?}");
            assert_answers(&directory.display().to_string(), &answers(&mut session, &look), &expected);
            drop(session);
            node.close().unwrap();
        }
    }
}

/// What a start says of a disk: which checkpoints it passed over and what it cut, or why it ended. A start that ends changes nothing.
fn start(disk: &DiskImage) -> Result<(Vec<String>, Option<String>), SqlError> {
    let outcome = Simulation::new(3, Faults::none()).with_disk(disk.clone()).run(|machine| {
        let node = open(&machine)?;
        let report = node.recovery_report();
        node.close()?;
        Ok((report.damaged, report.cut.map(|cut| cut.to_string())))
    });
    let said = outcome.value.unwrap();
    if said.is_err() {
        let mut after = outcome.disk;
        after.remove(&format!("{}/lock", fixture::DATA));
        let changed: Vec<&str> = disk
            .paths()
            .into_iter()
            .chain(after.paths())
            .filter(|path| disk.file(path) != after.file(path))
            .collect();
        assert!(changed.is_empty(), "a start that ended changed {changed:?}");
    }
    said
}

fn change(disk: &DiskImage, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> DiskImage {
    let mut disk = disk.clone();
    change(disk.file_mut(path).unwrap());
    disk
}

/// Without a file, or with it under another name.
fn moved(disk: &DiskImage, path: &str, to: Option<&str>) -> DiskImage {
    let mut disk = disk.clone();
    let bytes = disk.remove(path).unwrap();
    if let Some(to) = to {
        disk.insert(to, bytes);
    }
    disk
}

/// Puts the checksum of a segment's or checkpoint's header right again.
fn mend_header(bytes: &mut [u8]) {
    let sum = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&sum.to_le_bytes());
}

/// A file of another node, or of a later format.
#[track_caller]
fn of_others_is_refused(disk: &DiskImage, path: &str) {
    let with = |at: usize, value: u8| {
        change(disk, path, |bytes| {
            bytes[at] = value;
            mend_header(bytes);
        })
    };
    let other = !disk.file(path).unwrap()[16];
    refused(&with(16, other), sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, &[name(path), "node"]);
    refused(&with(8, 99), sqlstate::FEATURE_NOT_SUPPORTED, &[name(path), "format version 99"]);
}

#[track_caller]
fn refused(disk: &DiskImage, state: sqlstate::SqlState, parts: &[&str]) {
    let error = start(disk).expect_err("the start did not end");
    assert_eq!(error.sqlstate(), state, "{error:?}");
    let said = format!("{error} {:?}", error.fields());
    for part in parts {
        assert!(said.contains(part), "\"{part}\" is not in {said}");
    }
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').unwrap().1
}

#[test]
fn damage_of_the_log_is_named() {
    let Fixture { disk, look, expected } = newest();
    let segments = files(&disk, "log");
    assert!(segments.len() >= 5, "{segments:?}");
    // The newest checkpoint needs the last segments only: without checkpoints all are read.
    let mut log_alone = disk.clone();
    files(&disk, "checkpoint").iter().for_each(|path| drop(log_alone.remove(path)));
    let middle = &segments[segments.len() / 2];

    let flipped = change(&log_alone, middle, |bytes| {
        let at = SEGMENT_HEADER_BYTES as usize + 200;
        bytes[at] ^= 0x10;
    });
    refused(&flipped, sqlstate::DATA_CORRUPTED, &[name(middle), "at byte ", "tuplix restore"]);
    // A start that does not need the segment does not see it; the checks do.
    let only_checked = change(&disk, &segments[0], |bytes| bytes[SEGMENT_HEADER_BYTES as usize + 200] ^= 1);
    assert_eq!(start(&only_checked).unwrap(), (vec![], None));
    let outcome = Simulation::new(1, Faults::none())
        .with_disk(only_checked)
        .run(|machine| verify(&machine, &machine.disk(fixture::DATA)).unwrap().findings);
    let findings = outcome.value.unwrap();
    assert!(findings.len() == 1 && findings[0].contains(name(&segments[0])), "{findings:?}");

    let header = change(&log_alone, middle, |bytes| bytes[30] ^= 1);
    refused(&header, sqlstate::DATA_CORRUPTED, &[name(middle), "at byte 0", "header"]);

    let missing = moved(&log_alone, middle, None);
    let parts = ["continues after epoch", "A segment was removed", "tuplix restore"];
    refused(&missing, sqlstate::DATA_CORRUPTED, &parts);
    let renamed = format!("{}/log/00000000000000999999.log", fixture::DATA);
    refused(&moved(&log_alone, middle, Some(&renamed)), sqlstate::DATA_CORRUPTED, &parts);
    let mut none = disk.clone();
    segments.iter().for_each(|path| drop(none.remove(path)));
    refused(&none, sqlstate::DATA_CORRUPTED, &["the log is missing", "tuplix restore"]);

    of_others_is_refused(&log_alone, middle);
    // Putting it right again is all that is needed.
    assert_answers("the log alone", &answers_of(log_alone, look).unwrap(), &expected);
}

/// Wherever the last epoch is cut or damaged, it alone is gone, and the start says so.
#[test]
fn a_torn_tail_is_cut_to_the_epoch() {
    let Fixture { disk, expected, .. } = newest();
    let last = files(&disk, "log").into_iter().rfind(|path| {
        let scan = scan_segment(disk.file(path).unwrap(), path).unwrap();
        scan.is_some_and(|scan| scan.epochs.len() > 1)
    });
    let last = last.unwrap();
    let scan = scan_segment(disk.file(&last).unwrap(), &last).unwrap().unwrap();
    let [.., before, end] = &scan.epochs[..] else { panic!("{scan:?}") };
    let (begins, ends) = (before.end as usize, end.end as usize);
    assert!(expected.contains("> SELECT t::text FROM emptied t ORDER BY a\n(7)\n(8)\n(9)\n"));
    let look = vec!["SELECT t::text FROM emptied t ORDER BY a".to_owned()];
    for cut in [begins + 1, begins + 56, (begins + ends) / 2, ends - 1] {
        let torn = change(&disk, &last, |bytes| bytes.truncate(cut));
        let zeroed = change(&disk, &last, |bytes| bytes[cut..].fill(0));
        let flipped = change(&disk, &last, |bytes| bytes[cut - 1] ^= 1);
        for (what, damaged) in [("cut", torn), ("zeros from", zeroed), ("a bit flipped before", flipped)] {
            if damaged == disk {
                // The last byte of the epoch's number is zero as it is.
                continue;
            }
            let (passed_over, said) = start(&damaged).unwrap();
            assert_eq!(passed_over, Vec::<String>::new());
            let said = said.unwrap_or_else(|| panic!("{what} byte {cut} was not noticed"));
            assert!(said.contains(name(&last)) && said.contains(&format!("at byte {begins} ")), "{said}");
            let found = answers_of(damaged, look.clone()).unwrap();
            assert_eq!(found, format!("> {}\n(7)\n(8)\n", look[0]), "{what} byte {cut}");
        }
    }
}

#[test]
fn damage_of_checkpoints_is_named_and_passed_over() {
    let Fixture { disk, look, expected } = newest();
    let checkpoints = files(&disk, "checkpoint");
    let [older, newer] = &checkpoints[..] else { panic!("{checkpoints:?}") };
    let flip = |disk: &DiskImage, path: &str| {
        let middle = disk.file(path).unwrap().len() / 2;
        change(disk, path, |bytes| bytes[middle] ^= 4)
    };
    let one = flip(&disk, newer);
    let both = flip(&one, older);
    let cut = change(&disk, newer, |bytes| bytes.truncate(bytes.len() - 8));
    for (damaged, count) in [(&one, 1), (&cut, 1), (&both, 2)] {
        let (said, _) = start(damaged).unwrap();
        assert_eq!(said.len(), count, "{said:?}");
        assert!(said[0].contains(name(newer)) && said[0].contains("is damaged at byte"), "{said:?}");
        assert_answers("passed over", &answers_of(damaged.clone(), look.clone()).unwrap(), &expected);
    }
    // Where the log does not reach back far enough, passing over would lose rows.
    let segments = files(&disk, "log");
    let without_log = moved(&both, &segments[0], None);
    refused(
        &without_log,
        sqlstate::DATA_CORRUPTED,
        &["The newest checkpoint could not be used", name(newer)],
    );

    of_others_is_refused(&disk, newer);
}

/// Tables of which rows lie in segments of history.
const SPOOLED: [&str; 3] = ["past", "shop.visit", "left_over"];

/// What is said to who counts the rows of each of these, and of a table that has no such rows.
fn counts(disk: &DiskImage) -> (Vec<Result<i64, SqlError>>, i64) {
    let outcome = Simulation::new(4, Faults::none()).with_disk(disk.clone()).run(|machine| {
        let node = open(&machine)?;
        let mut session = node.session(&Default::default())?;
        let mut count = |table: &str| {
            let rows = session
                .query(&format!("SELECT count(*) FROM {table} t WHERE t IS NOT NULL OR t IS NULL"), &[])?;
            Ok(rows.get(0, 0).and_then(tuplix::Value::as_i64).unwrap_or(-1))
        };
        let spooled = SPOOLED.iter().map(|table| count(table)).collect();
        let other = count("every_type")?;
        node.checkpoint()?;
        node.close()?;
        Ok::<_, SqlError>((spooled, other))
    });
    outcome.value.unwrap().unwrap()
}

/// A segment of history that is damaged, gone, or not this node's fails those who read its rows, with its name and what is wrong; all others
/// are served, and checkpoints are made.
#[test]
fn damage_of_history_is_named() {
    let Fixture { disk, .. } = newest();
    let (intact, other) = counts(&disk);
    let intact: Vec<i64> = intact.into_iter().map(Result::unwrap).collect();
    let mut read = 0;
    for path in files(&disk, "history") {
        let with = |at: usize, value: u8| {
            change(&disk, &path, |bytes| {
                bytes[at] = value;
                mend_header(bytes);
            })
        };
        let byte = |at: usize| disk.file(&path).unwrap()[at];
        let cases = [
            (change(&disk, &path, |bytes| bytes[64 + 24 + 10] ^= 4), sqlstate::DATA_CORRUPTED, "at byte 64"),
            (change(&disk, &path, |bytes| bytes[30] ^= 1), sqlstate::DATA_CORRUPTED, "at byte 0"),
            (
                change(&disk, &path, |bytes| bytes.truncate(bytes.len() - 1)),
                sqlstate::DATA_CORRUPTED,
                "its end",
            ),
            (moved(&disk, &path, None), sqlstate::IO_ERROR, "could not open"),
            (with(16, !byte(16)), sqlstate::DATA_CORRUPTED, "another node's"),
            (with(8, 99), sqlstate::FEATURE_NOT_SUPPORTED, "format version 99"),
        ];
        for (damaged, state, part) in cases {
            let (said, served) = counts(&damaged);
            assert_eq!(served, other, "{path}: {part}");
            for (said, count) in said.into_iter().zip(&intact) {
                match said {
                    Ok(rows) => assert_eq!(rows, *count, "{path}: {part}"),
                    Err(error) => {
                        assert_eq!(error.sqlstate(), state, "{error:?}");
                        assert!(
                            error.message().contains(name(&path)) && error.message().contains(part),
                            "{error}"
                        );
                        read += 1;
                    }
                }
            }
        }
    }
    // Segments that only the older checkpoint refers to are nobody's.
    assert!(read >= 6 * 4, "{read} damaged segments were noticed");
}

#[test]
fn a_directory_of_another_format_or_without_its_name_is_refused() {
    let Fixture { disk, .. } = newest();
    let identity = format!("{}/node.json", fixture::DATA);
    let text = String::from_utf8(disk.file(&identity).unwrap().to_vec()).unwrap();
    let with = |text: &str| change(&disk, &identity, |bytes| *bytes = text.as_bytes().to_vec());
    let later = with(&text.replace("\"version\":1", "\"version\":99"));
    refused(&later, sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, &["format version 99", "reads version 1"]);
    refused(&with("{"), sqlstate::DATA_CORRUPTED, &["node.json", "is damaged", "tuplix restore"]);
    // Log and checkpoints without the file that says whose they are.
    let nameless = moved(&disk, &identity, None);
    let parts = ["neither empty nor a Tuplix data directory", "node.json"];
    refused(&nameless, sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, &parts);
}
