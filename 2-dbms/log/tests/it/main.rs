//! The log on a simulated machine: a small engine commits, the machine crashes or its disk fails, and what is
//! recovered must hold everything acknowledged, whole epochs only, in an order that replays.

#![allow(clippy::unwrap_used)]

mod bank;
mod crashes;
mod damage;
mod limits;
mod working;
