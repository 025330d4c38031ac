//! What a recorder sees: every input as the core got it, and every output.

use crate::client::{Input, Output};
use crate::time::Instant;

/// Sees everything that goes into the core and comes out of it, in order.
pub trait Tap: Send + 'static {
    /// Goes in.
    fn input(&mut self, now: Instant, input: &Input);

    /// Came out.
    fn output(&mut self, now: Instant, output: &Output);
}
