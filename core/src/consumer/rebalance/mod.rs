//! Who consumes which queue: every member decides for itself from the same two lists.

mod allocate;

pub use allocate::{AllocateError, allocate, excludes, sort_members};
