//! What clients observe, in virtual time and without a socket: one file a part of the protocol.

mod admin;
mod assignment;
mod fault;
mod group;
mod offset;
mod pop;
mod pop_order;
mod pop_poll;
mod pull;
mod relay;
mod reply;
mod retry;
mod send;
mod slave;
mod timer;
mod tools;
mod transaction;
mod world;
