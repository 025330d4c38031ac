//! Messages: what users send and receive, and how brokers store them.
