//! Statements as trees that know which of their parts may go.
//!
//! The generator builds a [`Tree`] instead of a text; the shrinker asks it for smaller ones ([`Tree::smaller`]). Whether a
//! smaller one is still valid SQL nobody has to know: what both engines refuse alike is no difference and not taken.

use tuplix_types::TypeId;

/// What a [`Tree::Node`] is: it may be replaced by a part of the same sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sort {
    /// An expression.
    Value(TypeId),
    /// A query with these columns.
    Query(Vec<TypeId>),
    /// An item of FROM.
    From,
    /// Statements of a PL/pgSQL block.
    Block,
}

/// A part of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// As it is.
    Text(String),
    /// One after the other.
    Sequence(Vec<Tree>),
    /// A part with a meaning.
    Node(Sort, Box<Tree>),
    /// May be left out.
    Optional(Box<Tree>),
    /// Items may be left out down to a number.
    List(Vec<Tree>, &'static str, usize),
    /// A constant, `None` for NULL; a parameter in a prepared statement.
    Literal(TypeId, Option<String>),
    /// An item of lists, left out of all of them at once: a column of a table, of its rows, of a result.
    Tagged(u32, Box<Tree>),
    /// The ORDER BY that makes the result a sequence.
    TotalOrder(Box<Tree>),
    /// A LIMIT of rows in no order: which ones come is open, not from where.
    LooseLimit(Box<Tree>),
}

/// A text.
pub fn text(text: impl Into<String>) -> Tree {
    Tree::Text(text.into())
}

/// Parts in a row.
pub fn seq(parts: impl IntoIterator<Item = Tree>) -> Tree {
    Tree::Sequence(parts.into_iter().collect())
}

/// An expression.
pub fn value(ty: TypeId, body: Tree) -> Tree {
    Tree::Node(Sort::Value(ty), Box::new(body))
}

/// Something that may be left out.
pub fn optional(body: Tree) -> Tree {
    Tree::Optional(Box::new(body))
}

/// A list with commas, of at least one item.
pub fn list(items: Vec<Tree>) -> Tree {
    Tree::List(items, ", ", 1)
}

/// How a tree becomes a text.
#[derive(Debug, Default)]
pub struct Rendering {
    /// The text.
    pub sql: String,
    /// Constants become parameters, whose values these are.
    pub parameters: Option<Vec<String>>,
    /// Leave out [`Tree::LooseLimit`].
    pub without_limit: bool,
}

/// A constant as SQL writes it.
pub fn literal(ty: TypeId, text: Option<&str>) -> String {
    let name = crate::values::name(ty);
    match text {
        None => format!("NULL::{name}"),
        Some(text) => format!("'{}'::{name}", text.replace('\'', "''")),
    }
}

impl Tree {
    /// Its text, constants in place.
    pub fn sql(&self) -> String {
        let mut rendering = Rendering::default();
        self.render(&mut rendering);
        rendering.sql
    }

    /// Adds its text.
    pub fn render(&self, to: &mut Rendering) {
        match self {
            Tree::Text(text) => to.sql.push_str(text),
            Tree::Sequence(parts) => parts.iter().for_each(|part| part.render(to)),
            Tree::Node(_, body) | Tree::Optional(body) | Tree::Tagged(_, body) | Tree::TotalOrder(body) => {
                body.render(to);
            }
            Tree::LooseLimit(body) => {
                if !to.without_limit {
                    body.render(to);
                }
            }
            Tree::List(items, separator, _) => {
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        to.sql.push_str(separator);
                    }
                    item.render(to);
                }
            }
            Tree::Literal(ty, content) => match &mut to.parameters {
                None => to.sql.push_str(&literal(*ty, content.as_deref())),
                Some(values) => {
                    let quoted = |text: &String| format!("'{}'", text.replace('\'', "''"));
                    values.push(content.as_ref().map_or("NULL".to_owned(), quoted));
                    to.sql.push_str(&format!("${}::{}", values.len(), crate::values::name(*ty)));
                }
            },
        }
    }

    fn parts(&self) -> &[Tree] {
        match self {
            Tree::Text(_) | Tree::Literal(..) => &[],
            Tree::Sequence(parts) | Tree::List(parts, ..) => parts,
            Tree::Node(_, body)
            | Tree::Optional(body)
            | Tree::Tagged(_, body)
            | Tree::TotalOrder(body)
            | Tree::LooseLimit(body) => std::slice::from_ref(body),
        }
    }

    fn with_part(&self, at: usize, part: Tree) -> Tree {
        let mut copy = self.clone();
        match &mut copy {
            Tree::Text(_) | Tree::Literal(..) => {}
            Tree::Sequence(parts) | Tree::List(parts, ..) => parts[at] = part,
            Tree::Node(_, body)
            | Tree::Optional(body)
            | Tree::Tagged(_, body)
            | Tree::TotalOrder(body)
            | Tree::LooseLimit(body) => **body = part,
        }
        copy
    }

    /// Whether a part of it satisfies something.
    pub fn any(&self, what: &dyn Fn(&Tree) -> bool) -> bool {
        what(self) || self.parts().iter().any(|part| part.any(what))
    }

    /// Whether the result's order counts.
    pub fn is_ordered(&self) -> bool {
        self.any(&|part| matches!(part, Tree::TotalOrder(_)))
    }

    /// Whether which rows come is open.
    pub fn is_limited(&self) -> bool {
        self.any(&|part| matches!(part, Tree::LooseLimit(_)))
    }

    /// The tags in it.
    pub fn tags(&self, into: &mut Vec<u32>) {
        if let Tree::Tagged(tag, _) = self
            && !into.contains(tag)
        {
            into.push(*tag);
        }
        self.parts().iter().for_each(|part| part.tags(into));
    }

    /// Without the items of a tag; `None` when a list would be too short.
    pub fn without(&self, tag: u32) -> Option<Tree> {
        let mut copy = self.clone();
        match &mut copy {
            Tree::List(items, _, least) => {
                items.retain(|item| !matches!(item, Tree::Tagged(other, _) if *other == tag));
                if items.len() < *least {
                    return None;
                }
                for item in items {
                    *item = item.without(tag)?;
                }
            }
            Tree::Sequence(parts) => {
                for part in parts {
                    *part = part.without(tag)?;
                }
            }
            Tree::Node(_, body)
            | Tree::Optional(body)
            | Tree::Tagged(_, body)
            | Tree::TotalOrder(body)
            | Tree::LooseLimit(body) => **body = body.without(tag)?,
            Tree::Text(_) | Tree::Literal(..) => {}
        }
        Some(copy)
    }

    /// Trees that are smaller by one step, the boldest steps first.
    pub fn smaller(&self) -> Vec<Tree> {
        let mut found = self.smaller_here();
        for (at, part) in self.parts().iter().enumerate() {
            found.extend(part.smaller().into_iter().map(|part| self.with_part(at, part)));
        }
        found
    }

    fn smaller_here(&self) -> Vec<Tree> {
        match self {
            Tree::Optional(_) | Tree::LooseLimit(_) => vec![text("")],
            Tree::List(items, separator, least) if items.len() > *least => {
                let without = |at: usize, count: usize| {
                    let mut fewer = items.clone();
                    fewer.drain(at..at + count);
                    Tree::List(fewer, separator, *least)
                };
                let half = items.len() / 2;
                let mut found = Vec::new();
                if half > 1 && items.len() - half >= *least {
                    found.push(without(0, half));
                    found.push(without(half, items.len() - half.max(*least).min(items.len() - 1)));
                }
                let tagged = |at: &usize| !matches!(items[*at], Tree::Tagged(..));
                found.extend((0..items.len()).filter(tagged).map(|at| without(at, 1)));
                found
            }
            Tree::Node(sort, body) => {
                let mut found = Vec::new();
                if let Sort::Value(ty) = sort
                    && !matches!(**body, Tree::Literal(..) | Tree::Text(_))
                {
                    found.push(Tree::Literal(*ty, None));
                    found.push(Tree::Literal(*ty, Some(crate::values::plain(*ty))));
                }
                let mut same = Vec::new();
                body.same_sort(sort, &mut same);
                found.extend(same.into_iter().cloned());
                found
            }
            _ => Vec::new(),
        }
    }

    /// The nearest parts of a sort.
    fn same_sort<'a>(&'a self, sort: &Sort, into: &mut Vec<&'a Tree>) {
        match self {
            Tree::Node(other, _) if other == sort => into.push(self),
            _ => self.parts().iter().for_each(|part| part.same_sort(sort, into)),
        }
    }

    /// How many constants are NULL.
    pub fn nulls(&self) -> usize {
        usize::from(matches!(self, Tree::Literal(_, None)))
            + self.parts().iter().map(Tree::nulls).sum::<usize>()
    }

    /// How long its text is, roughly.
    pub fn size(&self) -> usize {
        1 + self.parts().iter().map(Tree::size).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_trees() {
        let one = || value(TypeId::INT4, text("a"));
        let tree = seq([text("SELECT "), value(TypeId::INT4, seq([one(), text(" + "), one()]))]);
        let all: Vec<String> = tree.smaller().iter().map(Tree::sql).collect();
        assert_eq!(all, ["SELECT NULL::int4", "SELECT '1'::int4", "SELECT a", "SELECT a"]);
    }

    #[test]
    fn a_tag_goes_everywhere() {
        let item = |tag| Tree::Tagged(tag, Box::new(text(format!("c{tag}"))));
        let lists = seq([list(vec![item(1), item(2)]), text(" | "), list(vec![item(2), item(3)])]);
        assert_eq!(lists.without(2).map(|tree| tree.sql()).as_deref(), Some("c1 | c3"));
    }
}
