//! A node with more segments of history than files that it may have open.

use std::path::Path;

use tuplix::{Durability, Options, Session, Tuplix};

/// Half as many again as are open at once.
const SEGMENTS: i64 = 96;
/// A full chunk.
const ROWS: i64 = 512;

fn open(directory: &Path) -> Tuplix {
    let durability = Durability { spool_chunks: 1, checkpoint_log_bytes: 0, ..Durability::default() };
    Tuplix::open_with(&Options {
        dir: Some(directory.into()),
        partitions: 2,
        durability,
        ..Options::default()
    })
    .unwrap()
}

/// Files of the folder that this process has open.
fn open_files(folder: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let is_inside = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_link(entry.unwrap().path()).is_ok_and(|to| to.starts_with(folder))
    };
    open.filter_map(|entry| is_inside(entry).then_some(())).count()
}

fn all_is_there(session: &mut Session) {
    let rows = session.query("SELECT count(*), sum(a)::bigint FROM past", &[]).unwrap();
    let (count, all) = (rows.row(0)[0].as_i64(), SEGMENTS * ROWS);
    assert_eq!((count, rows.row(0)[1].as_i64()), (Some(all), Some(all * (all + 1) / 2)));
    for number in 0..SEGMENTS {
        let a = number * ROWS + 7;
        let one = session.query(&format!("SELECT a FROM past WHERE a = {a}"), &[]).unwrap();
        assert_eq!(one.row(0)[0].as_i64(), Some(a));
    }
}

#[test]
fn few_of_many_segments_are_open() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().canonicalize().unwrap().join("data");
    let history = directory.join("history");
    let node = open(&directory);
    let mut session = node.session(&Default::default()).unwrap();
    session.execute("CREATE TABLE past (a bigint); SELECT spool_table('past')").unwrap();
    for number in 0..SEGMENTS {
        let (first, last) = (number * ROWS + 1, (number + 1) * ROWS);
        session.execute(&format!("INSERT INTO past SELECT * FROM generate_series({first}, {last})")).unwrap();
        node.checkpoint().unwrap();
    }
    assert_eq!(std::fs::read_dir(&history).unwrap().count() as i64, SEGMENTS);
    all_is_there(&mut session);
    assert!(open_files(&history) <= 64, "{} are open", open_files(&history));
    drop(session);
    node.close().unwrap();
    drop(node);
    assert_eq!(open_files(&history), 0);
    let node = open(&directory);
    all_is_there(&mut node.session(&Default::default()).unwrap());
    assert!(open_files(&history) <= 64, "{} are open", open_files(&history));
    node.close().unwrap();
}
