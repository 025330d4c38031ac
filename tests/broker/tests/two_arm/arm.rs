//! One of the two sides: servers, the script's connections to them, and what the script keeps of the answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rocketmq_client_core::remoting::{RequestCode, VERSION};

use crate::answer;
use crate::connection::Connection;
use crate::envelope::Received;
use crate::rules::{Leaves, Rules};
use crate::script::{Ask, Step};

/// The longest wait for an effect.
const UNTIL_MAX: Duration = Duration::from_secs(10);
/// Between two looks at it.
const UNTIL_PERIOD: Duration = Duration::from_millis(10);

/// What came of a step.
pub(crate) struct Outcome {
    pub(crate) leaves: Leaves,
    pub(crate) code: Option<i32>,
    /// What the step waits for has not come.
    pub(crate) too_late: bool,
}

pub(crate) struct Arm {
    pub(crate) name: &'static str,
    real: bool,
    name_server: SocketAddr,
    broker: SocketAddr,
    connections: BTreeMap<String, Connection>,
    words: BTreeMap<String, String>,
    rules: Rules,
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_millis()).expect("the clock is before the year 292 million")
}

impl Arm {
    /// An arm whose name server is here; its broker is the one that it knows.
    pub(crate) fn new(name: &'static str, real: bool, name_server: SocketAddr) -> Self {
        let mut names = Connection::open(name_server);
        let cluster =
            names.ask(RequestCode::GET_BROKER_CLUSTER_INFO.0, &[], &[]).expect("the name server answers");
        let known = answer::raw(0, &cluster.command);
        let broker =
            known.iter().find(|(path, _)| path.contains("brokerAddrs")).expect("a broker is registered");
        let broker: SocketAddr = broker.1.parse().expect("a broker's address");
        let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        let start = now_ms();
        let near = |port: u16| SocketAddr::new(broker.ip(), port).to_string();
        let addresses = vec![
            (broker.to_string(), "<broker>".to_owned()),
            (name_server.to_string(), "<name server>".to_owned()),
            (near(broker.port() + 1), "<replication>".to_owned()),
        ];
        let words = [("start", start.to_string()), ("broker", broker.to_string())];
        Self {
            name,
            real,
            name_server,
            broker,
            connections: BTreeMap::from([("names".to_owned(), names)]),
            words: words.map(|(word, value)| (word.to_owned(), value)).into(),
            rules: Rules {
                addresses,
                id_prefix: digits(&[127, 0, 0, 1, 0, 0]) + &digits(&broker.port().to_be_bytes()),
                run: start - 60_000..start + 3 * 3_600_000,
            },
        }
    }

    /// Carries a step out. Nothing for a step without an answer.
    pub(crate) fn step(&mut self, step: &Step) -> Option<Outcome> {
        match step {
            Step::Ask(ask) => self.ask(ask),
            Step::Push { connection, code, rules, .. } => {
                let pushed = self.connection(connection).pushed(*code);
                Some(self.outcome(*code, pushed.as_ref(), rules))
            }
            Step::Await { connection, code, rules, .. } => {
                let answer = self.connection(connection).answer();
                Some(self.outcome(*code, answer.as_ref(), rules))
            }
            Step::Reply { connection, code, answer, body } => {
                let body = self.fill(body);
                self.connection(connection).reply(*code, *answer, body);
                None
            }
            Step::Close { connection } => {
                self.connections.remove(connection);
                None
            }
        }
    }

    fn ask(&mut self, ask: &Ask) -> Option<Outcome> {
        self.connection(&ask.connection);
        let begun = Instant::now();
        loop {
            self.words.insert("now".to_owned(), now_ms().to_string());
            let fields: Vec<_> = ask.fields.iter().map(|(key, value)| (key, self.fill(value))).collect();
            let fields: Vec<_> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let body =
                if ask.batch.is_empty() { self.fill(&ask.body).into_bytes() } else { batch(&ask.batch) };
            let connection = self.connection(&ask.connection);
            connection.version = ask.version.unwrap_or(VERSION);
            if ask.oneway {
                connection.tell(ask.code, &fields, &body);
                return None;
            }
            if ask.later {
                connection.send(ask.code, &fields, &body);
                return None;
            }
            let answer = connection.ask(ask.code, &fields, &body);
            let raw =
                answer.as_ref().map(|answer| answer::raw(ask.code, &answer.command)).unwrap_or_default();
            let holds =
                |(path, wanted): &(String, String)| raw.get(path).map_or("<absent>", |seen| seen) == wanted;
            if !ask.until.iter().all(holds) && begun.elapsed() < UNTIL_MAX && answer.is_some() {
                std::thread::sleep(UNTIL_PERIOD);
                continue;
            }
            for (word, path) in &ask.keep {
                self.words.insert(word.clone(), raw.get(path).cloned().unwrap_or_default());
            }
            let too_late = !ask.until.iter().all(holds);
            return Some(Outcome { too_late, ..self.outcome(ask.code, answer.as_ref(), &ask.rules) });
        }
    }

    fn outcome(&self, code: i32, received: Option<&Received>, rules: &[String]) -> Outcome {
        match received {
            Some(Received { command, envelope }) => {
                let mut leaves = answer::leaves(&self.rules, self.real, code, command, rules);
                leaves.insert("envelope".to_owned(), envelope.clone());
                Outcome { leaves, code: Some(command.code), too_late: false }
            }
            None => Outcome {
                leaves: Leaves::from([("code".to_owned(), "<nothing came>".to_owned())]),
                code: None,
                too_late: true,
            },
        }
    }

    fn connection(&mut self, name: &str) -> &mut Connection {
        if !self.connections.contains_key(name) {
            let to = if name.starts_with("names") { self.name_server } else { self.broker };
            let connection = Connection::open(to);
            let addr = connection.local_addr().to_string();
            self.rules.addresses.push((addr.clone(), format!("<{name}>")));
            self.words.insert(name.to_owned(), addr);
            self.connections.insert(name.to_owned(), connection);
        }
        self.connections.get_mut(name).expect("it was just put there")
    }

    /// Puts values in place of `$word`s.
    fn fill(&self, text: &str) -> String {
        let mut parts = text.split('$');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
            let (word, rest) = part.split_at(end);
            let value = self.words.get(word).unwrap_or_else(|| panic!("nothing is kept as ${word}"));
            filled.push_str(value);
            filled.push_str(rest);
        }
        filled
    }
}

/// Messages with these bodies as SEND_BATCH_MESSAGE carries them. Java: `MessageDecoder#encodeMessages`.
fn batch(bodies: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        let properties = format!("UNIQ_KEY\u{1}{index:032X}\u{2}TAGS\u{1}red\u{2}");
        let number = |len: usize| u32::try_from(len).expect("a short text").to_be_bytes();
        let size = number(22 + body.len() + properties.len());
        for part in [size, [0; 4], [0; 4], [0; 4], number(body.len())] {
            out.extend_from_slice(&part);
        }
        out.extend_from_slice(body.as_bytes());
        out.extend_from_slice(&number(properties.len())[2..]);
        out.extend_from_slice(properties.as_bytes());
    }
    out
}
