//! What one operation on a fragment costs, in nanoseconds: `cargo run --release -p tuplix-storage --example micro [rows [what]]`.
//! With `what` only the first inserts and the operations with this in their name run.
//!
//! The table is (int4, int8, int4) with a unique hash index on the first two columns, as the task table
//! of the papers' FIFO scheduler. Rows are touched in a scattered order, so large tables miss the caches.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use tuplix_storage::{
    Comparison, Fragment, FragmentSchema, IndexColumn, IndexSchema, RowBatch, RowId, ScanCursor,
    SimplePredicate, Test,
};
use tuplix_types::{TypeId, Value};

/// Nanoseconds that this thread was on a core (proc(5), `schedstat`), so that other work on the machine counts less.
fn on_core_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Runs `operation` `count` times and prints the mean of the time on the core, and the slowest by the clock.
fn measure(name: &str, count: usize, mut operation: impl FnMut(usize)) {
    let wanted = std::env::args().nth(2);
    if wanted.is_some_and(|wanted| !name.contains(&wanted) && !name.starts_with("insert")) {
        return;
    }
    let start = on_core_ns();
    let mut slowest = 0;
    let mut last = Instant::now();
    for i in 0..count {
        operation(i);
        if i % 64 == 63 {
            let now = Instant::now();
            slowest = slowest.max((now - last).as_nanos());
            last = now;
        }
    }
    let mean = (on_core_ns() - start) as f64 / count as f64;
    println!("{name:<44} {mean:>9.1} ns    slowest 64 in a row {:>8.1} us", slowest as f64 / 1000.0);
}

fn row(i: usize) -> [Value; 3] {
    [Value::Int4(5), Value::Int8(i as i64), Value::Int4(0)]
}

fn main() {
    let rows: usize = std::env::args().nth(1).map_or(1_000_000, |count| count.parse().unwrap());
    let scattered = |i: usize| i.wrapping_mul(0x9E37_79B1) % rows;
    let columns = vec![TypeId::INT4, TypeId::INT8, TypeId::INT4];
    let schema = FragmentSchema {
        columns,
        indexes: vec![Arc::new(IndexSchema::hash(true, &[0, 1]))],
        ..FragmentSchema::default()
    };
    let mut fragment = Fragment::new(&schema);

    println!("{rows} rows");
    measure("insert, unique hash index checked", rows, |i| {
        let row = row(i);
        fragment.insert_unless_taken(&row).unwrap();
    });
    println!("{:.1} bytes a row", fragment.memory_bytes() as f64 / rows as f64);
    let mut found = 0u64;
    measure("lookup by (int4, int8)", rows, |i| {
        found += u64::from(fragment.lookup(0, &row(scattered(i))[..2]).unwrap().0);
    });
    measure("lookup by (int4, int8), in order", rows, |i| {
        found += u64::from(fragment.lookup(0, &row(i)[..2]).unwrap().0);
    });
    measure("lookup by (int4, int8), 10,000 rows", rows, |i| {
        found += u64::from(fragment.lookup(0, &row(scattered(i) % 10_000.min(rows))[..2]).unwrap().0);
    });
    measure("read an int4", rows, |i| {
        found += fragment.read_integer(RowId(scattered(i) as u32), 2).unwrap() as u64;
    });
    measure("update an int4", rows, |i| {
        fragment.update(RowId(scattered(i) as u32), &[(2, Value::Int4(i as i32))]);
    });
    measure("update an int4 of 1,000 rows", rows, |i| {
        fragment.update(RowId((i % 1_000) as u32), &[(2, Value::Int4(i as i32))]);
    });
    measure("exchange an int4 of 1,000 rows", rows, |i| {
        fragment.exchange(RowId((i % 1_000) as u32), &mut [(2, Value::Int4(i as i32))]);
    });
    measure("update a key column", rows, |i| {
        let id = scattered(i);
        fragment.update(RowId(id as u32), &[(1, Value::Int8((id + rows) as i64))]);
    });
    measure("delete, release, insert", rows, |i| {
        let id = scattered(i);
        fragment.delete(RowId(id as u32));
        fragment.release_deleted();
        fragment.insert(&row(id)).unwrap();
    });
    let mut snapshot = fragment.snapshot();
    measure("update an int4 of 1,000, snapshot every 10,000", rows, |i| {
        if i % 10_000 == 0 {
            snapshot = fragment.snapshot();
        }
        fragment.update(RowId((i % 1_000) as u32), &[(2, Value::Int4(i as i32))]);
    });
    for (name, every) in
        [("exchange an int4, no snapshot", rows), ("exchange an int4, snapshot every 64,000", 64_000)]
    {
        measure(name, rows, |i| {
            if i % every == 0 {
                snapshot = fragment.snapshot();
            }
            fragment.exchange(RowId(scattered(i) as u32), &mut [(2, Value::Int4(i as i32))]);
        });
    }
    let predicate = SimplePredicate { column: 2, test: Test::Integer(Comparison::Equal, -1) };
    let mut cursor = ScanCursor::new();
    let start = Instant::now();
    fragment.scan_batch(&mut cursor, &[predicate], &mut RowBatch::new());
    println!("scan for an int4: {:.2} ns a row", start.elapsed().as_nanos() as f64 / rows as f64);

    let start = Instant::now();
    let key = vec![IndexColumn::ascending(0), IndexColumn::descending(1)];
    let ordered = fragment.add_index(Arc::new(IndexSchema::ordered(false, key))).unwrap();
    println!("add an ordered index: {:.1} ns a row", start.elapsed().as_nanos() as f64 / rows as f64);
    measure("ordered: first row of a prefix", rows, |i| {
        let key = [Value::Int4((i % 64) as i32)];
        let bound = Bound::Included(&key[..]);
        let mut cursor = fragment.range(ordered, bound, bound, false).unwrap();
        let mut batch = RowBatch::new();
        fragment.range_batch(ordered, &mut cursor, 1, &mut batch);
        found += batch.len() as u64;
    });
    measure("ordered: update of the key", rows / 4, |i| {
        let id = scattered(i);
        fragment.update(RowId(id as u32), &[(0, Value::Int4((i % 64) as i32))]);
    });
    queue(rows);
    println!("checksum {found}, snapshot of {} rows", snapshot.row_count());
}

/// A queue: the first row in state 0 goes to state 1, by an ordered index on (state, id), and one comes in.
fn queue(rows: usize) {
    let columns = vec![TypeId::INT4, TypeId::INT8, TypeId::INT4];
    let key = vec![IndexColumn::ascending(2), IndexColumn::ascending(1)];
    let indexes =
        vec![Arc::new(IndexSchema::hash(true, &[0, 1])), Arc::new(IndexSchema::ordered(false, key))];
    let mut fragment = Fragment::new(&FragmentSchema { columns, indexes, ..FragmentSchema::default() });
    (0..rows).for_each(|i| assert!(fragment.insert(&row(i)).is_ok()));
    measure("queue: first row of a state", rows, |_| {
        let key = [Value::Int4(0)];
        let bound = Bound::Included(&key[..]);
        let mut cursor = fragment.range(1, bound, bound, false).unwrap();
        let mut batch = RowBatch::new();
        fragment.range_batch(1, &mut cursor, 1, &mut batch);
        assert_eq!(batch.len(), 1);
    });
    measure("queue: find first, change its state, insert", rows / 2, |i| {
        let key = [Value::Int4(0)];
        let bound = Bound::Included(&key[..]);
        let mut cursor = fragment.range(1, bound, bound, false).unwrap();
        let mut batch = RowBatch::new();
        fragment.range_batch(1, &mut cursor, 1, &mut batch);
        fragment.update(batch[0], &[(2, Value::Int4(1))]);
        fragment.insert(&row(rows + i)).unwrap();
    });
}
