//! The columns that an expression names.

use std::collections::BTreeSet;

use pg_query::protobuf::Node;

use super::walk::{Visitor, walk};

/// Deeper than anything that the parser lets through.
const DEPTH_MAX: usize = 10_000;

/// The names of the columns in an expression, without their tables'.
pub(crate) fn column_names(expression: &Node) -> BTreeSet<String> {
    let mut columns = Columns::default();
    // Giving up at a depth that cannot be only means fewer names.
    walk(expression, &mut columns, DEPTH_MAX);
    columns.found
}

#[derive(Default)]
struct Columns {
    inside: bool,
    last: Option<String>,
    found: BTreeSet<String>,
}

impl Visitor for Columns {
    fn enter(&mut self, name: &'static str, _: (&'static str, &'static str)) {
        self.inside |= name == "ColumnRef";
    }

    fn number(&mut self, _: &'static str, _: &'static str, _: i64) {}

    fn text(&mut self, name: &'static str, _: &'static str, value: &str) {
        if self.inside && name == "String" {
            self.last = Some(value.to_owned());
        }
    }

    fn present(&mut self, _: &'static str, _: &'static str, _: usize) {}

    fn leave(&mut self, name: &'static str) {
        if name == "ColumnRef" {
            self.inside = false;
            self.found.extend(self.last.take());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use pg_query::protobuf::node::Node as NodeEnum;

    use super::*;

    #[test]
    fn names_without_tables() {
        let select = super::super::parse_expression("lower(t.a) = 'b' AND \"C\" > a").unwrap();
        let Some(NodeEnum::ResTarget(target)) = &select.target_list[0].node else { panic!("no target") };
        let names = column_names(target.val.as_deref().unwrap());
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["C", "a"]);
    }
}
