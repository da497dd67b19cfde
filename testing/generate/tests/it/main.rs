//! A few seeds.
