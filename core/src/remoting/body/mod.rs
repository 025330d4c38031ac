//! The JSON bodies of requests and responses.

mod client;
mod route;
mod subscription;

pub use client::*;
pub use route::*;
pub use subscription::*;
