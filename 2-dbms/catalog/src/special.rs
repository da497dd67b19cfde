//! Functions made for one kind of call: a polymorphic function with the types of its arguments put in, a function
//! returning `record` with the columns that a call lists.
//!
//! They belong to one version of the catalogue, as the plans that call them do. Their ids say which version's they
//! are, so that a plan of another version finds none rather than another one.

use std::sync::{Arc, OnceLock};

use tuplix_types::{TypeId, UserKind};

use crate::{FieldDef, FunctionDef, FunctionId};

const SPECIAL: u32 = 1 << 31;
const NUMBER_BITS: u32 = 12;
/// Marks the objects of row types without a name; no catalogue has so many objects.
const ANONYMOUS_ROW: u32 = 1 << 27;
/// Most of them in one version.
pub const SPECIAL_FUNCTIONS_MAX: usize = 1 << NUMBER_BITS;

/// The special functions of one version, a list that only grows.
#[derive(Debug, Default)]
pub(crate) struct Specials {
    generation: u32,
    first: OnceLock<Box<Node>>,
    first_row: OnceLock<Box<RowNode>>,
}

#[derive(Debug)]
struct RowNode {
    fields: Vec<FieldDef>,
    next: OnceLock<Box<RowNode>>,
}

#[derive(Debug)]
struct Node {
    base: FunctionId,
    function: Arc<FunctionDef>,
    next: OnceLock<Box<Node>>,
}

impl FunctionId {
    /// Whether it names a function made for one kind of call.
    pub fn is_special(self) -> bool {
        self.0 & SPECIAL != 0
    }
}

impl Specials {
    pub(crate) fn new(version: u64) -> Specials {
        let generation = (version as u32) << NUMBER_BITS & !SPECIAL;
        Specials { generation, ..Specials::default() }
    }

    pub(crate) fn find(&self, id: FunctionId) -> Option<&Arc<FunctionDef>> {
        let number = (id.0 & (SPECIAL_FUNCTIONS_MAX as u32 - 1)) as usize;
        if id.0 & !SPECIAL & !(SPECIAL_FUNCTIONS_MAX as u32 - 1) != self.generation {
            return None;
        }
        self.nodes().nth(number).map(|node| &node.function)
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(self.first.get().map(|node| &**node), |node| {
            node.next.get().map(|node| &**node)
        })
    }

    /// The function that a special one was made from.
    pub(crate) fn base(&self, id: FunctionId) -> Option<FunctionId> {
        let number = (id.0 & (SPECIAL_FUNCTIONS_MAX as u32 - 1)) as usize;
        self.find(id).and_then(|_| self.nodes().nth(number)).map(|node| node.base)
    }

    /// The columns of a row type that [`Specials::row`] gave.
    pub(crate) fn row_fields(&self, id: TypeId) -> Option<&[FieldDef]> {
        let number = id.object() & (ANONYMOUS_ROW - 1);
        if id.object() & ANONYMOUS_ROW == 0 || number >> NUMBER_BITS != self.row_generation() {
            return None;
        }
        let number = number as usize & (SPECIAL_FUNCTIONS_MAX - 1);
        let rows = std::iter::successors(self.first_row.get().map(|node| &**node), |node| {
            node.next.get().map(|node| &**node)
        });
        rows.map(|node| &node.fields[..]).nth(number)
    }

    fn row_generation(&self) -> u32 {
        self.generation >> NUMBER_BITS & (ANONYMOUS_ROW - 1) >> NUMBER_BITS
    }

    /// A row type of these columns that has no name; `None` when there are too many.
    pub(crate) fn row(&self, fields: &[FieldDef]) -> Option<TypeId> {
        let mut place = &self.first_row;
        for number in 0..SPECIAL_FUNCTIONS_MAX as u32 {
            let node =
                place.get_or_init(|| Box::new(RowNode { fields: fields.to_vec(), next: OnceLock::new() }));
            if node.fields == fields {
                let object = ANONYMOUS_ROW | self.row_generation() << NUMBER_BITS | number;
                return Some(TypeId::user(UserKind::Composite, object));
            }
            place = &node.next;
        }
        None
    }

    /// The id of a special function; `None` when there are too many.
    pub(crate) fn add(&self, mut function: FunctionDef) -> Option<FunctionId> {
        let base = function.id;
        let mut place = &self.first;
        for number in 0..SPECIAL_FUNCTIONS_MAX {
            let id = FunctionId(SPECIAL | self.generation | number as u32);
            function.id = id;
            let node = place.get_or_init(|| {
                Box::new(Node { base, function: Arc::new(function.clone()), next: OnceLock::new() })
            });
            if node.base == base && *node.function == function {
                return Some(id);
            }
            place = &node.next;
        }
        None
    }
}
