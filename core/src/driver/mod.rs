//! Driver.

extern crate std;

pub mod compress;
