//! GROUP BY: keys, and the sets of them that GROUPING SETS, ROLLUP and CUBE mean (`transformGroupClause`,
//! `expand_grouping_sets`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{CoercionForm, GroupingFunc, GroupingSet, GroupingSetKind, Node};
use tuplix_types::{Result, SqlError, SqlState, TypeId, sqlstate};

use super::equal::same;
use super::targets::Target;
use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind};

/// Most sets of a query, and elements of a CUBE.
const SETS_MAX: usize = 4096;
const CUBE_MAX: usize = 12;

/// A set: positions of keys.
type Set = Vec<usize>;

/// The keys of GROUP BY.
#[derive(Debug, Default)]
pub(super) struct GroupKeys {
    /// The keys.
    pub list: Vec<Expr>,
    /// The grouping sets, where there is more than GROUP BY all keys.
    pub sets: Option<Vec<Set>>,
}

impl GroupKeys {
    /// Adds a key that depends on those in every set.
    pub(super) fn push(&mut self, key: Expr) {
        for set in self.sets.iter_mut().flatten() {
            set.push(self.list.len());
        }
        self.list.push(key);
    }

    /// The keys that are in every set.
    pub(super) fn common(&self) -> impl Iterator<Item = &Expr> {
        let in_all = |at: &usize| self.sets.iter().flatten().all(|set| set.contains(at));
        (0..self.list.len()).filter(in_all).map(|at| &self.list[at])
    }
}

impl Analyzer<'_> {
    /// GROUP BY.
    pub(super) fn group_by(
        &mut self,
        clause: &[Node],
        targets: &[Target],
        distinct: bool,
    ) -> Result<GroupKeys> {
        let mut keys = Vec::new();
        let mut sets: Vec<Set> = vec![Vec::new()];
        let mut plain = true;
        for node in clause {
            plain &= !matches!(nodes::inner(node)?, NodeEnum::GroupingSet(_));
            let item = self.grouping_item(node, targets, &mut keys)?;
            if sets.len() * item.len() > SETS_MAX {
                let message = format!("too many grouping sets present (maximum {SETS_MAX})");
                return Err(SqlError::new(SqlState(*b"54001"), message).at(self.at(nodes::location(node))));
            }
            let pairs = sets.iter().flat_map(|left| item.iter().map(move |right| union(left, right)));
            sets = pairs.collect();
        }
        if distinct {
            let mut once: Vec<Set> = Vec::new();
            for mut set in sets {
                set.sort_unstable();
                if !once.contains(&set) {
                    once.push(set);
                }
            }
            sets = once;
        }
        let trivial = plain || matches!(&sets[..], [only] if only.len() == keys.len());
        Ok(GroupKeys { list: keys, sets: (!trivial).then_some(sets) })
    }

    /// The sets of an item.
    fn grouping_item(&mut self, node: &Node, targets: &[Target], keys: &mut Vec<Expr>) -> Result<Vec<Set>> {
        let NodeEnum::GroupingSet(set) = nodes::inner(node)? else {
            return Ok(vec![self.grouping_element(node, targets, keys)?]);
        };
        match GroupingSetKind::try_from(set.kind) {
            Ok(GroupingSetKind::GroupingSetEmpty) => Ok(vec![Vec::new()]),
            Ok(GroupingSetKind::GroupingSetRollup) => {
                let elements = self.grouping_elements(set, targets, keys)?;
                let prefix = |len: usize| elements[..len].iter().fold(Vec::new(), |set, e| union(&set, e));
                Ok((0..=elements.len()).rev().map(prefix).collect())
            }
            Ok(GroupingSetKind::GroupingSetCube) => {
                if set.content.len() > CUBE_MAX {
                    let message = format!("CUBE is limited to {CUBE_MAX} elements");
                    return Err(SqlError::new(SqlState(*b"54011"), message).at(self.at(set.location)));
                }
                let elements = self.grouping_elements(set, targets, keys)?;
                let subset = |bits: usize| {
                    let chosen = elements.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
                    chosen.fold(Vec::new(), |set, (_, element)| union(&set, element))
                };
                Ok((0..1_usize << elements.len()).rev().map(subset).collect())
            }
            _ => {
                let mut sets = Vec::new();
                for item in &set.content {
                    sets.extend(self.grouping_item(item, targets, keys)?);
                }
                Ok(sets)
            }
        }
    }

    fn grouping_elements(
        &mut self,
        set: &GroupingSet,
        targets: &[Target],
        keys: &mut Vec<Expr>,
    ) -> Result<Vec<Set>> {
        set.content.iter().map(|node| self.grouping_element(node, targets, keys)).collect()
    }

    /// An expression, or several in parentheses: `GROUP BY (a, b)` is `GROUP BY a, b`.
    fn grouping_element(&mut self, node: &Node, targets: &[Target], keys: &mut Vec<Expr>) -> Result<Set> {
        let parts = match nodes::inner(node)? {
            NodeEnum::RowExpr(row) if row.row_format == CoercionForm::CoerceImplicitCast as i32 => &row.args,
            _ => std::slice::from_ref(node),
        };
        let mut set = Vec::new();
        for part in parts {
            let value = self.group_key(part, targets)?;
            let at = keys.iter().position(|key| same(key, &value)).unwrap_or(keys.len());
            if at == keys.len() {
                keys.push(value);
            }
            if !set.contains(&at) {
                set.push(at);
            }
        }
        Ok(set)
    }

    /// `GROUPING(a, b)`; its arguments become keys when the query is checked.
    pub(super) fn grouping_function(&mut self, node: &GroupingFunc) -> Result<Expr> {
        let position = self.at(node.location);
        let clause = self.clause();
        if !clause.takes_aggregates() {
            let message = format!("grouping operations are not allowed in {}", clause.name());
            return Err(SqlError::new(sqlstate::GROUPING_ERROR, message).at(position));
        }
        if node.args.len() > 31 {
            let message = "GROUPING must have fewer than 32 arguments";
            return Err(SqlError::new(SqlState(*b"54023"), message).at(position));
        }
        let arguments = self.expressions(&node.args)?;
        self.scope().groupings += 1;
        Ok(self.made(ExprKind::Grouping(arguments), TypeId::INT4, node.location))
    }
}

/// The keys of both, each once.
fn union(left: &[usize], right: &[usize]) -> Set {
    let mut set = left.to_vec();
    set.extend(right.iter().filter(|key| !left.contains(key)));
    set
}
