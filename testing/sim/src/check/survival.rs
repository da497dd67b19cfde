//! Durability: what must be there after a crash, and what may be missing.

use super::{Fates, Round};

/// Checks a round.
///
/// # Errors
/// The first promise that was broken.
pub fn check(round: &Round<'_>, fates: &Fates<'_>) -> Result<(), String> {
    if let Some(id) = round.before.ids().iter().find(|id| !fates.found.contains(id)) {
        return Err(format!("{id} had survived an earlier recovery, now it is lost"));
    }
    acknowledged_survives(round, fates)?;
    no_reply_depends_on_a_lost_commit(round, fates)?;
    survivors_depend_on_survivors(fates)?;
    lost_is_a_suffix(fates)
}

fn acknowledged_survives(round: &Round<'_>, fates: &Fates<'_>) -> Result<(), String> {
    let lost =
        fates.committed.values().find(|fate| !fate.survived && (fate.transaction.durable || round.closed));
    match lost {
        Some(fate) if fate.transaction.durable => Err(format!(
            "transaction {} was acknowledged as durable, but it is lost",
            fate.transaction.number
        )),
        Some(fate) => {
            Err(format!("transaction {} is lost although the node was closed", fate.transaction.number))
        }
        None => Ok(()),
    }
}

/// Every reply of a synchronous session, also one inside a transaction that rolled back later.
fn no_reply_depends_on_a_lost_commit(round: &Round<'_>, fates: &Fates<'_>) -> Result<(), String> {
    for transaction in round.history.transactions.values() {
        for read in transaction.reads.iter().filter(|read| read.durable) {
            if let Some(id) = transaction.foreign(read).find(|id| !fates.found.contains(id)) {
                return Err(format!(
                    "a synchronous reply to transaction {} showed {id} in list {}, which is lost",
                    transaction.number, read.list
                ));
            }
        }
    }
    Ok(())
}

fn survivors_depend_on_survivors(fates: &Fates<'_>) -> Result<(), String> {
    for fate in fates.committed.values() {
        let transaction = fate.transaction;
        if !fate.survived || transaction.effective().next().is_none() {
            continue;
        }
        for read in &transaction.reads {
            if let Some(id) = transaction.foreign(read).find(|id| !fates.found.contains(id)) {
                return Err(format!(
                    "transaction {} survived, but {id}, which it saw, is lost",
                    transaction.number
                ));
            }
        }
    }
    Ok(())
}

/// Whoever began after a commit was acknowledged, even one that did not wait for the disk, is not kept without it.
fn lost_is_a_suffix(fates: &Fates<'_>) -> Result<(), String> {
    let lost = fates.committed.values().filter(|fate| !fate.survived);
    let Some((ended, lost)) =
        lost.filter_map(|fate| Some((fate.transaction.ended?, fate.transaction.number))).min()
    else {
        return Ok(());
    };
    let later = fates.committed.values().find(|fate| {
        fate.survived && fate.transaction.effective().next().is_some() && fate.transaction.began > ended
    });
    match later {
        Some(fate) => Err(format!(
            "transaction {} survived, transaction {lost}, which was acknowledged before it began, is lost",
            fate.transaction.number
        )),
        None => Ok(()),
    }
}
