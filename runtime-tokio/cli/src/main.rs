//! rmq.
fn main() {}
