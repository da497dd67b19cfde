//! Window calls and the windows that they look through.

use tuplix_functions::{Aggregate, Function};
use tuplix_types::TypeId;

use super::{Expr, SortKey};

/// A window call.
#[derive(Clone, Debug)]
pub struct WindowCall {
    /// What it computes.
    pub function: WindowFunction,
    /// Arguments.
    pub arguments: Vec<Expr>,
    /// FILTER (WHERE ...), of aggregates only.
    pub filter: Option<Expr>,
    /// Its window, a position in [`super::Select::window_definitions`].
    pub window: usize,
    /// Result type.
    pub ty: TypeId,
    /// Where it stands.
    pub position: Option<u32>,
}

/// What a window call computes.
#[derive(Clone, Copy, Debug)]
pub enum WindowFunction {
    /// A window function proper: `rank`, `lag`, ...
    Native(&'static Function),
    /// An aggregate over the frame.
    Aggregate(&'static Aggregate),
}

impl WindowFunction {
    /// The entry among the functions.
    pub fn function(&self) -> &'static Function {
        match self {
            WindowFunction::Native(function) => function,
            WindowFunction::Aggregate(aggregate) => aggregate.function,
        }
    }
}

/// `(PARTITION BY ... ORDER BY ... frame)`
#[derive(Clone, Debug)]
pub struct Window {
    /// PARTITION BY
    pub partition_by: Vec<Expr>,
    /// ORDER BY
    pub order_by: Vec<SortKey>,
    /// The frame.
    pub frame: Frame,
}

/// Which rows around the current one a call sees.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What offsets count.
    pub mode: FrameMode,
    /// Where it begins.
    pub start: FrameBound,
    /// Where it ends.
    pub end: FrameBound,
    /// EXCLUDE
    pub exclude: FrameExclusion,
}

/// What a frame's offsets count.
#[derive(Clone, Copy, Debug)]
pub enum FrameMode {
    /// Rows.
    Rows,
    /// Groups of peers.
    Groups,
    /// Differences of the one ORDER BY key, by its type's `in_range` function where a bound has an offset.
    Range(Option<&'static Function>),
}

/// One end of a frame.
#[derive(Clone, Debug)]
pub enum FrameBound {
    /// UNBOUNDED PRECEDING as a start, UNBOUNDED FOLLOWING as an end.
    Unbounded,
    /// CURRENT ROW
    Current,
    /// offset PRECEDING
    Preceding(Expr),
    /// offset FOLLOWING
    Following(Expr),
}

impl FrameBound {
    /// The offset.
    pub fn offset(&self) -> Option<&Expr> {
        match self {
            FrameBound::Preceding(offset) | FrameBound::Following(offset) => Some(offset),
            FrameBound::Unbounded | FrameBound::Current => None,
        }
    }

    /// The offset, to change it.
    pub fn offset_mut(&mut self) -> Option<&mut Expr> {
        match self {
            FrameBound::Preceding(offset) | FrameBound::Following(offset) => Some(offset),
            FrameBound::Unbounded | FrameBound::Current => None,
        }
    }
}

/// EXCLUDE
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameExclusion {
    /// EXCLUDE NO OTHERS
    None,
    /// EXCLUDE CURRENT ROW
    Current,
    /// EXCLUDE GROUP
    Group,
    /// EXCLUDE TIES
    Ties,
}
