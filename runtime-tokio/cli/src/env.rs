//! `rmq env`: the environment variables that are read.

use std::env;

use serde_json::{Map, Value, json};

use crate::args::{
    EnvArgs, LOG_VARIABLE, LOG_VARIABLE_RUST, NAMESRV_DEFAULT, NAMESRV_VARIABLE, NAMESRV_VARIABLE_JAVA,
};
use crate::error::CliError;
use crate::output;

/// Name, default and meaning.
const VARIABLES: [(&str, &str, &str); 4] = [
    (
        NAMESRV_VARIABLE,
        NAMESRV_DEFAULT,
        "name servers as host:port, several separated by \";\"; --namesrv wins",
    ),
    (
        NAMESRV_VARIABLE_JAVA,
        NAMESRV_DEFAULT,
        "the same, asked after ROCKETMQ_NAMESRV: the name that Java's tools read",
    ),
    (LOG_VARIABLE, "warn", "what is logged, e.g. debug or rocketmq_client_core=trace; -v wins"),
    (LOG_VARIABLE_RUST, "warn", "the same, asked after ROCKETMQ_LOG: the name that programs in Rust read"),
];

/// Prints the table.
pub(crate) fn run(args: &EnvArgs) -> Result<(), CliError> {
    let value = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    if args.json {
        let entry = |(name, default, meaning): (&str, &str, &str)| {
            (name.to_owned(), json!({ "value": value(name), "default": default, "meaning": meaning }))
        };
        return Ok(output::json(&Value::Object(Map::from_iter(VARIABLES.map(entry))))?);
    }
    let rows = VARIABLES.map(|(name, default, meaning)| {
        let value = value(name).unwrap_or_else(|| "not set".to_owned());
        [name.to_owned(), value, default.to_owned(), meaning.to_owned()]
    });
    Ok(output::table(Some(["variable", "value", "default", "meaning"]), &rows)?)
}
