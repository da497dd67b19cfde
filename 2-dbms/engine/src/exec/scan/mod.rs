//! Scans of one table by the path that [`super::access_path`] chose.

mod first;
mod one;
mod range;
mod spooled;
mod unique;

use arrayvec::ArrayVec;
use tuplix_storage::{ChunkView, Comparison, RowBits, SimplePredicate, Test};
use tuplix_types::{TypeId, Value};

pub(crate) use one::Compared;
pub(crate) use spooled::SpooledScan;
pub(crate) use unique::are_integers;

use super::code::{Code, TestFn};
use super::compare::is_integer;
use super::cost::Estimate;
use super::current_of::CursorName;
use super::explain::Explain;
use super::frame::{Exec, Flow, pack_row};
use super::rows::{Next, Rows, Yield, first};
use super::sort::SortColumn;
use crate::layout::TableAccess;
use crate::stop::Run;
use crate::transaction::{RowBatch, RowRef, Scan};

/// Tests that a scan hands to storage at most; more stay with the filter.
pub(crate) const MAX_TESTS: usize = 8;

/// The tests of a scan, ready for storage.
type Predicates = ArrayVec<SimplePredicate, MAX_TESTS>;

/// Rows asked for up to which they are looked for one by one.
const FEW: usize = 4;

/// A value that is looked up in a column.
pub(crate) struct KeyPart {
    /// The value.
    pub code: Code,
    /// The column's type.
    pub ty: TypeId,
}

/// A value in a column's own representation; `None` when no value of the column equals it.
pub(crate) fn fit(value: Value, ty: TypeId) -> Option<Value> {
    match (ty, &value) {
        (_, Value::Null) => None,
        (TypeId::INT2, Value::Int4(_) | Value::Int8(_)) => {
            i16::try_from(value.as_i64()?).ok().map(Value::Int2)
        }
        (TypeId::INT4, Value::Int2(_) | Value::Int8(_)) => {
            i32::try_from(value.as_i64()?).ok().map(Value::Int4)
        }
        (TypeId::INT8, Value::Int2(_) | Value::Int4(_)) => value.as_i64().map(Value::Int8),
        _ => Some(value),
    }
}

impl KeyPart {
    #[inline(always)]
    fn run(&self, exec: &mut Exec<'_, '_>) -> Run<Option<Value>> {
        if let Code::Slot(slot) = &self.code
            && let value = exec.get(*slot)
            && matches!((self.ty, value), (TypeId::INT4, Value::Int4(_)) | (TypeId::INT8, Value::Int8(_)))
        {
            return Ok(Some(value.clone()));
        }
        Ok(fit(self.code.run(exec)?, self.ty))
    }
}

/// A condition that storage tests itself.
pub(crate) enum TestCode {
    /// A finished test.
    Fixed(SimplePredicate),
    /// column comparison value.
    Compare { column: usize, comparison: Comparison, value: Code },
}

/// All such conditions of a scan.
pub(crate) struct Tests {
    codes: Vec<TestCode>,
    compared: Option<one::Compared>,
}

impl Tests {
    pub(crate) fn new(codes: Vec<TestCode>, access: &TableAccess) -> Tests {
        Tests { compared: one::Compared::of(&codes, access), codes }
    }
}

impl TestCode {
    /// The test, where no value has to be read first.
    fn fixed(&self) -> Option<SimplePredicate> {
        match self {
            TestCode::Fixed(predicate) => Some(predicate.clone()),
            TestCode::Compare { column, comparison, value } => {
                let test = storage_test(*comparison, value.constant()?)?;
                Some(SimplePredicate { column: *column, test })
            }
        }
    }
}

/// Which buckets to look into.
pub(crate) enum Bucket {
    /// The only one.
    Only,
    /// That of a distribution column's value.
    Of(Code),
    /// All.
    All,
}

/// One bound of a range.
pub(crate) struct RangeBound {
    /// The value.
    pub key: KeyPart,
    /// Rows with the very value too.
    pub inclusive: bool,
}

/// How rows are found.
pub(crate) enum Way {
    /// All rows that pass the tests.
    Scan(Tests),
    /// The one row of a unique key.
    Unique {
        index: usize,
        key: Vec<KeyPart>,
        /// They are integers, in an index that finds such.
        integers: bool,
    },
    /// The rows of a key.
    Lookup { index: usize, key: Vec<KeyPart> },
    /// The rows of a key of which the column number `at` is each element of an array.
    Any { index: usize, key: Vec<KeyPart>, at: usize },
    /// The row that a cursor stands on.
    Current(CursorName),
    /// The rows of a range of an ordered index, in its order.
    Range {
        index: usize,
        prefix: Vec<KeyPart>,
        lower: Option<RangeBound>,
        upper: Option<RangeBound>,
        nulls_first: bool,
        reverse: bool,
    },
}

/// Takes rows as they are found.
type Each<'a> = dyn FnMut(&mut Exec<'_, '_>, &[RowRef]) -> Run<Flow> + 'a;

/// Sort keys that the choice of a first row handles.
const MAX_KEYS: usize = 4;

/// See the module.
pub(crate) struct TableScan {
    pub access: TableAccess,
    pub bucket: Bucket,
    pub way: Way,
    /// Columns to read, with their slots.
    pub columns: Vec<(usize, usize)>,
    /// Where to say which row it is.
    pub row: Option<usize>,
    /// Never NULL for a row of the table.
    pub present: Option<usize>,
    pub filter: Option<TestFn>,
    /// Functions of the catalogue are called for each row; one may delete a row that is still to come.
    pub recheck: bool,
    /// Rows that are likely to be asked for, where they are few.
    pub few: Option<usize>,
    /// Lines for EXPLAIN.
    pub text: Vec<String>,
    /// What it is estimated to do, for EXPLAIN.
    pub estimate: Option<Estimate>,
}

impl Rows for TableScan {
    #[inline]
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        if self.is_unique() {
            return match self.find(exec)? {
                Some(_) => next(exec),
                None => Ok(Flow::Continue),
            };
        }
        self.rows(exec, &mut |exec, batch| {
            for row in batch {
                if self.emit(exec, *row, next)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
            Ok(Flow::Continue)
        })
    }

    /// Only the keys are read of each row; the other columns of the first one alone.
    fn run_first(
        &self,
        exec: &mut Exec<'_, '_>,
        order: &[SortColumn],
        saved: &[usize],
        next: &mut Next<'_>,
    ) -> Option<Run<Flow>> {
        if self.filter.is_some() || self.recheck || order.len() > MAX_KEYS {
            return None;
        }
        let mut keys = ArrayVec::<(usize, &SortColumn), MAX_KEYS>::new();
        for key in order {
            let (column, _) = self.columns.iter().find(|(_, slot)| *slot == saved[key.at])?;
            keys.push((*column, key));
        }
        Some(match keys[..] {
            [(column, key)] if is_integer(self.access.table.columns[column].ty) => {
                self.first_integer(exec, column, key, next)
            }
            _ => self.first(exec, &keys, next),
        })
    }

    fn yields(&self) -> Yield {
        if self.is_unique() { Yield::One } else { Yield::First }
    }

    fn one(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        match &self.way {
            Way::Unique { .. } if self.is_unique() => Ok(self.find(exec)?.is_some()),
            Way::Scan(tests) if !matches!(self.bucket, Bucket::All) && !exec.tx.is_interactive() => {
                self.first_match(exec, tests)
            }
            _ => {
                let mut found = false;
                self.run(exec, &mut first(&mut found))?;
                Ok(found)
            }
        }
    }

    fn expect_few(&mut self, rows: usize) {
        self.few = Some(rows);
    }

    fn table_scan(&self) -> Option<&TableScan> {
        Some(self)
    }

    fn explain(&self, out: &mut Explain) {
        let node = out.next_line();
        let mut lines = self.text.iter();
        if let Some(first) = lines.next() {
            out.line(first);
        }
        lines.for_each(|line| out.note(line));
        if let Some(estimate) = self.estimate {
            out.estimated(node, estimate);
        }
    }
}

impl TableScan {
    /// Whether it looks for one key of a unique index in one bucket.
    #[inline(always)]
    pub(crate) fn is_unique(&self) -> bool {
        matches!(self.way, Way::Unique { .. }) && !matches!(self.bucket, Bucket::All)
    }

    /// Gives all rows of all buckets that may have some.
    #[inline]
    fn rows(&self, exec: &mut Exec<'_, '_>, each: &mut Each<'_>) -> Run<Flow> {
        match self.only_bucket(exec)? {
            Some(bucket) => self.one_bucket(exec, bucket, each),
            None if matches!(self.bucket, Bucket::All) => self.all_buckets(exec, each),
            None => Ok(Flow::Continue),
        }
    }

    /// The one bucket to look into; `None` when it is all of them, or no row can be what is looked for.
    #[inline(always)]
    fn only_bucket(&self, exec: &mut Exec<'_, '_>) -> Run<Option<u16>> {
        let bucket = |exec: &Exec<'_, '_>, value: &Value| {
            if value.is_null() { None } else { Some(exec.tx.bucket_of(&self.access, value)) }
        };
        Ok(match &self.bucket {
            Bucket::Only => Some(0),
            Bucket::Of(Code::Slot(slot)) => bucket(exec, exec.get(*slot)),
            Bucket::Of(code) => {
                let value = code.run(exec)?;
                bucket(exec, &value)
            }
            Bucket::All => None,
        })
    }

    /// Whether all that is asked of it is which chunks there are and which of their rows pass.
    pub(crate) fn goes_by_chunk(&self) -> bool {
        matches!(self.way, Way::Scan(_))
            && self.filter.is_none()
            && self.row.is_none()
            && self.present.is_none()
            && self.few.is_none()
            && !self.recheck
    }

    /// Gives the chunks with which of their rows pass, where [`TableScan::goes_by_chunk`] and nobody has an overlay.
    pub(crate) fn chunks(
        &self,
        exec: &mut Exec<'_, '_>,
        visit: &mut dyn FnMut(&ChunkView<'_>, &RowBits),
    ) -> Run<()> {
        let Way::Scan(tests) = &self.way else { return Ok(()) };
        let buckets = match self.only_bucket(exec)? {
            Some(bucket) => bucket..bucket + 1,
            None if matches!(self.bucket, Bucket::All) => {
                exec.tx.require_all(&self.access)?;
                0..self.access.buckets
            }
            None => return Ok(()),
        };
        let mut made = Predicates::new();
        if !predicates(exec, &tests.codes, &mut made)? {
            return Ok(());
        }
        let read = self.columns.iter().map(|(column, _)| *column).chain(made.iter().map(|test| test.column));
        let columns: Vec<usize> = read.collect();
        for bucket in buckets {
            let visit = &mut |chunk: &ChunkView<'_>| visit(chunk, &chunk.select(&made));
            exec.tx.visit_chunks(&self.access, bucket, &columns, visit)?;
        }
        Ok(())
    }

    #[cold]
    fn all_buckets(&self, exec: &mut Exec<'_, '_>, each: &mut Each<'_>) -> Run<Flow> {
        if let Way::Current(cursor) = &self.way {
            return self.current(exec, cursor, each);
        }
        exec.tx.require_all(&self.access)?;
        for bucket in 0..self.access.buckets {
            if self.one_bucket(exec, bucket, each)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    #[inline]
    fn one_bucket(&self, exec: &mut Exec<'_, '_>, bucket: u16, each: &mut Each<'_>) -> Run<Flow> {
        match &self.way {
            Way::Unique { index, key, .. } => match self.unique(exec, bucket, *index, key)? {
                Some(row) => each(exec, &[row]),
                None => Ok(Flow::Continue),
            },
            Way::Scan(tests) => self.scan(exec, bucket, tests, each),
            Way::Lookup { index, key } => self.lookup(exec, bucket, *index, key, each),
            Way::Current(cursor) => self.current(exec, cursor, each),
            Way::Any { index, key, at } => self.any(exec, bucket, *index, key, *at, each),
            Way::Range { .. } => self.range(exec, bucket, each),
        }
    }

    /// Gives one row on.
    #[inline]
    fn emit(&self, exec: &mut Exec<'_, '_>, row: RowRef, next: &mut Next<'_>) -> Run<Flow> {
        if self.take(exec, row)? { next(exec) } else { Ok(Flow::Continue) }
    }

    /// Puts what is needed of a row into its slots; false when the row is not one of the scan's.
    #[inline]
    fn take(&self, exec: &mut Exec<'_, '_>, row: RowRef) -> Run<bool> {
        if self.recheck && !exec.tx.is_live(row) {
            return Ok(false);
        }
        exec.read_row(row, &self.columns);
        self.accept(exec, row)
    }

    /// As [`TableScan::accept`], of a row that lies in no fragment.
    fn accept_values(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        if let Some(slot) = self.present {
            exec.set(slot, Value::Bool(true));
        }
        match &self.filter {
            Some(filter) => filter(exec),
            None => Ok(true),
        }
    }

    /// As [`TableScan::take`], of a row whose columns are in their slots.
    #[inline(always)]
    fn accept(&self, exec: &mut Exec<'_, '_>, row: RowRef) -> Run<bool> {
        self.mark(exec, row);
        match &self.filter {
            Some(filter) => filter(exec),
            None => Ok(true),
        }
    }

    /// Says which row it is, and that there is one.
    #[inline(always)]
    fn mark(&self, exec: &mut Exec<'_, '_>, row: RowRef) {
        if let Some(slot) = self.row {
            exec.set(slot, pack_row(row));
        }
        if let Some(slot) = self.present {
            exec.set(slot, Value::Bool(true));
        }
    }

    /// The values of a key, `false` when one of them can equal no row's.
    #[inline]
    fn key(&self, exec: &mut Exec<'_, '_>, parts: &[KeyPart], key: &mut Vec<Value>) -> Run<bool> {
        for part in parts {
            match part.run(exec)? {
                Some(value) => key.push(value),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn lookup(
        &self,
        exec: &mut Exec<'_, '_>,
        bucket: u16,
        index: usize,
        parts: &[KeyPart],
        each: &mut Each<'_>,
    ) -> Run<Flow> {
        let mut key = exec.take_buffer();
        let mut flow = Flow::Continue;
        if self.key(exec, parts, &mut key)? {
            flow = self.rows_of(exec, bucket, index, &key, each)?;
        }
        exec.give_buffer(key);
        Ok(flow)
    }

    fn rows_of(
        &self,
        exec: &mut Exec<'_, '_>,
        bucket: u16,
        index: usize,
        key: &[Value],
        each: &mut Each<'_>,
    ) -> Run<Flow> {
        let mut rows = exec.stack.rows.pop().unwrap_or_default();
        exec.tx.lookup(&self.access, bucket, index, key, &mut rows)?;
        let flow = each(exec, &rows)?;
        rows.clear();
        exec.stack.rows.push(rows);
        Ok(flow)
    }

    fn any(
        &self,
        exec: &mut Exec<'_, '_>,
        bucket: u16,
        index: usize,
        parts: &[KeyPart],
        at: usize,
        each: &mut Each<'_>,
    ) -> Run<Flow> {
        let Value::Array(array) = parts[at].code.run(exec)? else { return Ok(Flow::Continue) };
        let mut key = Vec::with_capacity(parts.len());
        for (number, part) in parts.iter().enumerate() {
            let value = if number == at { Some(Value::Null) } else { part.run(exec)? };
            let Some(value) = value else { return Ok(Flow::Continue) };
            key.push(value);
        }
        let mut elements: Vec<Value> =
            array.elements.iter().filter_map(|element| fit(element.clone(), parts[at].ty)).collect();
        elements.sort();
        elements.dedup();
        for element in elements {
            key[at] = element;
            exec.check_interrupts()?;
            if self.rows_of(exec, bucket, index, &key, each)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn scan(&self, exec: &mut Exec<'_, '_>, bucket: u16, tests: &Tests, each: &mut Each<'_>) -> Run<Flow> {
        let mut made = Predicates::new();
        if !predicates(exec, &tests.codes, &mut made)? {
            return Ok(Flow::Continue);
        }
        if self.few.is_some_and(|rows| rows <= FEW) && !exec.tx.is_interactive() {
            return self.few_rows(exec, bucket, &made, each);
        }
        let mut scan = self.few.map_or_else(Scan::default, Scan::few);
        let mut batch = RowBatch::new();
        loop {
            let more = exec.tx.scan(&self.access, bucket, &mut scan, &made, &mut batch)?;
            if each(exec, &batch)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            if !more {
                return Ok(Flow::Continue);
            }
            exec.check_interrupts()?;
        }
    }

    /// One row after the other, where few are asked for.
    fn few_rows(
        &self,
        exec: &mut Exec<'_, '_>,
        bucket: u16,
        predicates: &[SimplePredicate],
        each: &mut Each<'_>,
    ) -> Run<Flow> {
        let mut from = 0;
        while let Some((row, _)) = exec.tx.next_match(&self.access, bucket, &mut from, predicates)? {
            if each(exec, &[row])? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            exec.check_interrupts()?;
        }
        Ok(Flow::Continue)
    }
}

/// What storage tests; false when no row can pass.
fn predicates(exec: &mut Exec<'_, '_>, tests: &[TestCode], predicates: &mut Predicates) -> Run<bool> {
    for test in tests {
        match test {
            TestCode::Fixed(predicate) => predicates.push(predicate.clone()),
            TestCode::Compare { column, comparison, value } => {
                let test = match value {
                    Code::Slot(slot) => storage_test(*comparison, exec.get(*slot)),
                    value => storage_test(*comparison, &value.run(exec)?),
                };
                let Some(test) = test else { return Ok(false) };
                predicates.push(SimplePredicate { column: *column, test });
            }
        }
    }
    Ok(true)
}

/// The test of a column against a value; `None` when no row can pass (NULL).
#[inline]
fn storage_test(comparison: Comparison, value: &Value) -> Option<Test> {
    Some(match value {
        Value::Int4(v) => Test::Integer(comparison, i64::from(*v)),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) => {
            Test::Integer(comparison, *v)
        }
        Value::Int2(v) => Test::Integer(comparison, i64::from(*v)),
        Value::Date(v) => Test::Integer(comparison, i64::from(*v)),
        Value::Oid(v) => Test::Integer(comparison, i64::from(*v)),
        Value::Bool(v) => Test::Bool(*v == (comparison == Comparison::Equal)),
        Value::Text(v) if comparison == Comparison::Equal => Test::TextEqual(v.clone()),
        Value::Text(v) => Test::TextNotEqual(v.clone()),
        _ => return None,
    })
}

/// Whether storage can test a column of this type by this comparison.
pub(crate) fn storage_tests(ty: TypeId, comparison: Comparison) -> bool {
    match ty {
        TypeId::INT2
        | TypeId::INT4
        | TypeId::INT8
        | TypeId::OID
        | TypeId::DATE
        | TypeId::TIME
        | TypeId::TIMESTAMP
        | TypeId::TIMESTAMPTZ => true,
        TypeId::BOOL | TypeId::TEXT | TypeId::VARCHAR => {
            matches!(comparison, Comparison::Equal | Comparison::NotEqual)
        }
        _ => false,
    }
}
