//! The chunk directory: a tree of shared nodes, copied along a path when a write meets a snapshot.
//!
//! ```text
//! nodes: [Arc<Node>]  one for 131,072 rows
//!          Node: up to 256 Arc<Chunk>
//!                  Chunk: up to 512 rows
//! ```
//!
//! A snapshot is a copy of the list of nodes, one pointer for each 131,072 rows. Everything below is
//! shared; the first write to a shared node or chunk copies it.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use tuplix_types::TypeId;

use crate::chunk::Chunk;
use crate::column::Column;
use crate::memory::Memory;
use crate::schema::{CHUNK_ROWS, RowId};
use crate::vector::ask_for;

/// Chunks of a node.
const NODE_CHUNKS: usize = 256;

/// Cache lines of a chunk: what is in front, the live rows, columns.
const CHUNK_LINES: usize = 4;

/// [`Arc::make_mut`] for what never has a `Weak`, with a load where that one has two atomic writes. Only the owner of a
/// fragment makes new references to its nodes and chunks; whoever holds a snapshot can only drop its own.
#[inline(always)]
fn make_mut<T: Clone>(shared: &mut Arc<T>) -> &mut T {
    if Arc::strong_count(shared) != 1 {
        return Arc::make_mut(shared);
    }
    // SAFETY: this is the only reference.
    unsafe { own(shared) }
}

/// What only one reference leads to.
///
/// # Safety
/// There is no other reference, and nobody can make one while this lives.
#[inline]
unsafe fn own<T>(shared: &mut Arc<T>) -> &mut T {
    // Whatever a reader did before it dropped the last other reference comes before the writes that follow.
    fence(Ordering::Acquire);
    debug_assert_eq!((Arc::strong_count(shared), Arc::weak_count(shared)), (1, 0));
    // SAFETY: this is the only reference, as the caller says, and it is borrowed for writing.
    unsafe { &mut *Arc::as_ptr(shared).cast_mut() }
}

/// Puts a copy of a chunk in its place, for writing; the version that it was is left to snapshots.
#[cold]
fn copy(chunk: &mut Arc<Chunk>, memory: Option<&Arc<Memory>>) {
    *chunk = Arc::new(match memory {
        Some(memory) => chunk.copy(memory),
        None => Chunk::clone(chunk),
    });
}

/// A chunk of a directory for its owner to write, a copy where snapshots have it.
#[inline(always)]
fn writable<'c>(chunk: &'c mut Arc<Chunk>, memory: Option<&Arc<Memory>>) -> &'c mut Chunk {
    if Arc::strong_count(chunk) != 1 {
        copy(chunk, memory);
    }
    // SAFETY: the chunk is the directory's alone, or was just made; only the owner of the fragment makes references to it.
    unsafe { own(chunk) }
}

#[derive(Debug, Default)]
struct Node {
    chunks: Vec<Arc<Chunk>>,
}

impl Clone for Node {
    fn clone(&self) -> Node {
        self.touch();
        Node { chunks: self.chunks.clone() }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.touch();
    }
}

impl Node {
    /// Counting a reference waits for its cache line, one after the other; looking at all first, they come together.
    fn touch(&self) {
        std::hint::black_box(self.chunks.iter().map(Arc::strong_count).sum::<usize>());
    }
}

/// All chunks of a fragment or of a snapshot of it.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    nodes: Vec<Arc<Node>>,
    /// Of a fragment: where versions of chunks are counted that it leaves to snapshots.
    memory: Option<Arc<Memory>>,
}

impl Clone for Directory {
    /// A directory that leaves nothing behind, as of a snapshot.
    fn clone(&self) -> Directory {
        Directory { nodes: self.nodes.clone(), memory: None }
    }
}

impl Drop for Directory {
    /// What snapshots hold of it is theirs alone from here on.
    fn drop(&mut self) {
        let Some(memory) = &self.memory else { return };
        for node in &self.nodes {
            let shared = Arc::strong_count(node) != 1;
            let kept = node.chunks.iter().filter(|chunk| shared || Arc::strong_count(chunk) != 1);
            kept.for_each(|chunk| chunk.leave(memory));
        }
    }
}

impl Directory {
    /// Counts from here on what is left to snapshots, or does not.
    pub(crate) fn count_left(&mut self, memory: Option<&Arc<Memory>>) {
        self.memory = memory.cloned();
    }

    /// The chunk of a row, whether the row is live or not.
    #[inline]
    pub(crate) fn chunk(&self, row: RowId) -> Option<&Chunk> {
        self.chunk_at(row.chunk())
    }

    /// A chunk by its number.
    #[inline]
    pub(crate) fn chunk_at(&self, number: usize) -> Option<&Chunk> {
        Some(self.nodes.get(number / NODE_CHUNKS)?.chunks.get(number % NODE_CHUNKS)?)
    }

    /// The chunk of a row, for writing: copied first if a snapshot holds it.
    #[inline(always)]
    pub(crate) fn chunk_mut(&mut self, row: RowId) -> Option<&mut Chunk> {
        let number = row.chunk();
        let node = make_mut(self.nodes.get_mut(number / NODE_CHUNKS)?);
        Some(writable(node.chunks.get_mut(number % NODE_CHUNKS)?, self.memory.as_ref()))
    }

    /// Chunks, with those that never had a row.
    pub(crate) fn len(&self) -> usize {
        match self.nodes.last() {
            None => 0,
            Some(last) => (self.nodes.len() - 1) * NODE_CHUNKS + last.chunks.len(),
        }
    }

    /// Adds empty chunks until there are `count`.
    pub(crate) fn grow(&mut self, count: usize, types: &[TypeId]) {
        while self.len() < count {
            if self.len().is_multiple_of(NODE_CHUNKS) {
                self.nodes.push(Arc::default());
            }
            if let Some(node) = self.nodes.last_mut() {
                Arc::make_mut(node).chunks.push(Arc::new(Chunk::new(types)));
            }
        }
    }

    /// Adds a chunk behind the others.
    pub(crate) fn push(&mut self, chunk: Chunk) {
        self.push_shared(Arc::new(chunk));
    }

    /// Adds a chunk that others have too.
    pub(crate) fn push_shared(&mut self, chunk: Arc<Chunk>) {
        if self.len().is_multiple_of(NODE_CHUNKS) {
            self.nodes.push(Arc::default());
        }
        if let Some(node) = self.nodes.last_mut() {
            Arc::make_mut(node).chunks.push(chunk);
        }
    }

    /// Puts a chunk in another's place, which it gives back.
    pub(crate) fn replace(&mut self, number: usize, chunk: Arc<Chunk>) -> Option<Arc<Chunk>> {
        let node = make_mut(self.nodes.get_mut(number / NODE_CHUNKS)?);
        Some(std::mem::replace(node.chunks.get_mut(number % NODE_CHUNKS)?, chunk))
    }

    /// A chunk by its number, to be shared.
    pub(crate) fn shared_at(&self, number: usize) -> Option<&Arc<Chunk>> {
        self.nodes.get(number / NODE_CHUNKS)?.chunks.get(number % NODE_CHUNKS)
    }

    /// All chunks, in row order.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &Arc<Chunk>> {
        self.nodes.iter().flat_map(|node| &node.chunks)
    }

    /// All chunks, in row order, for who reads these columns of each: what comes next is on its way from memory meanwhile.
    pub(crate) fn chunks_ahead<'d>(&'d self, columns: &'d [usize]) -> impl Iterator<Item = &'d Chunk> {
        (0..self.len()).filter_map(|number| {
            if let Some(chunk) = self.chunk_at(number + 2) {
                ask_for(std::ptr::from_ref(chunk).cast(), CHUNK_LINES);
            }
            if let Some(chunk) = self.chunk_at(number + 1) {
                columns.iter().filter_map(|column| chunk.columns().get(*column)).for_each(Column::ask_for);
            }
            self.chunk_at(number)
        })
    }

    /// All live rows with their chunks and places, in row order.
    pub(crate) fn live_rows(&self) -> impl Iterator<Item = (RowId, &Chunk, usize)> {
        let chunks = self.chunks().zip((0..).step_by(CHUNK_ROWS));
        chunks.flat_map(|(chunk, base)| {
            chunk.live_places().map(move |place| (RowId(base + place as u32), &**chunk, place))
        })
    }

    /// Changes every chunk, copying those that snapshots hold.
    pub(crate) fn for_each_mut(&mut self, mut change: impl FnMut(&mut Chunk)) {
        for node in &mut self.nodes {
            for chunk in &mut Arc::make_mut(node).chunks {
                change(writable(chunk, self.memory.as_ref()));
            }
        }
    }

    /// Bytes of the directory itself.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.nodes.len() * (size_of::<Node>() + 24) + self.len() * size_of::<Arc<Chunk>>()
    }
}
