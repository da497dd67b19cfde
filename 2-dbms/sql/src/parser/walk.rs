//! A walk over every node of a parse tree, whatever its kind.
//!
//! The tree has 270 kinds of node and no visitor that reaches them all. Every node can serialize
//! itself, so the walk is a serializer that writes nothing: a [`Visitor`] sees each struct's name
//! with the scalar fields set in it. Nesting is counted on the way and bounded.

use std::fmt;

use serde::ser::{self, Serialize};

use super::decode::StackBase;

/// What a walk tells; names are the Rust names of `pg_query::protobuf`.
pub(super) trait Visitor {
    /// A struct begins. `parent` is the field that holds it, as `(struct, field)`.
    fn enter(&mut self, name: &'static str, parent: (&'static str, &'static str));
    /// A scalar field of the struct entered last and not left. Booleans and enumerations are numbers.
    fn number(&mut self, name: &'static str, field: &'static str, value: i64);
    /// A text field.
    fn text(&mut self, name: &'static str, field: &'static str, value: &str);
    /// An optional field that is set (`count` is 1), or a list with `count` elements.
    fn present(&mut self, name: &'static str, field: &'static str, count: usize);
    /// The struct ends.
    fn leave(&mut self, name: &'static str);
}

/// Visits `tree`; `false` when it nests deeper than `depth_max` nodes and the walk was given up.
pub(super) fn walk(tree: &impl Serialize, visitor: &mut dyn Visitor, depth_max: usize) -> bool {
    let mut walker =
        Walker { visitor, depth: 0, depth_max, base: StackBase::here(), within: ("", ""), parent: ("", "") };
    tree.serialize(&mut walker).is_ok()
}

struct Walker<'a> {
    visitor: &'a mut dyn Visitor,
    depth: usize,
    depth_max: usize,
    base: StackBase,
    /// The struct and field whose value is being visited.
    within: (&'static str, &'static str),
    /// The same of the `Node` wrapper around it.
    parent: (&'static str, &'static str),
}

/// The only way to fail: the tree nests too deeply.
#[derive(Debug)]
struct TooDeep;

impl fmt::Display for TooDeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nested too deeply")
    }
}

impl std::error::Error for TooDeep {}

impl ser::Error for TooDeep {
    fn custom<T: fmt::Display>(_: T) -> TooDeep {
        TooDeep
    }
}

/// A struct being visited.
struct Fields<'w, 'a> {
    walker: &'w mut Walker<'a>,
    name: &'static str,
    outer: (&'static str, &'static str),
    outer_parent: (&'static str, &'static str),
}

impl ser::SerializeStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = TooDeep;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        field: &'static str,
        value: &T,
    ) -> Result<(), TooDeep> {
        self.walker.within = (self.name, field);
        value.serialize(&mut *self.walker)
    }

    fn end(self) -> Result<(), TooDeep> {
        if self.name != "Node" {
            self.walker.visitor.leave(self.name);
            self.walker.depth -= 1;
        }
        self.walker.within = self.outer;
        self.walker.parent = self.outer_parent;
        Ok(())
    }
}

/// A list being visited.
struct Elements<'w, 'a> {
    walker: &'w mut Walker<'a>,
    within: (&'static str, &'static str),
}

impl ser::SerializeSeq for Elements<'_, '_> {
    type Ok = ();
    type Error = TooDeep;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TooDeep> {
        self.walker.within = self.within;
        value.serialize(&mut *self.walker)
    }

    fn end(self) -> Result<(), TooDeep> {
        self.walker.within = self.within;
        Ok(())
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method(self, value: $type) -> Result<(), TooDeep> {
            let (name, field) = self.within;
            // Only flags and enumerations matter to visitors; they fit.
            self.visitor.number(name, field, value as i64);
            Ok(())
        }
    )*};
}

impl<'w, 'a> ser::Serializer for &'w mut Walker<'a> {
    type Ok = ();
    type Error = TooDeep;
    type SerializeSeq = Elements<'w, 'a>;
    type SerializeTuple = ser::Impossible<(), TooDeep>;
    type SerializeTupleStruct = ser::Impossible<(), TooDeep>;
    type SerializeTupleVariant = ser::Impossible<(), TooDeep>;
    type SerializeMap = ser::Impossible<(), TooDeep>;
    type SerializeStruct = Fields<'w, 'a>;
    type SerializeStructVariant = ser::Impossible<(), TooDeep>;

    numbers! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64,
    }

    fn serialize_char(self, _: char) -> Result<(), TooDeep> {
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), TooDeep> {
        let (name, field) = self.within;
        self.visitor.text(name, field, value);
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), TooDeep> {
        Ok(())
    }

    fn serialize_none(self) -> Result<(), TooDeep> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), TooDeep> {
        let (name, field) = self.within;
        if name != "Node" {
            self.visitor.present(name, field, 1);
        }
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), TooDeep> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), TooDeep> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), TooDeep> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), TooDeep> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), TooDeep> {
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Elements<'w, 'a>, TooDeep> {
        let within = self.within;
        if let Some(count) = length.filter(|count| *count > 0) {
            self.visitor.present(within.0, within.1, count);
        }
        Ok(Elements { walker: self, within })
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, TooDeep> {
        Err(TooDeep)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, TooDeep> {
        Err(TooDeep)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, TooDeep> {
        Err(TooDeep)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, TooDeep> {
        Err(TooDeep)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'w, 'a>, TooDeep> {
        let (outer, outer_parent) = (self.within, self.parent);
        if name == "Node" {
            self.parent = outer;
        } else {
            self.depth += 1;
            if self.depth > self.depth_max || self.base.is_exceeded() {
                return Err(TooDeep);
            }
            let parent = if outer.0 == "Node" { outer_parent } else { outer };
            self.visitor.enter(name, parent);
        }
        Ok(Fields { walker: self, name, outer, outer_parent })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, TooDeep> {
        Err(TooDeep)
    }
}
