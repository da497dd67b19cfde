//! tuplix-bench: Tuplix beside its peers, in one run
