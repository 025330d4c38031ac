//! The consumer as part of a client, against scripted servers.

mod chaos;
mod consuming;
mod ending;
mod membership;
mod peer;
mod retrying;
mod world;
