//! What clients observe, in virtual time and without a socket: one file a part of the protocol.

mod admin;
mod fault;
mod group;
mod offset;
mod pull;
mod retry;
mod send;
mod transaction;
mod world;
