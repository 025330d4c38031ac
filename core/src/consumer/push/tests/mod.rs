//! The consumer as part of a client, against scripted servers.

mod bounds;
mod chaos;
mod consuming;
mod ending;
mod go_away;
mod looking;
mod membership;
mod overdue;
mod peer;
mod retrying;
mod world;
