//! The model: a map from slot to row. Whatever a fragment answers must follow from it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use proptest::prelude::*;
use tuplix_storage::{
    Comparison, Fragment, FragmentSchema, FragmentSnapshot, IndexColumn, IndexKind, IndexSchema, Refused,
    RowBatch, RowId, ScanCursor, SimplePredicate, Test,
};
use tuplix_types::{TypeId, Value, compare};

type Row = Vec<Value>;
type Rows = BTreeMap<RowId, Row>;

/// One step of a test; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Insert(Row),
    InsertUnlessTaken(Row),
    InsertAt(u32, Row),
    Update(usize, Vec<(usize, Value)>),
    ExchangeAndBack(usize, Vec<(usize, Value)>),
    Delete(usize),
    Undelete,
    UndoInsert(Row),
    Release,
    Snapshot,
    Fork,
    UpdateForks(usize, Vec<(usize, Value)>),
    RebuildIndexes,
}

fn integer() -> impl Strategy<Value = Option<i32>> {
    prop_oneof![1 => Just(None), 8 => (0..12i32).prop_map(Some), 1 => any::<i32>().prop_map(Some)]
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![Just(Value::Null), "[ab\0]{0,3}".prop_map(Value::text), "[xy]{16,40}".prop_map(Value::text),]
}

fn column_value(column: usize) -> BoxedStrategy<Value> {
    match column {
        0 => integer().prop_map(|v| v.map_or(Value::Null, Value::Int4)).boxed(),
        1 => integer().prop_map(|v| v.map_or(Value::Null, |v| Value::Int8(v.into()))).boxed(),
        2 => text().boxed(),
        3 => prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool)].boxed(),
        4 => prop_oneof![Just(Value::Null), (0..3u8).prop_map(|v| Value::Uuid(Arc::new([v; 16])))].boxed(),
        _ => prop_oneof![Just(Value::Null), (0..400usize).prop_map(|n| Value::bytea(vec![7; n]))].boxed(),
    }
}

const TYPES: [TypeId; 6] =
    [TypeId::INT4, TypeId::INT8, TypeId::TEXT, TypeId::BOOL, TypeId::UUID, TypeId::BYTEA];

fn row() -> impl Strategy<Value = Row> {
    (column_value(0), column_value(1), column_value(2), column_value(3), column_value(4), column_value(5))
        .prop_map(|(a, b, c, d, e, f)| vec![a, b, c, d, e, f])
}

fn changes() -> impl Strategy<Value = Vec<(usize, Value)>> {
    prop::collection::vec((0..TYPES.len()).prop_flat_map(|c| column_value(c).prop_map(move |v| (c, v))), 1..3)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => row().prop_map(Step::Insert),
        6 => row().prop_map(Step::InsertUnlessTaken),
        2 => (0..3000u32, row()).prop_map(|(slot, row)| Step::InsertAt(slot, row)),
        8 => (any::<usize>(), changes()).prop_map(|(i, c)| Step::Update(i, c)),
        2 => (any::<usize>(), changes()).prop_map(|(i, c)| Step::ExchangeAndBack(i, c)),
        6 => any::<usize>().prop_map(Step::Delete),
        2 => Just(Step::Undelete),
        2 => row().prop_map(Step::UndoInsert),
        2 => Just(Step::Release),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Fork),
        2 => (any::<usize>(), changes()).prop_map(|(i, c)| Step::UpdateForks(i, c)),
        1 => Just(Step::RebuildIndexes),
    ]
}

/// Indexes of every shape: (kind, unique, columns).
fn indexes() -> Vec<Arc<IndexSchema>> {
    let hash = |columns: &[usize]| IndexSchema::hash(false, columns);
    let ordered = |columns: Vec<IndexColumn>| IndexSchema::ordered(false, columns);
    let mixed = vec![
        IndexColumn::descending(1),
        IndexColumn { column: 0, descending: false, nulls_first: true },
        IndexColumn { column: 2, descending: true, nulls_first: false },
    ];
    let schemas = vec![
        hash(&[0]),
        hash(&[0, 1]),
        hash(&[2]),
        hash(&[4, 3]),
        hash(&[5]),
        ordered(vec![IndexColumn::ascending(0)]),
        ordered(vec![IndexColumn::ascending(0), IndexColumn::descending(1)]),
        ordered(mixed),
        ordered(vec![IndexColumn::ascending(4), IndexColumn::ascending(5)]),
        // Unique ones, over rows that do not keep the promise: still each row must come and go.
        IndexSchema::hash(true, &[0, 1]),
        IndexSchema::ordered(true, vec![IndexColumn::ascending(2)]),
    ];
    schemas.into_iter().map(Arc::new).collect()
}

struct Pair {
    fragment: Fragment,
    rows: Rows,
    /// Deleted and not released, oldest first.
    deleted: Vec<(RowId, Row)>,
    snapshots: Vec<(FragmentSnapshot, Rows)>,
    /// Fragments that shared their chunks with this one when it was forked off them.
    forks: Vec<(Fragment, Rows)>,
}

impl Pair {
    fn new() -> Pair {
        let fragment = Fragment::new(&FragmentSchema {
            columns: TYPES.to_vec(),
            indexes: indexes(),
            ..FragmentSchema::default()
        });
        Pair { fragment, rows: Rows::new(), deleted: Vec::new(), snapshots: Vec::new(), forks: Vec::new() }
    }

    /// The first unique index in which a live row has the key of `row`.
    fn taken(&self, row: &Row) -> Option<usize> {
        let key_of = |schema: &IndexSchema, row: &Row| {
            schema.columns.iter().map(|key| row[key.column].clone()).collect()
        };
        let schemas = indexes().into_iter().enumerate().filter(|(_, schema)| schema.unique);
        let mut taken = schemas.filter(|(_, schema)| {
            let key: Row = key_of(schema, row);
            !key.iter().any(Value::is_null)
                && self.rows.values().any(|other| same_row(&key_of(schema, other), &key))
        });
        taken.next().map(|(number, _)| number)
    }

    fn pick(&self, which: usize) -> Option<RowId> {
        self.rows.keys().nth(which.checked_rem(self.rows.len())?).copied()
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Insert(row) => {
                let id = self.fragment.insert(&row).unwrap();
                assert!(
                    self.deleted.iter().all(|(deleted, _)| *deleted != id),
                    "a deleted slot is kept aside"
                );
                assert!(self.rows.insert(id, row).is_none());
            }
            Step::InsertUnlessTaken(row) => match (self.fragment.insert_unless_taken(&row), self.taken(&row))
            {
                (Ok(id), None) => assert!(self.rows.insert(id, row).is_none()),
                (Err(Refused::Taken { index, row: other }), Some(taken)) => {
                    assert_eq!(index, taken);
                    assert!(self.rows.contains_key(&other));
                }
                (outcome, taken) => panic!("{outcome:?}, but the model finds {taken:?}"),
            },
            Step::InsertAt(slot, row) => {
                let id = RowId(slot);
                if !self.rows.contains_key(&id) {
                    self.fragment.insert_at(id, &row).unwrap();
                    self.rows.insert(id, row);
                    self.deleted.retain(|(deleted, _)| *deleted != id);
                }
            }
            Step::Update(which, changes) => {
                let Some(id) = self.pick(which) else { return };
                self.fragment.update(id, &changes);
                let row = self.rows.get_mut(&id).unwrap();
                changes.into_iter().for_each(|(column, value)| row[column] = value);
            }
            Step::ExchangeAndBack(which, mut changes) => {
                let Some(id) = self.pick(which) else { return };
                self.fragment.exchange(id, &mut changes);
                // Columns named twice are undone in reverse.
                changes.reverse();
                self.fragment.exchange(id, &mut changes);
            }
            Step::Delete(which) => {
                let Some(id) = self.pick(which) else { return };
                self.fragment.delete(id);
                self.deleted.push((id, self.rows.remove(&id).unwrap()));
            }
            Step::Undelete => {
                let Some((id, row)) = self.deleted.pop() else { return };
                self.fragment.undelete(id);
                self.rows.insert(id, row);
            }
            Step::UndoInsert(row) => {
                let id = self.fragment.insert(&row).unwrap();
                self.fragment.undo_insert(id);
                assert_eq!(self.fragment.insert(&row).unwrap(), id, "the slot is free at once");
                self.rows.insert(id, row);
            }
            Step::Release => {
                self.fragment.release_deleted();
                self.deleted.clear();
            }
            Step::Snapshot => self.snapshots.push((self.fragment.snapshot(), self.rows.clone())),
            Step::Fork => {
                let mut fork = self.fragment.fork();
                for (number, schema) in indexes().into_iter().enumerate() {
                    assert_eq!(fork.add_index(schema), Ok(number));
                }
                self.forks.push((std::mem::replace(&mut self.fragment, fork), self.rows.clone()));
            }
            Step::UpdateForks(which, changes) => {
                for (fragment, rows) in &mut self.forks {
                    let Some(which) = which.checked_rem(rows.len()) else { continue };
                    let (id, row) = rows.iter_mut().nth(which).unwrap();
                    fragment.update(*id, &changes);
                    changes.iter().for_each(|(column, value)| row[*column] = value.clone());
                }
            }
            Step::RebuildIndexes => {
                for (number, schema) in indexes().into_iter().enumerate() {
                    self.fragment.drop_index(number);
                    assert_eq!(self.fragment.add_index(schema), Ok(number));
                }
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.fragment.row_count(), self.rows.len());
        for (id, row) in &self.rows {
            assert!(self.fragment.is_live(*id));
            assert!(same_row(&self.fragment.row(*id).unwrap().values().collect::<Row>(), row));
        }
        let snapshot = self.fragment.snapshot();
        check_snapshot(&snapshot, &self.rows);
        self.snapshots.iter().for_each(|(snapshot, rows)| check_snapshot(snapshot, rows));
        self.forks.iter().for_each(|(fork, rows)| check_snapshot(&fork.snapshot(), rows));
        for (number, schema) in indexes().iter().enumerate() {
            self.check_lookups(number, schema);
            if schema.kind == IndexKind::Ordered {
                self.check_ranges(number, schema);
            }
        }
        self.check_scans();
    }

    /// For each key that there is: its rows and no others.
    fn check_lookups(&self, number: usize, schema: &IndexSchema) {
        let key_of =
            |row: &Row| -> Row { schema.columns.iter().map(|key| row[key.column].clone()).collect() };
        for row in self.rows.values() {
            let key = key_of(row);
            let mut found = Vec::new();
            self.fragment.lookup_all(number, &key, &mut found);
            if key.iter().any(Value::is_null) {
                assert_eq!(found, []);
                assert_eq!(self.fragment.lookup(number, &key), None);
                continue;
            }
            let wanted: Vec<RowId> =
                self.rows.iter().filter(|(_, row)| same_row(&key_of(row), &key)).map(|(id, _)| *id).collect();
            assert!(wanted.contains(&self.fragment.lookup(number, &key).unwrap()));
            if schema.unique && schema.kind == IndexKind::Hash {
                assert!(!found.is_empty() && found.iter().all(|id| wanted.contains(id)));
            } else {
                assert_eq!(found, wanted, "index {number}, key {key:?}");
            }
        }
    }

    /// Ranges between keys that there are, both ways, in batches of different sizes.
    fn check_ranges(&self, number: usize, schema: &IndexSchema) {
        let mut sorted: Vec<(&RowId, &Row)> = self.rows.iter().collect();
        sorted.sort_by(|a, b| compare_keys(schema, a.1, b.1).then(a.0.cmp(b.0)));
        let middle: Option<Row> =
            sorted.get(sorted.len() / 3).map(|(_, row)| vec![row[schema.columns[0].column].clone()]);
        let bounds: Vec<Bound<&[Value]>> = match &middle {
            None => vec![Bound::Unbounded],
            Some(key) => vec![Bound::Unbounded, Bound::Included(key), Bound::Excluded(key)],
        };
        let first = IndexSchema { columns: schema.columns[..1].to_vec(), ..schema.clone() };
        let order = |row: &Row, key: &[Value]| {
            let mut other = row.clone();
            other[first.columns[0].column] = key[0].clone();
            compare_keys(&first, row, &other)
        };
        for (lower, upper) in bounds.iter().flat_map(|lower| bounds.iter().map(move |upper| (*lower, *upper)))
        {
            let mut wanted: Vec<RowId> = sorted
                .iter()
                .filter(|(_, row)| match lower {
                    Bound::Unbounded => true,
                    Bound::Included(key) => order(row, key).is_ge(),
                    Bound::Excluded(key) => order(row, key).is_gt(),
                })
                .filter(|(_, row)| match upper {
                    Bound::Unbounded => true,
                    Bound::Included(key) => order(row, key).is_le(),
                    Bound::Excluded(key) => order(row, key).is_lt(),
                })
                .map(|(id, _)| **id)
                .collect();
            for (reverse, limit) in [(false, 3), (true, 7), (false, 1000), (true, 64)] {
                let found = self.read_range(number, lower, upper, reverse, limit);
                if reverse {
                    wanted.reverse();
                }
                assert_eq!(found, wanted, "index {number} from {lower:?} to {upper:?} reverse {reverse}");
                if reverse {
                    wanted.reverse();
                }
            }
        }
    }

    fn read_range(
        &self,
        number: usize,
        lower: Bound<&[Value]>,
        upper: Bound<&[Value]>,
        reverse: bool,
        limit: usize,
    ) -> Vec<RowId> {
        let mut cursor = self.fragment.range(number, lower, upper, reverse).unwrap();
        let mut found = Vec::new();
        while !cursor.is_done() {
            let mut batch = RowBatch::new();
            self.fragment.range_batch(number, &mut cursor, limit, &mut batch);
            found.extend_from_slice(&batch);
        }
        found
    }

    fn check_scans(&self) {
        let tests = [
            (0, Test::IsNull),
            (2, Test::IsNotNull),
            (0, Test::Integer(Comparison::Less, 6)),
            (0, Test::Integer(Comparison::Equal, 3)),
            (1, Test::Integer(Comparison::GreaterOrEqual, 4)),
            (1, Test::Integer(Comparison::NotEqual, 4)),
            (3, Test::Bool(true)),
            (2, Test::TextEqual("a".into())),
            (2, Test::TextNotEqual("a".into())),
            // A test that does not fit the type.
            (3, Test::Integer(Comparison::Equal, 1)),
        ];
        let predicates = tests.map(|(column, test)| SimplePredicate { column, test });
        self.check_scan(&[]);
        predicates.iter().for_each(|predicate| self.check_scan(std::slice::from_ref(predicate)));
        self.check_scan(&predicates[1..3]);
        self.check_scan(&predicates[4..7]);
    }

    fn check_scan(&self, predicates: &[SimplePredicate]) {
        let wanted: Vec<RowId> = self
            .rows
            .iter()
            .filter(|(_, row)| {
                predicates.iter().all(|predicate| passes(&row[predicate.column], &predicate.test))
            })
            .map(|(id, _)| *id)
            .collect();
        let mut cursor = ScanCursor::new();
        let mut found = Vec::new();
        loop {
            let mut batch = RowBatch::new();
            let more = self.fragment.scan_batch(&mut cursor, predicates, &mut batch);
            found.extend_from_slice(&batch);
            if !more {
                break;
            }
        }
        assert_eq!(found, wanted, "{predicates:?}");
        let mut from = 0;
        let next = || self.fragment.next_match(&mut from, predicates).map(|(row, _)| row);
        let one_by_one = std::iter::from_fn(next);
        assert_eq!(one_by_one.collect::<Vec<_>>(), wanted, "{predicates:?}");
    }
}

fn passes(value: &Value, test: &Test) -> bool {
    match (test, value) {
        (Test::IsNull, _) => value.is_null(),
        (Test::IsNotNull, _) => !value.is_null(),
        (Test::Integer(comparison, constant), Value::Int4(_) | Value::Int8(_)) => {
            let order = value.as_i64().unwrap().cmp(constant);
            match comparison {
                Comparison::Equal => order.is_eq(),
                Comparison::NotEqual => order.is_ne(),
                Comparison::Less => order.is_lt(),
                Comparison::LessOrEqual => order.is_le(),
                Comparison::Greater => order.is_gt(),
                Comparison::GreaterOrEqual => order.is_ge(),
            }
        }
        (Test::Bool(wanted), Value::Bool(value)) => wanted == value,
        (Test::TextEqual(wanted), Value::Text(value)) => wanted == value,
        (Test::TextNotEqual(wanted), Value::Text(value)) => wanted != value,
        _ => false,
    }
}

fn same_row(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| compare(a, b).is_eq())
}

/// The order that SQL gives an index's rows.
fn compare_keys(schema: &IndexSchema, a: &Row, b: &Row) -> std::cmp::Ordering {
    let orders = schema.columns.iter().map(|key| {
        let (a, b) = (&a[key.column], &b[key.column]);
        match (a.is_null(), b.is_null()) {
            (false, false) if key.descending => compare(b, a),
            (false, false) => compare(a, b),
            (a_null, b_null) if key.nulls_first => b_null.cmp(&a_null),
            (a_null, b_null) => a_null.cmp(&b_null),
        }
    });
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

fn check_snapshot(snapshot: &FragmentSnapshot, rows: &Rows) {
    assert_eq!(snapshot.row_count(), rows.len());
    assert!(snapshot.rows().map(|(id, _)| id).eq(rows.keys().copied()));
    for ((_, view), row) in snapshot.rows().zip(rows.values()) {
        assert!(same_row(&view.values().collect::<Row>(), row));
    }
    for chunk in snapshot.chunks() {
        for column in 0..TYPES.len() {
            let values = chunk.rows().filter_map(|(_, row)| row.integer(column));
            let range = values.fold(None, |range: Option<(i64, i64)>, v| {
                Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
            });
            assert_eq!(chunk.bounds(column), range);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fragment_is_its_model(steps in prop::collection::vec(step(), 0..160)) {
        let mut pair = Pair::new();
        for (number, step) in steps.into_iter().enumerate() {
            pair.apply(step);
            if number % 40 == 39 {
                pair.check();
            }
        }
        pair.check();
    }
}
