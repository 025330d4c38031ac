//! The script: steps as lines of text.
//!
//! ```text
//! defaults CODE key=value ...            fields that every step with this code has unless it says otherwise
//! name: connection CODE key=value ...    a request; `-key` takes a default away
//!   body TEXT                            its body
//!   batch TEXT ...                       its body: messages with these bodies in one
//!   until path=value                     asked again until the answer says so, or says nothing there: `<absent>`
//!   keep word path                       `$word` is what the answer says there, in each arm its own
//!   rules word ...                       what may differ, see `rules.rs`
//!   version NUMBER                       what the client says it is, as it is not the newest
//!   oneway                               nobody answers
//!   later                                the answer is awaited by a later step
//! await name: connection CODE            the answer to the request that waits on this connection
//! push name: connection CODE             a request that comes from the broker
//! reply connection CODE code BODY        how a connection answers such requests from here on
//! close connection
//! ```
//!
//! A connection whose name starts with `names` leads to the name server, any other to the broker. In values
//! `\1` and `\2` separate properties, `\s` is a blank, `$now` is the time, `$start` that of the run's begin.

use std::collections::BTreeMap;

use rocketmq_client_core::remoting::RequestCode;

/// What is done, in order.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Ask(Ask),
    Push {
        name: String,
        connection: String,
        code: i32,
        rules: Vec<String>,
    },
    /// The answer to a request that was sent on this connection and waits.
    Await {
        name: String,
        connection: String,
        code: i32,
        rules: Vec<String>,
    },
    Reply {
        connection: String,
        code: i32,
        answer: i32,
        body: String,
    },
    Close {
        connection: String,
    },
}

impl Step {
    /// The step's name, if it is a request that the broker answers.
    pub(crate) fn broker_request(&self) -> Option<&str> {
        match self {
            Self::Ask(ask) if !ask.oneway && !ask.later && !ask.connection.starts_with("names") => {
                Some(&ask.name)
            }
            _ => None,
        }
    }
}

/// A request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) name: String,
    pub(crate) connection: String,
    pub(crate) code: i32,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) batch: Vec<String>,
    pub(crate) until: Vec<(String, String)>,
    pub(crate) keep: Vec<(String, String)>,
    pub(crate) rules: Vec<String>,
    pub(crate) version: Option<i32>,
    pub(crate) oneway: bool,
    pub(crate) later: bool,
}

type Defaults = BTreeMap<i32, Vec<(String, String)>>;

/// Reads files of steps, one after the other; a step's name begins with its file's.
pub(crate) fn parse(files: &[(&str, &str)]) -> Vec<Step> {
    let mut defaults = Defaults::new();
    let mut steps = Vec::new();
    for (file, text) in files {
        for (number, line) in text.lines().enumerate() {
            let read = match line {
                line if line.trim().is_empty() || line.starts_with('#') => Ok(()),
                line if line.starts_with(' ') => detail(line.trim(), steps.last_mut()),
                line => head(line, file, &mut defaults).map(|step| steps.extend(step)),
            };
            if let Err(wrong) = read {
                panic!("{file}, line {}: {wrong}: {line}", number + 1);
            }
        }
    }
    steps
}

fn head(line: &str, file: &str, defaults: &mut Defaults) -> Result<Option<Step>, String> {
    let (first, rest) = line.split_once(' ').ok_or("one word alone")?;
    match first {
        "defaults" => {
            let (code, fields) = rest.split_once(' ').ok_or("defaults without fields")?;
            defaults.insert(request_code(code)?, fields_of(fields, &[])?);
            Ok(None)
        }
        "close" => Ok(Some(Step::Close { connection: rest.to_owned() })),
        "reply" => {
            let words: Vec<_> = rest.splitn(4, ' ').collect();
            let [connection, code, answer, body] = words[..] else { return Err("four words".into()) };
            let answer = answer.parse().map_err(|_| "the answer's code")?;
            let (connection, body) = (connection.to_owned(), body.to_owned());
            Ok(Some(Step::Reply { connection, code: request_code(code)?, answer, body }))
        }
        "push" | "await" => {
            let (name, rest) = rest.split_once(": ").ok_or("a step without a name")?;
            let (connection, code) = rest.split_once(' ').ok_or("a step without a code")?;
            let (name, connection) = (format!("{file}/{name}"), connection.to_owned());
            let (code, rules) = (request_code(code)?, Vec::new());
            Ok(Some(match first {
                "push" => Step::Push { name, connection, code, rules },
                _ => Step::Await { name, connection, code, rules },
            }))
        }
        _ => {
            let (name, rest) = line.split_once(": ").ok_or("a step without a name")?;
            let (connection, rest) = rest.split_once(' ').ok_or("a step without a code")?;
            let (code, fields) = rest.split_once(' ').unwrap_or((rest, ""));
            let code = request_code(code)?;
            let known = defaults.get(&code).map(Vec::as_slice).unwrap_or_default();
            let (name, connection) = (format!("{file}/{name}"), connection.to_owned());
            Ok(Some(Step::Ask(Ask {
                name,
                connection,
                code,
                fields: fields_of(fields, known)?,
                ..Ask::default()
            })))
        }
    }
}

fn detail(line: &str, step: Option<&mut Step>) -> Result<(), String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match (step, word) {
        (
            Some(Step::Ask(Ask { rules, .. }) | Step::Push { rules, .. } | Step::Await { rules, .. }),
            "rules",
        ) => {
            rules.extend(rest.split(' ').map(str::to_owned));
        }
        (Some(Step::Ask(ask)), "body") => ask.body = unescape(rest),
        (Some(Step::Ask(ask)), "batch") => ask.batch = rest.split(' ').map(str::to_owned).collect(),
        (Some(Step::Ask(ask)), "version") => ask.version = Some(rest.parse().map_err(|_| "no number")?),
        (Some(Step::Ask(ask)), "oneway") => ask.oneway = true,
        (Some(Step::Ask(ask)), "later") => ask.later = true,
        (Some(Step::Ask(ask)), "until") => {
            let (path, value) = rest.split_once('=').ok_or("until without a value")?;
            ask.until.push((path.to_owned(), value.to_owned()));
        }
        (Some(Step::Ask(ask)), "keep") => {
            let (name, path) = rest.split_once(' ').ok_or("keep without a path")?;
            ask.keep.push((name.to_owned(), path.to_owned()));
        }
        _ => return Err("this belongs to no step".to_owned()),
    }
    Ok(())
}

fn fields_of(text: &str, defaults: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
    let mut fields = defaults.to_vec();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if let Some(key) = word.strip_prefix('-') {
            fields.retain(|(known, _)| known != key);
            continue;
        }
        let (key, value) = word.split_once('=').ok_or_else(|| format!("{word} is no field"))?;
        let value = unescape(value);
        match fields.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = value,
            None => fields.push((key.to_owned(), value)),
        }
    }
    Ok(fields)
}

fn unescape(text: &str) -> String {
    text.replace("\\s", " ").replace("\\1", "\u{1}").replace("\\2", "\u{2}").replace("\\n", "\n")
}

/// A request code by its number or its name.
fn request_code(text: &str) -> Result<i32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let named = (0..=300_000).find(|code| RequestCode(*code).name() == Some(text));
    named.ok_or_else(|| format!("there is no request {text}"))
}
