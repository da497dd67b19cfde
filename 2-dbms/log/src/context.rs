//! On whose behalf a transaction ran: interned to a number, defined in each segment before it is used.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_types::encoding::{
    DecodeError, put_bytes, put_varint, put_zigzag, take_text, take_varint, take_zigzag,
};

/// On whose behalf a session works; every redo record names one (provenance).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionContext {
    /// The session's role.
    pub role: String,
    /// The container it belongs to, empty for none.
    pub container: String,
    /// The declared purpose, empty for none.
    pub purpose: String,
    /// The task that the session runs for.
    pub task: Option<i64>,
}

/// A [`SessionContext`]'s number in the log, kept by a session as long as it may commit.
#[derive(Clone, Debug)]
pub struct Context(Arc<Entry>);

#[derive(Debug)]
struct Entry {
    id: u32,
    context: SessionContext,
}

impl Context {
    /// The number for [`crate::RecordHeader::context`].
    #[inline]
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// What it stands for.
    pub fn session(&self) -> &SessionContext {
        &self.0.context
    }
}

/// All contexts that sessions hold or recent records name.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    by_context: BTreeMap<SessionContext, Slot>,
    next_id: u32,
    /// Not yet defined in the current segment.
    undefined: Vec<Context>,
}

#[derive(Debug)]
struct Slot {
    context: Context,
    /// The epoch at whose writing nobody held it for the first time: later epochs do not name it.
    unused_since: Option<u64>,
}

impl Dictionary {
    pub(crate) fn intern(&mut self, session: &SessionContext) -> Context {
        if let Some(slot) = self.by_context.get_mut(session) {
            slot.unused_since = None;
            return slot.context.clone();
        }
        self.next_id += 1;
        let context = Context(Arc::new(Entry { id: self.next_id, context: session.clone() }));
        self.undefined.push(context.clone());
        self.by_context.insert(session.clone(), Slot { context: context.clone(), unused_since: None });
        context
    }

    /// A new segment begins with `epoch`: everything still of use must be defined again, the rest is forgotten.
    pub(crate) fn new_segment(&mut self, epoch: u64) {
        self.undefined.clear();
        self.by_context.retain(|_, slot| {
            if Arc::strong_count(&slot.context.0) > 1 {
                slot.unused_since = None;
            } else if *slot.unused_since.get_or_insert(epoch) < epoch {
                return false;
            }
            self.undefined.push(slot.context.clone());
            true
        });
        self.undefined.sort_by_key(Context::id);
    }

    /// Writes definitions that the current segment lacks; returns how many.
    pub(crate) fn define(&mut self, bytes: &mut Vec<u8>) -> u32 {
        let mut count = 0;
        for context in self.undefined.drain(..) {
            encode(context.id(), context.session(), bytes);
            count += 1;
        }
        count
    }
}

fn encode(id: u32, context: &SessionContext, bytes: &mut Vec<u8>) {
    put_varint(u64::from(id), bytes);
    put_bytes(context.role.as_bytes(), bytes);
    put_bytes(context.container.as_bytes(), bytes);
    put_bytes(context.purpose.as_bytes(), bytes);
    put_varint(u64::from(context.task.is_some()), bytes);
    if let Some(task) = context.task {
        put_zigzag(task, bytes);
    }
}

/// Takes a definition from the front of `bytes`.
pub(crate) fn decode(bytes: &mut &[u8]) -> Result<(u32, SessionContext), DecodeError> {
    let id = u32::try_from(take_varint(bytes)?).map_err(|_| DecodeError::IntegerOutOfRange)?;
    let role = take_text(bytes)?.to_owned();
    let container = take_text(bytes)?.to_owned();
    let purpose = take_text(bytes)?.to_owned();
    let task = match take_varint(bytes)? {
        0 => None,
        1 => Some(take_zigzag(bytes)?),
        _ => return Err(DecodeError::Malformed("context")),
    };
    Ok((id, SessionContext { role, container, purpose, task }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn session(task: i64) -> SessionContext {
        SessionContext {
            role: "ann".into(),
            container: "c".into(),
            purpose: "billing".into(),
            task: Some(task),
        }
    }

    #[test]
    fn equal_contexts_share_a_number_and_are_defined_once_a_segment() {
        let mut dictionary = Dictionary::default();
        let (one, again, two) =
            (dictionary.intern(&session(1)), dictionary.intern(&session(1)), dictionary.intern(&session(2)));
        assert_eq!((one.id(), again.id(), two.id()), (1, 1, 2));
        let mut bytes = Vec::new();
        assert_eq!(dictionary.define(&mut bytes), 2);
        let mut rest = &bytes[..];
        assert_eq!(decode(&mut rest).unwrap(), (1, session(1)));
        assert_eq!(decode(&mut rest).unwrap(), (2, session(2)));
        assert!(rest.is_empty());
        assert_eq!(dictionary.define(&mut bytes), 0);
        dictionary.new_segment(5);
        assert_eq!(dictionary.define(&mut bytes), 2);
    }

    #[test]
    fn a_context_nobody_holds_is_forgotten_after_the_segment_that_may_name_it() {
        let mut dictionary = Dictionary::default();
        drop(dictionary.intern(&session(1)));
        dictionary.new_segment(5);
        assert_eq!(dictionary.define(&mut Vec::new()), 1, "epoch 5 may still name it");
        dictionary.new_segment(9);
        assert_eq!(dictionary.define(&mut Vec::new()), 0);
        assert_eq!(dictionary.intern(&session(1)).id(), 2);
    }

    #[test]
    fn garbage_is_no_definition() {
        assert!(decode(&mut &[1, 200, 1][..]).is_err());
        assert!(decode(&mut &[1, 0, 0, 0, 7][..]).is_err());
    }
}
