//! Bytes that nobody wrote: segments of the log, checkpoints and segments of history changed at random, their checksums put right so that what lies behind these is
//! reached, and SQL texts cut and mixed. Whatever comes of it, nothing panics, hangs or answers with an internal error.
//!
//! A seed is a run: the same changes each time. `make fuzz` runs each target for a while, the tests a few hundred cases.

use anyhow::{Result, bail};
use tuplix::{Durability, Machine, Options, Tuplix, sqlstate};
use tuplix_machine::{DiskImage, Faults, Simulation};

use crate::random::Random;

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Segments of the log.
    Log,
    /// Checkpoints.
    Checkpoint,
    /// Segments of history.
    Segment,
    /// SQL texts.
    Sql,
}

/// All of them.
pub const TARGETS: [Target; 4] = [Target::Log, Target::Checkpoint, Target::Segment, Target::Sql];

/// What cases came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Cases run.
    pub cases: u64,
    /// Those in which nothing was found to be wrong: no checkpoint was passed over and no log was cut.
    pub accepted: u64,
}

fn open(machine: &Machine) -> tuplix::Result<Tuplix> {
    Tuplix::open_with(&Options {
        dir: Some("data".into()),
        partitions: 2,
        buckets: 4,
        log_segment_bytes: 16 << 10,
        durability: Durability { checkpoint_log_bytes: 0, spool_chunks: 1, ..Durability::default() },
        machine: Some(machine.clone()),
        ..Options::default()
    })
}

/// Tables, a type, an index and a function to work with.
pub const SCHEMA: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE t (p int, a bigint, b text, c numeric, d jsonb, e mood, f text[], PRIMARY KEY (p, a));
    SELECT create_distributed_table('t', 'p');
    CREATE TABLE u (a serial PRIMARY KEY, b timestamptz DEFAULT now(), c bytea, d double precision, e uuid, f interval);
    CREATE INDEX u_b ON u (b DESC) WHERE a > 2;
    CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN a + 1; END'";

/// Rows of these tables.
pub const ROWS: &str = "
    INSERT INTO t SELECT i, i, repeat('b', i), i / 3.0, jsonb_build_object('i', i), 'ok', ARRAY['x', NULL] FROM generate_series(1, 20) i
        ON CONFLICT DO NOTHING;
    INSERT INTO u (c, d, e, f) VALUES ('\\x00ff', 1.5, '00000000-0000-0000-0000-000000000001', '1 day 2 hours');
    UPDATE t SET b = 'changed' WHERE a % 3 = 0; DELETE FROM t WHERE a % 7 = 0";

/// A table whose rows leave memory.
const HISTORY: &str = "
    CREATE TABLE h (a bigint, b text, c boolean NOT NULL, d double precision, e bytea, f numeric);
    SELECT spool_table('h');
    INSERT INTO h SELECT i, CASE WHEN i % 3 > 0 THEN 'b' || i % 300 END, i % 2 = 0, i / 7.0, decode(lpad(to_hex(i), 6, '0'), 'hex'), i * 1.5
        FROM generate_series(1, 1100) i";

/// A disk with a checkpoint and log behind it.
fn image() -> Result<DiskImage> {
    let outcome = Simulation::new(1, Faults::none()).run(|machine| {
        let node = open(&machine)?;
        let mut session = node.session(&Default::default())?;
        session.execute(SCHEMA)?;
        session.execute(ROWS)?;
        session.execute(HISTORY)?;
        node.checkpoint()?;
        session.execute(ROWS)?;
        session.execute("ALTER TABLE u ADD COLUMN g int DEFAULT 3")?;
        session.execute(ROWS)?;
        Ok::<(), tuplix::SqlError>(())
    });
    match outcome.value {
        Some(Ok(())) => Ok(outcome.disk),
        other => bail!("the disk to be changed could not be made: {other:?}"),
    }
}

/// Runs cases of a target from `first` on until `more` says no.
///
/// # Errors
/// The first case that ends in an internal error. A panic is one, and names the simulation's seed, which is the case's.
pub fn run(target: Target, first: u64, mut more: impl FnMut(&Summary) -> bool) -> Result<Summary> {
    let image = image()?;
    let mut summary = Summary::default();
    while more(&summary) {
        let case = first + summary.cases;
        let mut random = Random::new(case, 77);
        let accepted = match target {
            Target::Sql => sql(case, &mut random)?,
            Target::Log | Target::Checkpoint | Target::Segment => files(target, case, &image, &mut random)?,
        };
        summary.cases += 1;
        summary.accepted += u64::from(accepted);
    }
    Ok(summary)
}

fn files(target: Target, case: u64, image: &DiskImage, random: &mut Random) -> Result<bool> {
    let folder = match target {
        Target::Log => "/log/",
        Target::Segment => "/history/",
        _ => "/checkpoint/",
    };
    let mut disk = image.clone();
    let paths = paths_in(&disk, folder);
    if target == Target::Log && random.chance(1, 2) {
        // Without the checkpoint all of the log is replayed.
        paths_in(&disk, "/checkpoint/").iter().for_each(|path| drop(disk.remove(path)));
    }
    let path = &paths[random.below(paths.len() as u64) as usize];
    let mut mended = false;
    if let Some(bytes) = disk.file_mut(path) {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for _ in 0..1 + random.below(4) {
            change(bytes, used, random);
        }
        mended = random.chance(7, 8);
        match target {
            _ if !mended => {}
            Target::Log => mend_log(bytes),
            Target::Segment => mend_segment(bytes),
            _ => mend_checkpoint(bytes),
        }
    }
    if mended && target == Target::Segment {
        refer(&mut disk, image, path);
    }
    let outcome = Simulation::new(case, Faults { max_steps: 3_000_000, ..Faults::none() })
        .with_disk(disk)
        .run(|machine| {
            let node = open(&machine)?;
            let report = node.recovery_report();
            let accepted = report.damaged.is_empty() && report.cut.is_none();
            let mut session = node.session(&Default::default())?;
            // A damaged segment fails who reads it, and nothing else.
            let read = session.execute("SELECT count(*), max(h::text) FROM h WHERE a < 2000");
            session.execute("SELECT count(*) FROM t; SELECT count(*) FROM u")?;
            node.checkpoint()?;
            node.close()?;
            read.map(|_| accepted)
        });
    match outcome.value {
        Some(Ok(accepted)) => Ok(accepted),
        Some(Err(error)) if error.sqlstate() == sqlstate::INTERNAL_ERROR => {
            bail!("{target:?}, case {case}: {error:?}")
        }
        Some(Err(_)) => Ok(false),
        None => bail!("{target:?}, case {case}: the machine ended"),
    }
}

/// One change within the first `used` bytes.
fn change(bytes: &mut Vec<u8>, used: usize, random: &mut Random) {
    if used == 0 || bytes.is_empty() {
        return;
    }
    let place = |random: &mut Random| random.below(used as u64) as usize;
    let at = place(random).min(bytes.len() - 1);
    match random.below(8) {
        0..=2 => bytes[at] ^= 1 << random.below(8),
        3 | 4 => bytes[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xff, 0x10, 0x14]),
        5 => {
            let (from, length) = (place(random).min(bytes.len() - 1), random.below(64) as usize);
            let end = bytes.len().min(from + length);
            let copy = bytes[from..end].to_vec();
            let end = bytes.len().min(at + copy.len());
            bytes[at..end].copy_from_slice(&copy[..end - at]);
        }
        6 => {
            let end = bytes.len().min(at + random.below(16) as usize);
            bytes[at..end].fill(0);
        }
        _ => bytes.truncate(at.max(64)),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?)).ok()
}

fn put(bytes: &mut [u8], at: usize, sum: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
}

/// Puts right the checksums of a segment as far as its frames can be followed (docs/formats/log.md).
pub fn mend_log(bytes: &mut [u8]) {
    let Some(salt) = u32_at(bytes, 12).filter(|_| bytes.len() >= 64) else { return };
    put(bytes, 60, crc32c::crc32c(&bytes[..60]));
    let mut at = 64;
    while bytes.len() >= at + 56 && bytes[at..].starts_with(b"EPOC") {
        put(bytes, at + 52, crc32c::crc32c_append(salt, &bytes[at..at + 52]));
        let Some(length) = u64_at(bytes, at + 32) else { return };
        let Some(end) = (at + 56).checked_add(length).filter(|end| *end <= bytes.len()) else { return };
        put(bytes, end + 4, crc32c::crc32c_append(salt, &bytes[at + 56..end]));
        at = end + 16;
    }
}

/// Puts right the checksums of a checkpoint as far as its blocks can be followed (docs/formats/checkpoint.md).
pub fn mend_checkpoint(bytes: &mut [u8]) {
    let Some(salt) = u32_at(bytes, 12).filter(|_| bytes.len() >= 64) else { return };
    put(bytes, 60, crc32c::crc32c(&bytes[..60]));
    let (mut at, mut total) = (64, 0);
    while bytes.len() >= at + 40 && bytes[at..].starts_with(b"BLCK") {
        let Some(length) = u64_at(bytes, at + 16) else { return };
        let Some(end) = (at + 40).checked_add(length).filter(|end| *end <= bytes.len()) else { return };
        if u32_at(bytes, at + 4) == Some(3) {
            put(bytes, at + 40 + 16, total);
        }
        put(bytes, at + 32, crc32c::crc32c_append(salt, &bytes[at + 40..end]));
        put(bytes, at + 36, crc32c::crc32c_append(salt, &bytes[at..at + 36]));
        total = crc32c::crc32c_append(total, &bytes[at + 36..at + 40]);
        at = end;
    }
}

/// Puts right the checksums of a segment of history as far as its blocks can be followed (docs/formats/segment.md).
pub fn mend_segment(bytes: &mut [u8]) {
    let Some(salt) = u32_at(bytes, 12).filter(|_| bytes.len() >= 64 + SEGMENT_TRAILER) else { return };
    put(bytes, 60, crc32c::crc32c(&bytes[..60]));
    let trailer = bytes.len() - SEGMENT_TRAILER;
    let mut at = 64;
    while bytes.len() >= at + 24 && bytes[at..].starts_with(b"SEGB") {
        let Some(length) = u32_at(bytes, at + 8) else { break };
        let Some(end) = (at + 24).checked_add(length as usize).filter(|end| *end <= trailer) else { break };
        put(bytes, at + 16, crc32c::crc32c_append(salt, &bytes[at + 24..end]));
        put(bytes, at + 20, crc32c::crc32c_append(salt, &bytes[at..at + 20]));
        at = end;
    }
    if let Some(footer) = u64_at(bytes, trailer + 8).filter(|footer| *footer <= trailer) {
        put(bytes, trailer + 32, crc32c::crc32c_append(salt, &bytes[footer..trailer]));
    }
    put(bytes, trailer + 36, crc32c::crc32c_append(salt, &bytes[trailer..trailer + 36]));
}

/// The last bytes of a segment of history.
const SEGMENT_TRAILER: usize = 40;

/// What a checkpoint says of a segment of history: epoch, length, rows, checksum of the footer.
fn reference(segment: &[u8]) -> Option<[u8; 28]> {
    let trailer = segment.len().checked_sub(SEGMENT_TRAILER)?;
    let epoch = segment.get(24..32)?;
    let length = (segment.len() as u64).to_le_bytes();
    [epoch, &length, &segment[trailer + 24..trailer + 36]].concat().try_into().ok()
}

/// Lets the checkpoints of `disk` refer to the segment at `path` as it is there, where they refer to it as it is in `before`.
pub fn refer(disk: &mut DiskImage, before: &DiskImage, path: &str) {
    let was = before.file(path).and_then(reference);
    let (Some(was), Some(is)) = (was, disk.file(path).and_then(reference)) else { return };
    for checkpoint in paths_in(disk, "/checkpoint/") {
        let Some(bytes) = disk.file_mut(&checkpoint) else { continue };
        if let Some(at) = bytes.windows(was.len()).position(|window| window == was) {
            bytes[at..at + is.len()].copy_from_slice(&is);
            mend_checkpoint(bytes);
        }
    }
}

/// Files of a disk whose path has this in it, in order.
pub fn paths_in(disk: &DiskImage, folder: &str) -> Vec<String> {
    disk.paths().into_iter().filter(|path| path.contains(folder)).map(str::to_owned).collect()
}

/// What SQL texts are mixed of.
pub const TEXTS: &[&str] = &[
    "SELECT p, a, b || 'x' FROM t WHERE a BETWEEN 2 AND 9 ORDER BY b DESC LIMIT 3",
    "INSERT INTO u (c, d) VALUES ('\\x01', 2.5), (NULL, -1e30) RETURNING a",
    "UPDATE t SET c = c * 2, d = d || '{\"k\": [1, 2]}' WHERE p = 3 AND d->>'i' = '3'",
    "WITH x AS (SELECT a, sum(c) OVER (ORDER BY a) s FROM t) SELECT * FROM x JOIN u USING (a)",
    "DELETE FROM t USING u WHERE t.a = u.a AND NOT EXISTS (SELECT 1 FROM u v WHERE v.a > t.a)",
    "CREATE TABLE w (a int PRIMARY KEY CHECK (a > 0), b text DEFAULT upper('x') COLLATE \"C\")",
    "SELECT f(a), count(*) FILTER (WHERE b IS NULL) FROM u GROUP BY ROLLUP (f(a)) HAVING count(*) > 0",
    "DO $$ DECLARE i int; BEGIN FOR i IN 1..3 LOOP RAISE NOTICE '% %', i, 'x'; END LOOP; EXCEPTION WHEN others THEN NULL; END $$",
    "SELECT '2026-01-01'::date + interval '1 month', to_char(now(), 'YYYY'), ARRAY[1, 2][1], ROW(1, 'a')",
    "BEGIN ISOLATION LEVEL SERIALIZABLE; SAVEPOINT s; ROLLBACK TO s; COMMIT",
    "SELECT CASE WHEN e = 'ok' THEN 1 ELSE 2 END, f[1:2], d #>> '{i}', a::text::numeric FROM t",
    "EXPLAIN SELECT * FROM t, u WHERE t.a = u.a",
];

/// A session is told mixed texts.
fn sql(case: u64, random: &mut Random) -> Result<bool> {
    let texts: Vec<String> = (0..20).map(|_| mixed(random)).collect();
    let told = texts.clone();
    let outcome =
        Simulation::new(case, Faults { max_steps: 3_000_000, ..Faults::none() }).run(move |machine| {
            let node = Tuplix::open_with(&Options {
                partitions: 2,
                buckets: 4,
                machine: Some(machine),
                ..Options::default()
            })?;
            let mut session = node.session(&Default::default())?;
            session.execute(SCHEMA)?;
            session.execute(ROWS)?;
            session.set("statement_timeout", "2000")?;
            for text in &told {
                match session.execute(text) {
                    Err(error) if error.sqlstate() == sqlstate::INTERNAL_ERROR => {
                        return Ok(Some((text.clone(), error)));
                    }
                    _ => session.execute("ROLLBACK").map(|_| ())?,
                }
            }
            Ok::<_, tuplix::SqlError>(None)
        });
    match outcome.value {
        Some(Ok(None)) => Ok(true),
        Some(Ok(Some((text, error)))) => bail!("SQL, case {case}: {text}\n{error:?}"),
        Some(Err(error)) => bail!("SQL, case {case}: {error:?}"),
        None => bail!("SQL, case {case}: the machine ended"),
    }
}

fn mixed(random: &mut Random) -> String {
    let mut words: Vec<String> = random.pick(TEXTS).split(' ').map(str::to_owned).collect();
    for _ in 0..random.below(4) {
        let other: Vec<&str> = random.pick(TEXTS).split(' ').collect();
        let at = random.below(words.len() as u64 + 1) as usize;
        let from = random.below(other.len() as u64) as usize;
        match random.below(4) {
            0 => words.truncate(at.max(1)),
            1 => words.insert(at, other[from].to_owned()),
            2 if at < words.len() => words[at] = other[from].to_owned(),
            _ if at < words.len() => drop(words.remove(at)),
            _ => {}
        }
    }
    words.join(" ")
}
