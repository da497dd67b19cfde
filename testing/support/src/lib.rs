//! What several tests share.
//!
//! [`arrows`] checks the architecture that the folder tree shows.

pub mod arrows;
