//! What a seed means: for each round the faults, the clients and the end.

use tuplix::Durability;
use tuplix_machine::Faults;

use crate::client::Habits;
use crate::random::Random;

/// How a machine's time ends, if no fault ends it earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The node is closed in good order.
    Close,
    /// The program ends without closing the node.
    Leave,
    /// `kill -9`.
    Kill,
    /// What was not synced is lost or torn.
    PowerLoss,
}

/// One machine's time.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What goes wrong below the node.
    pub faults: Faults,
    /// Partitions of the buckets: they may be others at each start.
    pub partitions: usize,
    /// Small ones, so that the log moves on to the next often.
    pub log_segment_bytes: u64,
    /// Checkpoints by themselves, from none to all the time, as fast as it goes or slowly.
    pub durability: Durability,
    /// A client for each.
    pub habits: Vec<Habits>,
    /// Transactions until the end.
    pub transactions: u64,
    /// The end.
    pub ending: Ending,
    /// The end comes in the middle of things, not after the clients have stopped.
    pub abrupt: bool,
}

impl Plan {
    /// Whether disk operations fail.
    pub fn disk_fails(&self) -> bool {
        self.faults.fail_io.is_some() || self.faults.fail_one_in > 0
    }

    /// A round of a seed.
    pub fn of(seed: u64, round: u64) -> Plan {
        let mut random = Random::new(seed, 1000 + round);
        let clients = 2 + random.below(4);
        let mut habits: Vec<Habits> = (0..clients).map(|_| habits(&mut random)).collect();
        let transactions = 20 + random.below(60);
        let endings = [
            Ending::PowerLoss,
            Ending::PowerLoss,
            Ending::PowerLoss,
            Ending::Kill,
            Ending::Leave,
            Ending::Close,
        ];
        let ending = random.pick(&endings);
        let abrupt = random.chance(3, 4);
        let partitions = 1 + random.below(4) as usize;
        let log_segment_bytes = random.pick(&[2 << 10, 16 << 10, 256 << 10]);
        let faults = faults(&mut random);
        let durability = durability(&mut random);
        let asks = random.chance(1, 2);
        for habits in &mut habits {
            habits.checkpoints = asks;
            habits.disk_fails = faults.fail_io.is_some();
        }
        Plan { faults, partitions, log_segment_bytes, durability, habits, transactions, ending, abrupt }
    }

    /// The last round but one: nothing fails, so all clients get through.
    pub fn calm(seed: u64) -> Plan {
        let plan = Plan::of(seed, 10_000);
        let mut calm =
            Plan { faults: Faults::none(), transactions: 80, ending: Ending::Close, abrupt: false, ..plan };
        calm.habits.iter_mut().for_each(|habits| habits.disk_fails = false);
        calm
    }

    /// The last round: only a look.
    pub fn look(seed: u64) -> Plan {
        Plan { transactions: 0, habits: Vec::new(), ..Plan::calm(seed) }
    }
}

fn habits(random: &mut Random) -> Habits {
    Habits {
        synchronous: random.chance(3, 5),
        lock_timeout: random.chance(1, 4),
        changes_schema: random.chance(1, 3),
        checkpoints: false,
        disk_fails: false,
    }
}

fn durability(random: &mut Random) -> Durability {
    Durability {
        checkpoint_log_bytes: random.pick(&[0, 600, 4 << 10, 32 << 10]),
        checkpoint_bytes_per_second: random.pick(&[0, 200_000, 20_000_000]),
        log_retention_us: random.pick(&[0, 0, 100_000, i64::MAX / 2]),
        events: None,
        spool_chunks: 1,
    }
}

fn faults(random: &mut Random) -> Faults {
    let mut faults = Faults {
        reorder: random.chance(1, 2),
        flip_bits: random.chance(1, 4),
        latency_ns: if random.chance(1, 3) { 0 } else { 200_000 + random.below(20_000_000) },
        max_steps: 3_000_000,
        ..Faults::none()
    };
    match random.below(8) {
        // While recovery runs, or soon after.
        0 => faults.crash_at_io = Some(1 + random.below(40)),
        1 | 2 => faults.crash_at_io = Some(20 + random.below(200)),
        3 => faults.fail_io = Some(1 + random.below(120)),
        4 => {
            faults.fail_io = Some(20 + random.below(120));
            faults.errno = ENOSPC;
        }
        _ => {}
    }
    faults
}

/// Linux's number for a full disk.
const ENOSPC: i32 = 28;
