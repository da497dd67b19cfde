//! LISTEN and NOTIFY: who listens, and what waits for each listener.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tuplix_machine::{Machine, Mutex};

/// Notifications kept for a listener that does not read them; the oldest go first.
pub const MAX_PENDING: usize = 100_000;

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Channel.
    pub channel: String,
    /// Payload.
    pub payload: String,
    /// The session that sent it.
    pub session_id: u32,
}

/// Calls when a listener has something to read.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// All listeners of a node.
pub struct Listeners {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    channels: BTreeMap<String, BTreeSet<u32>>,
    queues: BTreeMap<u32, Queue>,
}

#[derive(Default)]
struct Queue {
    pending: VecDeque<Notification>,
    waker: Option<Waker>,
}

impl Listeners {
    /// Nobody listens.
    pub fn new(machine: &Machine) -> Listeners {
        Listeners { state: Mutex::new(machine, State::default()) }
    }

    /// `session` wants to hear of `channel`.
    pub fn listen(&self, session: u32, channel: &str) {
        let mut state = self.state.lock();
        state.channels.entry(channel.to_owned()).or_default().insert(session);
        state.queues.entry(session).or_default();
    }

    /// The channels that `session` hears of.
    pub fn channels(&self, session: u32) -> Vec<String> {
        let state = self.state.lock();
        let heard = state.channels.iter().filter(|(_, sessions)| sessions.contains(&session));
        heard.map(|(name, _)| name.clone()).collect()
    }

    /// `session` no longer wants to hear of `channel`, or of any.
    pub fn unlisten(&self, session: u32, channel: Option<&str>) {
        let mut state = self.state.lock();
        state.channels.retain(|name, sessions| {
            if channel.is_none_or(|channel| channel == name) {
                sessions.remove(&session);
            }
            !sessions.is_empty()
        });
    }

    /// `session` has ended.
    pub fn forget(&self, session: u32) {
        self.unlisten(session, None);
        self.state.lock().queues.remove(&session);
    }

    /// Calls `waker` whenever something comes for `session`.
    pub fn set_waker(&self, session: u32, waker: Waker) {
        self.state.lock().queues.entry(session).or_default().waker = Some(waker);
    }

    /// Delivers what a committed transaction of `session` sent.
    pub fn deliver(&self, session: u32, sent: impl Iterator<Item = (String, String)>) {
        let mut wakers: Vec<Waker> = Vec::new();
        {
            let mut state = self.state.lock();
            for (channel, payload) in sent {
                let Some(listeners) = state.channels.get(&channel).cloned() else { continue };
                let notification = Notification { channel, payload, session_id: session };
                for listener in listeners {
                    let queue = state.queues.entry(listener).or_default();
                    if queue.pending.len() == MAX_PENDING {
                        queue.pending.pop_front();
                    }
                    queue.pending.push_back(notification.clone());
                    wakers.extend(queue.waker.clone());
                }
            }
        }
        wakers.iter().for_each(|wake| wake());
    }

    /// Takes what waits for `session`.
    pub fn take(&self, session: u32) -> Vec<Notification> {
        let mut state = self.state.lock();
        state.queues.get_mut(&session).map_or_else(Vec::new, |queue| queue.pending.drain(..).collect())
    }
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listeners")
    }
}
