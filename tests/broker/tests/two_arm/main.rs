//! One script on two arms: the development broker and Apache RocketMQ, answer by answer.
//!
//! Whole answers are compared (the header's keys as they came, code, remark, every field, body as JSON or decoded
//! records), so later queries show the effects of earlier requests. What must vary is taken out by the rules of `rules.rs`; what differs all
//! the same stands in `accepted.txt`, each with its reason, and must go on differing.
//!
//! `tests/apache/two-arm` sets `RMQ_NAMESRV`. Without it the second arm is another development broker: the
//! script and the rules themselves must leave no difference, and what is wrong on purpose must be seen.
//!
//! `--flip STEP` makes the development broker answer one step wrongly: the run must fail then.
//! `RMQ_TWO_ARM_SHOW` prints what the other arm answered, step by step.

mod accepted;
mod answer;
mod arm;
mod connection;
mod envelope;
mod json;
mod report;
mod rules;
mod script;

use std::process::ExitCode;
use std::time::Duration;

use rocketmq_client_core::remoting::ResponseCode;
use rocketmq_dev_broker::{DelayLevels, DevBroker, Fault};

use self::accepted::Accepted;
use self::arm::Arm;
use self::report::Report;
use self::script::Step;

const FILES: [(&str, &str); 12] = [
    ("names", include_str!("script/names.txt")),
    ("topics", include_str!("script/topics.txt")),
    ("send", include_str!("script/send.txt")),
    ("offsets", include_str!("script/offsets.txt")),
    ("clients", include_str!("script/clients.txt")),
    ("messages", include_str!("script/messages.txt")),
    ("timer", include_str!("script/timer.txt")),
    ("pop", include_str!("script/pop.txt")),
    ("revive", include_str!("script/revive.txt")),
    ("reply", include_str!("script/reply.txt")),
    ("hold", include_str!("script/hold.txt")),
    ("broker", include_str!("script/broker.txt")),
];

/// Without Java only these are run, which wait for next to nothing.
const FILES_ALONE: usize = 5;

/// Those of `broker.sh start --short-delays`.
const SHORT_DELAYS: &str = "1s 1s 1s 2s 2s 2s 3s 3s 3s 4s 4s 4s 5s 5s 5s 6s 6s 6s";

/// Delays for two development brokers; two, so that their order shows.
const LONG_ENOUGH: &str = "1s 2s";

/// What the other of two development brokers stores is visible this much later, as a busy Apache's is: a step
/// that doesn't wait for what it looks at differs.
const DISPATCH_LAG: Duration = Duration::from_millis(30);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flip = arguments.iter().position(|argument| argument == "--flip");
    let flip = flip.map(|at| arguments.get(at + 1).expect("--flip wants the name of a step").as_str());
    let steps = script::parse(&FILES);
    let good = match std::env::var("RMQ_NAMESRV") {
        Ok(name_server) => {
            let name_server = name_server.parse().expect("RMQ_NAMESRV is an address like 127.0.0.1:9876");
            let mut apache = Arm::new("Apache", true, name_server);
            let report = run(&steps, SHORT_DELAYS, &mut apache, flip, Accepted::list());
            report.print();
            report.is_clean()
        }
        Err(_) => alone(&script::parse(&FILES[..FILES_ALONE]), flip),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Both arms are development brokers, which differ nowhere but where one is told to.
fn alone(steps: &[Step], flip: Option<&str>) -> bool {
    let other = |steps: &[Step], flip: Option<&str>, accepted: Vec<Accepted>| {
        let server = dev_broker(LONG_ENOUGH, DISPATCH_LAG);
        let mut arm = Arm::new("other", false, server.name_server_addr());
        run(steps, LONG_ENOUGH, &mut arm, flip, accepted)
    };
    let report = other(steps, flip, Vec::new());
    report.print();
    if flip.is_some() {
        return report.is_clean();
    }
    // The comparison itself, on the script's first steps: a flipped answer is seen, a listed one is let pass,
    // and a listed one that doesn't come is seen too.
    let flipped = steps.iter().find_map(Step::broker_request).expect("brokers are asked something");
    let end = steps.iter().position(|step| step.broker_request() == Some(flipped)).expect("it is there") + 1;
    let accepted = |path: &str| Accepted::new(flipped, path, "it is flipped");
    let all = ["code", "remark"].map(accepted).to_vec();
    let wrong = [
        (other(&steps[..end], Some(flipped), Vec::new()).is_clean(), false, "a flipped answer is not seen"),
        (other(&steps[..end], Some(flipped), all.clone()).is_clean(), true, "a listed difference is refused"),
        (other(&steps[..end], None, all).is_clean(), false, "a listed difference that is gone is not seen"),
    ];
    for (clean, wanted, what) in wrong {
        assert_eq!(clean, wanted, "{what}");
    }
    report.is_clean()
}

fn dev_broker(delays: &str, dispatch_lag: Duration) -> DevBroker {
    let delays = DelayLevels::parse(delays).expect("a table of delays");
    let change = |config: &mut rocketmq_dev_broker::BrokerConfig| {
        config.trace_topic = true;
        config.dispatch_lag = dispatch_lag;
        config.recall = true;
        config.transaction_check_period = Duration::from_secs(1);
        config.transaction_timeout = Duration::from_millis(4_500);
    };
    DevBroker::builder().delay_levels(delays).broker_config(change).start().expect("free ports")
}

fn run(steps: &[Step], delays: &str, other: &mut Arm, flip: Option<&str>, accepted: Vec<Accepted>) -> Report {
    let server = dev_broker(delays, Duration::ZERO);
    let mut dev = Arm::new("dev", false, server.name_server_addr());
    let mut report = Report::new(other.name, accepted);
    let known = |name: &str| steps.iter().any(|step| step.broker_request() == Some(name));
    assert!(flip.is_none_or(known), "no request to the broker is called {flip:?}");
    for step in steps {
        if flip.is_some() && flip == step.broker_request() {
            let fault =
                Fault::Answer { code: ResponseCode::NOT_IN_CURRENT_UNIT, remark: "flipped".to_owned() };
            server.with_broker(|broker| broker.faults_mut().next_any(1, fault));
        }
        let (ours, theirs) = (dev.step(step), other.step(step));
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            report.add(step, &ours, &theirs);
        }
    }
    report
}
