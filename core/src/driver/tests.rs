//! A scripted host and machine: everything in memory, in virtual time, in one thread.
