//! Sizes at which a fragment changes its shape.

use std::sync::Arc;

use tuplix_storage::{
    Fragment, FragmentSchema, IndexColumn, IndexKeys, IndexSchema, MAX_INDEXES, Memory, RowBatch, RowId,
    RowView,
};
use tuplix_types::{SqlError, TypeId, Value};

fn pairs(indexes: Vec<IndexSchema>) -> Fragment {
    let columns = vec![TypeId::INT4, TypeId::INT8];
    Fragment::new(&FragmentSchema {
        columns,
        indexes: indexes.into_iter().map(Arc::new).collect(),
        ..FragmentSchema::default()
    })
}

fn pair(a: i32, b: i64) -> [Value; 2] {
    [Value::Int4(a), Value::Int8(b)]
}

#[test]
fn hash_segments_split() {
    let mut fragment = pairs(vec![IndexSchema::hash(true, &[0, 1]), IndexSchema::hash(false, &[0])]);
    let count = 40_000;
    for i in 0..count {
        fragment.insert(&pair(i % 10_000, i.into())).unwrap();
    }
    for i in 0..count {
        assert_eq!(fragment.lookup(0, &pair(i % 10_000, i.into())), Some(RowId(i as u32)));
        assert_eq!(fragment.lookup(0, &pair(i % 10_000, i64::from(i) + 1)), None);
    }
    let mut rows = Vec::new();
    fragment.lookup_all(1, &[Value::Int4(77)], &mut rows);
    assert_eq!(rows, [77, 10_077, 20_077, 30_077].map(RowId));
    for i in 0..count {
        fragment.delete(RowId(i as u32));
        assert_eq!(fragment.lookup(0, &pair(i % 10_000, i.into())), None);
    }
    rows.clear();
    fragment.lookup_all(1, &[Value::Int4(77)], &mut rows);
    assert_eq!(rows, []);
}

#[test]
fn a_key_of_many_rows_costs_no_more_than_others() {
    let mut fragment = pairs(vec![IndexSchema::hash(false, &[0])]);
    let count = 100_000u32;
    for i in 0..count {
        fragment.insert(&pair(1, i.into())).unwrap();
    }
    for i in (0..count).filter(|i| i % 3 != 0) {
        fragment.update(RowId(i), &[(0, Value::Int4(2))]);
    }
    let mut rows = Vec::new();
    fragment.lookup_all(0, &[Value::Int4(1)], &mut rows);
    assert!(rows.iter().copied().eq((0..count).step_by(3).map(RowId)));
}

#[test]
fn deleted_slots_are_reused_after_release_lowest_first() {
    let mut fragment = pairs(vec![]);
    for i in 0..1_000 {
        fragment.insert(&pair(i, 0)).unwrap();
    }
    fragment.delete(RowId(700));
    fragment.delete(RowId(30));
    assert_eq!(fragment.insert(&pair(0, 0)), Ok(RowId(1_000)), "not yet released");
    fragment.release_deleted();
    assert_eq!(fragment.insert(&pair(0, 0)), Ok(RowId(30)));
    assert_eq!(fragment.insert(&pair(0, 0)), Ok(RowId(700)));
    assert_eq!(fragment.insert(&pair(0, 0)), Ok(RowId(1_001)));
}

#[test]
fn a_logged_slot_far_away_leaves_free_ones_before_it() {
    let mut fragment = pairs(vec![IndexSchema::hash(true, &[0])]);
    fragment.insert_at(RowId(300_000), &pair(5, 5)).unwrap();
    assert_eq!(fragment.lookup(0, &[Value::Int4(5)]), Some(RowId(300_000)));
    assert_eq!(fragment.insert(&pair(6, 6)), Ok(RowId(0)));
    assert_eq!(fragment.snapshot().rows().count(), 2);
    assert!(fragment.insert_at(RowId(u32::MAX), &pair(1, 1)).is_err());
}

#[test]
fn small_fragments_are_small_and_memory_is_given_back() {
    let mut fragment = pairs(vec![IndexSchema::hash(true, &[0])]);
    assert!(fragment.memory_bytes() < 600, "{}", fragment.memory_bytes());
    fragment.insert(&pair(1, 1)).unwrap();
    assert!(fragment.memory_bytes() < 1_200, "{}", fragment.memory_bytes());

    let columns = vec![TypeId::BYTEA];
    let mut fragment = Fragment::new(&FragmentSchema { columns, ..FragmentSchema::default() });
    let empty = fragment.memory_bytes();
    let row = fragment.insert(&[Value::bytea(vec![1; 1_000_000])]).unwrap();
    fragment.update(row, &[(0, Value::bytea(vec![1; 2_000_000]))]);
    assert!(fragment.memory_bytes() > 2_000_000 && fragment.memory_bytes() < 2_100_000);
    fragment.delete(row);
    assert!(fragment.memory_bytes() > 2_000_000, "an undo may need it");
    fragment.release_deleted();
    assert!(fragment.memory_bytes() < empty + 10_000);
}

#[test]
fn a_snapshot_is_read_while_the_fragment_is_written() {
    let mut fragment = pairs(vec![]);
    for i in 0..5_000 {
        fragment.insert(&pair(i, 1)).unwrap();
    }
    let snapshot = fragment.snapshot();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || snapshot.rows().filter_map(|(_, row)| row.integer(1)).sum::<i64>());
        for i in 0..5_000 {
            fragment.update(RowId(i), &[(1, Value::Int8(2))]);
        }
        assert_eq!(reader.join().unwrap(), 5_000);
    });
    let chunks = fragment.snapshot().into_chunks();
    let sum: i64 = chunks.map(|c| c.view().rows().filter_map(|(_, row)| row.integer(1)).sum::<i64>()).sum();
    assert_eq!(sum, 10_000);
}

/// `(-a) where b > 10`
#[derive(Debug)]
struct NegatedWhereLarge;

impl IndexKeys for NegatedWhereLarge {
    fn columns(&self) -> &[usize] {
        &[0, 1]
    }

    fn key(&self, row: RowView<'_>, key: &mut Vec<Value>) -> bool {
        key.push(row.integer(0).map_or(Value::Null, |a| Value::Int8(-a)));
        row.integer(1).is_some_and(|b| b > 10)
    }
}

#[test]
fn computed_keys() {
    let mut ordered = IndexSchema::ordered(false, vec![IndexColumn::ascending(0)]);
    ordered.computed = Some(Arc::new(NegatedWhereLarge));
    let mut hash = IndexSchema::hash(true, &[0]);
    hash.computed = Some(Arc::new(NegatedWhereLarge));
    let mut fragment = pairs(vec![ordered, hash]);
    for i in 0..20 {
        fragment.insert(&pair(i, i.into())).unwrap();
    }
    assert_eq!(fragment.lookup(1, &[Value::Int8(-15)]), Some(RowId(15)));
    assert_eq!(fragment.lookup(1, &[Value::Int8(-5)]), None);
    fragment.update(RowId(15), &[(1, Value::Int8(3))]);
    fragment.update(RowId(5), &[(1, Value::Int8(30))]);
    assert_eq!(fragment.lookup(1, &[Value::Int8(-15)]), None);
    assert_eq!(fragment.lookup(1, &[Value::Int8(-5)]), Some(RowId(5)));
    let all = std::ops::Bound::Unbounded;
    let mut cursor = fragment.range(0, all, all, false).unwrap();
    let mut batch = RowBatch::new();
    fragment.range_batch(0, &mut cursor, 64, &mut batch);
    assert_eq!(batch.as_slice(), [19, 18, 17, 16, 14, 13, 12, 11, 5].map(RowId));
}

#[test]
fn index_numbers_stay_and_are_limited() {
    let mut fragment = pairs(vec![IndexSchema::hash(true, &[0]), IndexSchema::hash(true, &[1])]);
    fragment.insert(&pair(1, 2)).unwrap();
    fragment.drop_index(0);
    assert!(fragment.index_schema(0).is_none());
    assert_eq!(fragment.lookup(1, &[Value::Int8(2)]), Some(RowId(0)));
    for number in std::iter::once(0).chain(2..MAX_INDEXES) {
        assert_eq!(fragment.add_index(Arc::new(IndexSchema::hash(false, &[0]))), Ok(number));
    }
    let error = fragment.add_index(Arc::new(IndexSchema::hash(false, &[0]))).unwrap_err();
    assert_eq!(SqlError::from(error).sqlstate().as_str(), "54000");
}

#[test]
fn char_n_ignores_trailing_blanks() {
    let indexes =
        vec![IndexSchema::hash(true, &[0]), IndexSchema::ordered(true, vec![IndexColumn::ascending(0)])];
    let mut fragment = Fragment::new(&FragmentSchema {
        columns: vec![TypeId::BPCHAR],
        indexes: indexes.into_iter().map(Arc::new).collect(),
        ..FragmentSchema::default()
    });
    let row = fragment.insert(&[Value::text("ab   ")]).unwrap();
    for index in [0, 1] {
        assert_eq!(fragment.lookup(index, &[Value::text("ab")]), Some(row));
        assert_eq!(fragment.lookup(index, &[Value::text("a")]), None);
    }
}

#[test]
fn conflicts_leave_out_the_row_itself() {
    let mut fragment = pairs(vec![IndexSchema::hash(true, &[0])]);
    let row = fragment.insert(&pair(1, 1)).unwrap();
    assert_eq!(fragment.find_conflict(0, &pair(1, 2), None), Some(row));
    assert_eq!(fragment.find_conflict(0, &pair(1, 2), Some(row)), None);
    assert_eq!(fragment.find_conflict(0, &[Value::Null, Value::Int8(1)], None), None);
}

#[test]
#[should_panic(expected = "a value of the column's type")]
fn a_value_of_another_type_is_refused_before_anything_is_written() {
    pairs(vec![]).insert(&[Value::Int4(1), Value::Int4(1)]).unwrap();
}

#[test]
fn a_column_added_is_there_in_old_and_new_rows_and_not_in_snapshots() {
    let mut fragment = pairs(vec![IndexSchema::hash(true, &[1])]);
    for i in 0..600 {
        fragment.insert(&pair(i, i.into())).unwrap();
    }
    let snapshot = fragment.snapshot();
    fragment.delete(RowId(0));
    fragment.add_column(TypeId::TEXT, &Value::text("new"));
    fragment.undelete(RowId(0));
    fragment.add_column(TypeId::INT4, &Value::Null);
    let row = fragment.insert(&[Value::Int4(1), Value::Int8(-1), Value::text("x"), Value::Int4(3)]).unwrap();
    for old in [0, 1, 599] {
        assert_eq!(fragment.read(RowId(old), 2).as_str(), Some("new"));
        assert!(fragment.read(RowId(old), 3).is_null());
        assert_eq!(fragment.lookup(0, &[Value::Int8(old.into())]), Some(RowId(old)));
    }
    assert_eq!(fragment.row(row).unwrap().integer(3), Some(3));
    assert_eq!(snapshot.row(RowId(5)).unwrap().values().count(), 2);
    let by_text = fragment.add_index(Arc::new(IndexSchema::hash(false, &[2]))).unwrap();
    let mut rows = Vec::new();
    fragment.lookup_all(by_text, &[Value::text("new")], &mut rows);
    assert_eq!(rows.len(), 600);
    fragment.clear();
    assert_eq!((fragment.row_count(), fragment.lookup(0, &[Value::Int8(5)])), (0, None));
    assert_eq!(snapshot.row_count(), 600);
}

/// Thousands of rows come, change their keys and go in no order, through splits and moves of entries.
#[test]
fn large_indexes_follow_scattered_changes() {
    let ordered = IndexSchema::ordered(true, vec![IndexColumn::ascending(1)]);
    let mut fragment = pairs(vec![IndexSchema::hash(true, &[1]), ordered, IndexSchema::hash(false, &[0])]);
    let mut keys = std::collections::BTreeMap::new();
    let mut seed = 1u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for step in 0..120_000 {
        let key = random(60_000) as i64 * 3;
        match (keys.get(&key).copied(), random(3)) {
            (None, _) => {
                let row = fragment.insert(&pair((key % 500) as i32, key)).unwrap();
                keys.insert(key, row);
            }
            (Some(row), 0) => {
                fragment.delete(row);
                fragment.release_deleted();
                keys.remove(&key);
            }
            (Some(row), _) => {
                let other = random(60_000) as i64 * 3;
                if fragment.find_conflict(0, &pair((other % 500) as i32, other), Some(row)).is_none() {
                    fragment.update(row, &[(0, Value::Int4((other % 500) as i32)), (1, Value::Int8(other))]);
                    keys.remove(&key);
                    keys.insert(other, row);
                }
            }
        }
        if step % 40_000 == 39_999 {
            for key in (0..60_000i64).map(|key| key * 3) {
                assert_eq!(fragment.lookup(0, &[Value::Int8(key)]), keys.get(&key).copied());
                assert_eq!(fragment.lookup(1, &[Value::Int8(key)]), keys.get(&key).copied());
            }
            let mut rows = Vec::new();
            (0..500).for_each(|group| fragment.lookup_all(2, &[Value::Int4(group)], &mut rows));
            assert_eq!(rows.len(), keys.len());
        }
    }
}

/// What is counted follows what is there, from the first chunk to the last row, and forks count what they share once.
#[test]
fn memory_is_counted_and_given_back() {
    let memory = Arc::new(Memory::default());
    let indexes =
        vec![IndexSchema::hash(true, &[0]), IndexSchema::ordered(false, vec![IndexColumn::ascending(1)])];
    let schema = FragmentSchema {
        columns: vec![TypeId::INT8, TypeId::INT4, TypeId::TEXT],
        indexes: indexes.into_iter().map(Arc::new).collect(),
        memory: memory.clone(),
    };
    let mut fragment = Fragment::new(&schema);
    let text = Value::text("a text that is longer than fifteen bytes");
    let rows: Vec<RowId> = (0..100_000)
        .map(|i| fragment.insert_unless_taken(&[Value::Int8(i), Value::Int4(5), text.clone()]).unwrap())
        .collect();
    let near = |used: u64, wanted: usize| used.abs_diff(wanted as u64) < 64 * 1024 + wanted as u64 / 10;
    let full = memory.used();
    assert!(near(full, fragment.memory_bytes()), "{full} of {}", fragment.memory_bytes());
    let fork = fragment.fork();
    assert!(memory.used().abs_diff(full) < full / 100, "a fork shares the rows");
    drop(fork);
    assert_eq!(memory.used(), full);
    for row in &rows[..75_000] {
        fragment.delete(*row);
    }
    fragment.release_deleted();
    let quarter = memory.used();
    assert!(quarter < full / 2, "{quarter} of {full} is left");
    assert!(near(quarter, fragment.memory_bytes()));
    let again = [Value::Int8(1), Value::Int4(5)];
    assert!(!fragment.grows_with(&[again[0].clone(), again[1].clone(), Value::text("short")]));
    assert!(fragment.grows_with(&[again[0].clone(), again[1].clone(), text.clone()]), "a long value");
    assert!(!fragment.grows_by(rows[80_000], &[(1, Value::Int4(9)), (2, text)]));
    assert!(
        fragment
            .grows_by(rows[80_000], &[(2, Value::text("a text that is longer than the one that is there"))])
    );
    for row in &rows[75_000..] {
        fragment.delete(*row);
    }
    fragment.release_deleted();
    assert!(memory.used() < 16 * 1024, "{} bytes for no rows", memory.used());
    assert_eq!(fragment.insert(&[Value::Int8(1), Value::Int4(5), Value::Null]), Ok(RowId(0)));
    drop(fragment);
    assert_eq!(memory.used(), 0);
}

/// A queue that empties a chunk and begins one takes no new memory for it.
#[test]
fn an_emptied_chunk_gives_its_memory_to_the_next() {
    let mut fragment = pairs(vec![]);
    let rows: Vec<RowId> = (0..5_000).map(|i| fragment.insert(&pair(i, 1)).unwrap()).collect();
    let full = fragment.memory_bytes();
    let snapshot = fragment.snapshot();
    for row in &rows[512..4_000] {
        fragment.delete(*row);
    }
    fragment.release_deleted();
    assert!(fragment.memory_bytes() < full / 2);
    assert_eq!(snapshot.rows().count(), 5_000, "the snapshot keeps its own");
    for round in 0..3 {
        let filled: Vec<RowId> = (0..1_000).map(|i| fragment.insert(&pair(i, round)).unwrap()).collect();
        assert_eq!(filled[0], RowId(512));
        assert!(filled.iter().all(|row| fragment.read(*row, 1).as_i64() == Some(round)));
        filled.iter().for_each(|row| fragment.delete(*row));
        fragment.release_deleted();
    }
    assert_eq!(fragment.row_count(), 1_512);
}

/// Rows deleted together in one chunk come back while the deletion is not released, also when an insert beside them is undone.
#[test]
fn an_emptied_chunk_is_kept_until_its_rows_are_released() {
    let columns = vec![TypeId::INT4, TypeId::TEXT];
    let mut fragment = Fragment::new(&FragmentSchema { columns, ..FragmentSchema::default() });
    let text = Value::text("a text that is longer than fifteen bytes");
    let rows: Vec<RowId> =
        (0..3_000).map(|i| fragment.insert(&[Value::Int4(i), text.clone()]).unwrap()).collect();
    rows[1_024..2_500].iter().for_each(|row| fragment.delete(*row));
    fragment.release_deleted();
    rows[512..1_024].iter().for_each(|row| fragment.delete(*row));
    let added = fragment.insert_at(rows[600], &[Value::Int4(0), text.clone()]);
    assert!(added.is_ok());
    fragment.undo_insert(rows[600]);
    assert_eq!(fragment.insert(&[Value::Int4(600), text.clone()]), Ok(rows[600]));
    fragment.undelete(rows[1_023]);
    assert_eq!(fragment.read(rows[1_023], 1).as_str(), text.as_str());
    fragment.delete(rows[1_023]);
    fragment.delete(rows[600]);
    fragment.release_deleted();
    assert_eq!(fragment.row_count(), 1_012);
    assert_eq!(fragment.insert(&[Value::Int4(7), text]), Ok(rows[512]));
}
