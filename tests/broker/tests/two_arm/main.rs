//! One script on two arms: the development broker and Apache RocketMQ, answer by answer.
//!
//! Whole answers are compared (code, remark, every field, body as JSON or decoded records), so later queries
//! show the effects of earlier requests. What must vary is taken out by the rules of `rules.rs`; what differs all
//! the same stands in `accepted.txt`, each with its reason, and must go on differing.
//!
//! `tests/apache/two-arm` sets `RMQ_NAMESRV`. Without it the second arm is another development broker: the
//! script and the rules themselves must leave no difference, and a flipped answer must be seen.

mod accepted;
mod answer;
mod arm;
mod connection;
mod json;
mod report;
mod rules;
mod script;

use std::process::ExitCode;

use rocketmq_client_core::remoting::ResponseCode;
use rocketmq_dev_broker::{DelayLevels, DevBroker, Fault};

use self::arm::Arm;
use self::report::Report;
use self::script::Step;

const FILES: [(&str, &str); 8] = [
    ("names", include_str!("script/names.txt")),
    ("topics", include_str!("script/topics.txt")),
    ("send", include_str!("script/send.txt")),
    ("offsets", include_str!("script/offsets.txt")),
    ("clients", include_str!("script/clients.txt")),
    ("messages", include_str!("script/messages.txt")),
    ("pop", include_str!("script/pop.txt")),
    ("broker", include_str!("script/broker.txt")),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flip = arguments.iter().position(|argument| argument == "--flip");
    let flip = flip.map(|at| arguments.get(at + 1).cloned().unwrap_or_default());
    let steps = script::parse(&FILES);
    let report = match std::env::var("RMQ_NAMESRV") {
        Ok(name_server) => {
            let name_server = name_server.parse().expect("RMQ_NAMESRV is an address like 127.0.0.1:9876");
            run(&steps, &mut Arm::new("Apache", true, name_server), flip.as_deref())
        }
        Err(_) => alone(&steps, flip.as_deref()),
    };
    report.print();
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Both arms are development brokers.
fn alone(steps: &[Step], flip: Option<&str>) -> Report {
    let other = dev_broker();
    let report = run(steps, &mut Arm::new("other", false, other.name_server_addr()), flip);
    report.without_accepted()
}

fn dev_broker() -> DevBroker {
    let delays = "1s 1s 1s 2s 2s 2s 3s 3s 3s 4s 4s 4s 5s 5s 5s 6s 6s 6s";
    let delays = DelayLevels::parse(delays).expect("a table of delays");
    let change = |config: &mut rocketmq_dev_broker::BrokerConfig| {
        config.trace_topic = true;
        config.transaction_check_period = std::time::Duration::from_secs(5);
    };
    DevBroker::builder().delay_levels(delays).broker_config(change).start().expect("free ports")
}

fn run(steps: &[Step], other: &mut Arm, flip: Option<&str>) -> Report {
    let server = dev_broker();
    let mut dev = Arm::new("dev", false, server.name_server_addr());
    let mut report = Report::new(other.name);
    for step in steps {
        if let Step::Ask(ask) = step
            && flip.is_some_and(|name| name == ask.name)
        {
            let fault =
                Fault::Answer { code: ResponseCode::NOT_IN_CURRENT_UNIT, remark: "flipped".to_owned() };
            server.with_broker(|broker| broker.faults_mut().next_any(1, fault));
        }
        let begun = std::time::Instant::now();
        let ours = dev.step(step);
        let ours_took = begun.elapsed();
        let theirs = other.step(step);
        if begun.elapsed().as_secs() >= 2 {
            eprintln!("SLOW {step:?} {ours_took:?} {:?}", begun.elapsed());
        }
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            report.add(step, &ours, &theirs);
        }
    }
    report
}
