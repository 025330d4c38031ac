//! The consumer as part of a client, against scripted servers.

mod bounds;
mod chaos;
mod committing;
mod consuming;
mod ending;
mod go_away;
mod look_again;
mod looking;
mod membership;
mod moved;
mod odd;
mod overdue;
mod peer;
mod refusing;
mod reset;
mod retrying;
mod strategies;
mod telling;
mod world;
