//! Compiles the scan of one table: path, key values, tests for storage, filter.

use std::collections::BTreeSet;

use tuplix_catalog::TableId;
use tuplix_sql::plan::{Expr, ExprKind, RelationId};
use tuplix_storage::{SimplePredicate, Test};
use tuplix_types::{Result, TypeId};

use super::access_path::{Choice, Indexes, Key, Keys, Path, Wish, column_comparison, keys_of, plain_column};
use super::builder::Builder;
use super::cost::{Estimate, Pricing};
use super::scan::{Bucket, KeyPart, MAX_TESTS, RangeBound, TableScan, TestCode, Tests, Way, storage_tests};
use super::walk::Facts;
use crate::layout::{Placement, TableAccess};

impl Builder<'_> {
    /// Compiles the scan of a table under conditions that may also read relations bound before. Says whether rows come
    /// in the wished order.
    pub(crate) fn table_scan(
        &mut self,
        relation: RelationId,
        table: TableId,
        conditions: &[&Expr],
        wish: &Wish,
    ) -> Result<(TableScan, bool)> {
        let access = self.table(table)?.clone();
        if let Some(cursor) = self.current_of.remove(&relation) {
            return Ok((self.current_row_scan(relation, access, conditions, &cursor)?, false));
        }
        // Tested before whatever the statement asks.
        let security = self.security_of(relation);
        let mut all = Vec::new();
        security.iter().for_each(|security| super::walk::conjuncts(security, &mut all));
        all.extend(conditions);
        let conditions = &all[..];
        let indexes = Indexes::of(self.context, &access, relation, conditions)?;
        let keys = keys_of(&access, relation, conditions, &indexes);
        self.tables.insert(relation, table);
        let pricing = Pricing { estimator: self.estimator(), relation, conditions };
        let path = match access.table.spooled {
            true => Path { choice: Choice::Scan, score: 0, ordered: false },
            false => keys.choose(&access, &indexes, wish, &pricing),
        };
        let explained = self.context.measure.is_some();
        let mut estimate = explained.then(|| {
            let path = (&path.choice, path.ordered);
            pricing.price(&access, &indexes, &keys, path, &Wish::default())
        });
        let mut used = BTreeSet::new();
        let way = match &path.choice {
            Choice::Scan => self.tests(&access, relation, conditions, &indexes, &mut used)?,
            choice => self.way(&access, &keys, &indexes, choice, &mut used)?,
        };
        // A column that only the path looks at is not read.
        for number in &used {
            self.needed.remove(relation, conditions[*number]);
        }
        self.add_table(relation, &access);
        let mut text = vec![String::new()];
        let bucket = self.bucket(&access, &keys, &mut text)?;
        let name = self.name(relation);
        let label = if name == access.table.name { name } else { format!("{} {name}", access.table.name) };
        text[0] = match way_index(&way) {
            None => format!("Seq Scan on {label}"),
            Some(index) => format!("Index Scan using {} on {label}", access.table.indexes[index].name),
        };
        // A range's bounds are tested again, which is not worth a line.
        let ranged = keys.bounds_of(&access, &path.choice);
        let by_path = |number: &usize| used.contains(number) || ranged.contains(number);
        let condition = |(_, condition): (usize, &&Expr)| self.text(condition);
        let by_index: Vec<String> =
            conditions.iter().enumerate().filter(|(n, _)| by_path(n)).map(condition).collect();
        if !by_index.is_empty() {
            let verb = if way_index(&way).is_some() { "Index Cond" } else { "Chunk Test" };
            text.push(format!("{verb}: {}", by_index.join(" AND ")));
        }
        let filters: Vec<String> =
            conditions.iter().enumerate().filter(|(n, _)| !by_path(n)).map(condition).collect();
        if !filters.is_empty() {
            text.push(format!("Filter: {}", filters.join(" AND ")));
        }
        let rest: Vec<&Expr> = conditions
            .iter()
            .enumerate()
            .filter(|(n, _)| !used.contains(n))
            .map(|(_, condition)| *condition)
            .collect();
        let filter = self.filter(&rest)?;
        let slots = self.relations.get(&relation).cloned().unwrap_or_default();
        let columns: Vec<(usize, usize)> = slots
            .columns
            .iter()
            .enumerate()
            .filter_map(|(column, slot)| slot.map(|slot| (column, slot)))
            .collect();
        if let Some(estimate) = &mut estimate {
            let widths = columns.iter().map(|(column, _)| self.estimator().width(&access, *column));
            // The sum of no floats is -0.
            estimate.width = widths.fold(0.0, |sum, width| sum + width);
            self.estimate = *estimate;
        }
        let scan = TableScan {
            access,
            bucket,
            way,
            columns,
            row: slots.row,
            present: slots.present,
            filter,
            recheck: self.user_calls,
            few: None,
            text,
            estimate,
        };
        self.reads_more |= !scan.is_unique();
        Ok((scan, path.ordered))
    }

    /// Gives a table's relation its slots, once.
    pub(crate) fn add_table(&mut self, relation: RelationId, access: &TableAccess) {
        let row = self.relations.get(&relation).and_then(|slots| slots.row);
        let whole = self.needed.is_whole(relation).then(|| self.slot());
        let slots = self.add_relation(relation, access.table.columns.len());
        slots.table = Some(access.clone());
        slots.row = row;
        slots.present = whole;
    }

    fn bucket(&mut self, access: &TableAccess, keys: &Keys<'_>, text: &mut Vec<String>) -> Result<Bucket> {
        let Placement::Hash { column } = access.placement else { return Ok(Bucket::Only) };
        match keys.equal.get(&column) {
            Some(key) => {
                text.push(format!("Bucket: of {}", self.text(key.value)));
                Ok(Bucket::Of(self.expr(key.value)?))
            }
            None => {
                text.push(format!("Buckets: all {}", access.buckets));
                Ok(Bucket::All)
            }
        }
    }

    /// A scan with the conditions that storage can test itself.
    fn tests(
        &mut self,
        access: &TableAccess,
        relation: RelationId,
        conditions: &[&Expr],
        indexes: &Indexes<'_>,
        used: &mut BTreeSet<usize>,
    ) -> Result<Way> {
        let mut tests = Vec::new();
        for (number, condition) in conditions.iter().enumerate() {
            if tests.len() == MAX_TESTS {
                break;
            }
            if let Some(test) = self.storage_test(access, relation, condition, indexes)? {
                tests.push(test);
                used.insert(number);
            }
        }
        Ok(Way::Scan(Tests::new(tests, access)))
    }

    fn storage_test(
        &mut self,
        access: &TableAccess,
        relation: RelationId,
        node: &Expr,
        indexes: &Indexes<'_>,
    ) -> Result<Option<TestCode>> {
        let fixed = |column, test| Ok(Some(TestCode::Fixed(SimplePredicate { column, test })));
        match &node.kind {
            ExprKind::IsNull { argument, negated } if !argument.ty.is_row() => {
                let Some(column) = plain_column(argument, relation) else { return Ok(None) };
                return fixed(column, if *negated { Test::IsNotNull } else { Test::IsNull });
            }
            ExprKind::Column { .. } if node.ty == TypeId::BOOL => {
                let Some(column) = plain_column(node, relation) else { return Ok(None) };
                return fixed(column, Test::Bool(true));
            }
            ExprKind::Not(inner) if inner.ty == TypeId::BOOL => {
                let Some(column) = plain_column(inner, relation) else { return Ok(None) };
                return fixed(column, Test::Bool(false));
            }
            _ => {}
        }
        let found = column_comparison(node, relation, access, indexes);
        let Some((column, comparison, value)) =
            found.filter(|(column, ..)| *column < access.table.columns.len())
        else {
            return Ok(None);
        };
        // A value that costs more than reading a slot may fail where no row would have asked for it.
        let cheap = matches!(
            value.kind,
            ExprKind::Constant(_) | ExprKind::Parameter(_) | ExprKind::Variable(_) | ExprKind::Column { .. }
        );
        if !cheap || !storage_tests(access.table.columns[column].ty, comparison) {
            return Ok(None);
        }
        Ok(Some(TestCode::Compare { column, comparison, value: self.expr(value)? }))
    }

    fn key_part(
        &mut self,
        access: &TableAccess,
        indexes: &Indexes<'_>,
        column: usize,
        key: &Key<'_>,
    ) -> Result<KeyPart> {
        let ty = indexes.type_of(access, column).unwrap_or(key.value.ty);
        Ok(KeyPart { code: self.expr(key.value)?, ty })
    }

    fn way(
        &mut self,
        access: &TableAccess,
        keys: &Keys<'_>,
        indexes: &Indexes<'_>,
        choice: &Choice,
        used: &mut BTreeSet<usize>,
    ) -> Result<Way> {
        let (index, equal, any) = match choice {
            Choice::Scan => return Ok(Way::Scan(Tests::new(Vec::new(), access))),
            Choice::Lookup { index, .. } => (*index, usize::MAX, None),
            Choice::Any { index, any } => (*index, usize::MAX, Some(*any)),
            Choice::Range { index, equal, .. } => (*index, *equal, None),
        };
        let definition = indexes.get(index).clone();
        let mut key = Vec::new();
        let mut at = 0;
        for (number, part) in definition.columns.iter().take(equal).enumerate() {
            let source = if any == Some(part.column) {
                at = number;
                keys.any.get(&part.column)
            } else {
                keys.equal.get(&part.column)
            };
            let source = source.expect("invariant: the chosen index has a condition for each key column");
            used.insert(source.condition);
            key.push(self.key_part(access, indexes, part.column, source)?);
        }
        Ok(match choice {
            Choice::Lookup { unique: true, .. } => {
                let integers = super::scan::are_integers(access, index, &key);
                Way::Unique { index, key, integers }
            }
            Choice::Any { .. } => Way::Any { index, key, at },
            Choice::Range { reverse, .. } => {
                let next = definition.columns.get(equal);
                let bound = |key: Option<&Key<'_>>, builder: &mut Self| -> Result<Option<RangeBound>> {
                    let Some((key, next)) = key.zip(next) else { return Ok(None) };
                    let inclusive = key.inclusive;
                    Ok(Some(RangeBound {
                        key: builder.key_part(access, indexes, next.column, key)?,
                        inclusive,
                    }))
                };
                let above = bound(next.and_then(|next| keys.lower.get(&next.column)), self)?;
                let below = bound(next.and_then(|next| keys.upper.get(&next.column)), self)?;
                let descending = next.is_some_and(|next| next.descending);
                let (lower, upper) = if descending { (below, above) } else { (above, below) };
                let nulls_first = next.is_some_and(|next| next.nulls_first);
                Way::Range { index, prefix: key, lower, upper, nulls_first, reverse: *reverse }
            }
            Choice::Lookup { .. } | Choice::Scan => Way::Lookup { index, key },
        })
    }

    /// The path that conditions give when it reads one of `bound`, and whether it finds one row at most: then the scan is
    /// cheap for each row of those.
    pub(crate) fn keyed_path(
        &self,
        relation: RelationId,
        table: TableId,
        conditions: &[&Expr],
        bound: &BTreeSet<RelationId>,
    ) -> Result<Option<(Estimate, bool)>> {
        let access = self.table(table)?;
        if access.table.spooled {
            return Ok(None);
        }
        let indexes = Indexes::of(self.context, access, relation, conditions)?;
        let keys = keys_of(access, relation, conditions, &indexes);
        let reads = |key: &Key<'_>| !Facts::of_expr(key.value).needed.relations().is_disjoint(bound);
        let pricing = Pricing { estimator: self.estimator(), relation, conditions };
        let path = keys.choose(access, &indexes, &Wish::default(), &pricing);
        let index = match path.choice {
            Choice::Scan => return Ok(None),
            Choice::Lookup { index, .. } | Choice::Any { index, .. } | Choice::Range { index, .. } => index,
        };
        let columns = indexes.get(index).columns.iter().map(|key| key.column);
        let sources = |column: usize| {
            [&keys.equal, &keys.any, &keys.lower, &keys.upper]
                .into_iter()
                .filter_map(move |map| map.get(&column))
        };
        // The distribution column narrows a scan to a bucket; that alone does not make it cheap.
        let distribution = match access.placement {
            Placement::Hash { column } => Some(column),
            _ => None,
        };
        if !columns.filter(|column| Some(*column) != distribution).flat_map(sources).any(reads) {
            return Ok(None);
        }
        let unique = matches!(path.choice, Choice::Lookup { unique: true, .. });
        let estimate = pricing.price(access, &indexes, &keys, (&path.choice, path.ordered), &Wish::default());
        Ok(Some((estimate, unique)))
    }
}

fn way_index(way: &Way) -> Option<usize> {
    match way {
        Way::Scan(_) | Way::Current(_) => None,
        Way::Unique { index, .. }
        | Way::Lookup { index, .. }
        | Way::Any { index, .. }
        | Way::Range { index, .. } => Some(*index),
    }
}
