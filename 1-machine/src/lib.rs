//! Level 1: what a database needs from below - clock, randomness, disk, threads - on Linux and simulated
