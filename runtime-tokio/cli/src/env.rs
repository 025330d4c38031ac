//! `rmq env`: the environment variables that matter, and what they are now.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde_json::json;

use crate::error::Failure;
use crate::output::Output;

/// Name and meaning. What is not here is not read.
const VARIABLES: [(&str, &str); 3] = [
    (
        "ROCKETMQ_NAMESRV",
        "name servers as host:port, several separated by \";\"; rmq send and rmq consume, Client::from_env()",
    ),
    ("RUST_LOG", "what is logged, e.g. rocketmq_client_core=debug; rmq"),
    ("NO_COLOR", "set to anything: no colours in logs; rmq"),
];

pub(crate) fn run(output: &Output) -> Result<(), Failure> {
    let rows = VARIABLES.map(|(name, meaning)| (name, meaning, std::env::var(name).ok()));
    if output.is_json() {
        let variables =
            rows.map(|(name, meaning, value)| json!({ "name": name, "meaning": meaning, "value": value }));
        return output.object(&json!({ "variables": variables }));
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["variable", "meaning", "now"]);
    for (name, meaning, value) in rows {
        table.add_row([name, meaning, value.as_deref().unwrap_or("(not set)")]);
    }
    output.line(&table.to_string())
}
