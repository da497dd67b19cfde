//! `tuplix check` finds what is wrong: indexes damaged in memory, and rows that break constraints, brought about by changing a checkpoint's
//! bytes and putting its checksums right.

use tuplix::check::{Checked, check};
use tuplix::{Machine, Options, Result, SqlError, Tuplix};
use tuplix_machine::{DiskImage, Faults, Simulation};
use tuplix_sim::fuzz::mend_checkpoint;

fn open(machine: &Machine) -> Result<Tuplix> {
    Tuplix::open_with(&Options {
        dir: Some("data".into()),
        partitions: 2,
        buckets: 4,
        machine: Some(machine.clone()),
        ..Options::default()
    })
}

/// Numbers that occur nowhere else in the checkpoint's bytes.
const SCHEMA: &str = "
    CREATE TABLE parent (id int PRIMARY KEY, code int UNIQUE, note text NOT NULL);
    CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, n int CONSTRAINT small CHECK (n < 1000000));
    CREATE TABLE spread (p int, id int, v int, PRIMARY KEY (p, id));
    SELECT create_distributed_table('spread', 'p');
    CREATE INDEX parent_note ON parent (note);
    CREATE INDEX spread_v ON spread (v DESC);
    INSERT INTO parent VALUES (1111111, 2222222, 'a'), (3333333, 4444444, 'b');
    INSERT INTO child VALUES (5555555, 1111111, 777777), (6666666, NULL, NULL);
    INSERT INTO spread SELECT i, i, i FROM generate_series(1, 40) i";

fn image() -> DiskImage {
    let outcome = Simulation::new(1, Faults::none()).run(|machine| {
        let node = open(&machine)?;
        node.session(&Default::default())?.execute(SCHEMA)?;
        node.checkpoint()?;
        node.close()
    });
    outcome.value.unwrap().unwrap();
    outcome.disk
}

/// What the check finds on a disk, after something was done to the node.
fn findings(disk: DiskImage, damage: impl FnOnce(&Tuplix) + Send) -> Vec<String> {
    let outcome = Simulation::new(2, Faults::none()).with_disk(disk).run(|machine| {
        let node = open(&machine)?;
        assert_eq!(node.recovery_report().damaged, Vec::<String>::new());
        damage(&node);
        let Checked { tables, indexes, constraints, findings } =
            check(&mut node.session(&Default::default())?, true)?;
        assert_eq!((tables, indexes), (3, 6));
        assert!(constraints >= 9, "{constraints}");
        Ok::<_, SqlError>(findings.iter().map(ToString::to_string).collect())
    });
    outcome.value.unwrap().unwrap()
}

#[test]
fn indexes_damaged_in_memory_are_named() {
    let disk = image();
    assert_eq!(findings(disk.clone(), |_| ()), Vec::<String>::new());
    // The primary key, a unique one, an ordered one; a fragment of a distributed table.
    let found = findings(disk, |node| {
        assert!(node.forget_in_index("parent", 0, 1, 0));
        assert!(node.forget_in_index("parent", 0, 2, 1));
        assert!((0..4).any(|bucket| node.forget_in_index("spread", bucket, 0, 3)));
        assert!(!node.forget_in_index("parent", 0, 0, 99));
    });
    assert_eq!(
        found,
        [
            "public.parent: the indexes parent_code_key, parent_note do not say what the rows say",
            "public.spread: the indexes spread_pkey do not say what the rows say",
        ]
    );
}

#[test]
fn reindex_mends_an_index() {
    let found = findings(image(), |node| {
        assert!(node.forget_in_index("parent", 0, 1, 0));
        assert!((0..4).any(|bucket| node.forget_in_index("spread", bucket, 0, 3)));
        let mut session = node.session(&Default::default()).unwrap();
        session.execute("REINDEX INDEX parent_code_key; REINDEX TABLE spread").unwrap();
    });
    assert_eq!(found, Vec::<String>::new());
}

/// The disk with some bytes of its checkpoint changed, where they are last in it.
fn changed(disk: &DiskImage, from: &[u8], to: &[u8]) -> DiskImage {
    assert_eq!(from.len(), to.len());
    let mut disk = disk.clone();
    let path = disk.paths().into_iter().rfind(|path| path.contains("/checkpoint/")).unwrap().to_owned();
    let bytes = disk.file_mut(&path).unwrap();
    let last = bytes.windows(from.len()).rposition(|found| found == from);
    let last = last.unwrap_or_else(|| panic!("{from:?} is not in the checkpoint"));
    bytes[last..last + to.len()].copy_from_slice(to);
    mend_checkpoint(bytes);
    disk
}

fn number_changed(disk: &DiskImage, from: i32, to: i32) -> DiskImage {
    changed(disk, &from.to_le_bytes(), &to.to_le_bytes())
}

#[test]
fn rows_that_break_constraints_are_counted() {
    let disk = image();
    for (from, to, wanted) in [
        (777_777, 7_777_777, "public.child: 1 rows break the check small: ((n < 1000000))"),
        (4_444_444, 2_222_222, "public.parent: 1 keys of parent_code_key (code) are there more than once"),
        (3_333_333, 1_111_111, "public.parent: 1 keys of parent_pkey (id) are there more than once"),
        (6_666_666, 5_555_555, "public.child: 1 keys of child_pkey (id) are there more than once"),
    ] {
        assert_eq!(findings(number_changed(&disk, from, to), |_| ()), [wanted], "{from} as {to}");
    }
    // The number of the parent: where it is last in the file is the row that refers to it.
    let dangling = findings(number_changed(&disk, 1_111_111, 9_999_999), |_| ());
    assert_eq!(
        dangling,
        ["public.child: 1 rows refer by child_parent_fkey to rows of public.parent that are not there"]
    );
}

#[test]
fn nulls_that_must_not_be_are_counted() {
    // The column of the parents' notes: no NULL, two lengths, two texts. The first text's byte goes for the bits of NULLs that come.
    let without = b"\x00\x01\0\0\0\x01\0\0\0ab";
    let with = b"\x01\x01\0\0\0\0\x01\0\0\0b";
    let found = findings(changed(&image(), without, with), |_| ());
    assert_eq!(found, ["public.parent: 1 rows have NULL in column note, which is NOT NULL"]);
}
