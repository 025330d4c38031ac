//! Questions of the core, and the user code that answers them.

use super::super::std;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::Poll;

use std::sync::Mutex;

use super::super::{Producer, lock};
use super::operations::receipt;
use super::script::{World, obey, poll_once};
use crate::client::{
    Answer, ClientCommand, Command, Input, OutboundMessage, Outcome, Output, Owner, Question, QueueChoice,
};
use crate::error::{Error, UsageError};
use crate::id::{AskToken, GenerationalId, OperationId, ProducerId};
use crate::message::{Message, MessageQueue};
use crate::producer::ProducerCommand;

/// Asks about each selected send, stores it when it is answered, and lets a producer go when all of its
/// questions are answered.
#[derive(Default)]
struct Asking {
    sends: Vec<OperationId>,
    answered: usize,
    closing: Option<ProducerId>,
}

impl Asking {
    fn react(&mut self, input: &Input, outputs: &mut VecDeque<Output>) {
        match input {
            Input::Command(Command::Producer(
                producer,
                ProducerCommand::Send { operation, message, choice: QueueChoice::Select, .. },
            )) => {
                let index = u32::try_from(self.sends.len()).expect("few sends");
                outputs.push_back(ask(AskToken::from_parts(index, 0), *producer, (**message).clone()));
                self.sends.push(*operation);
            }
            Input::Answered { token, .. } => {
                let operation = self.sends[token.index() as usize];
                outputs.push_back(Output::Complete { operation, outcome: Outcome::Sent(receipt()) });
                self.answered += 1;
            }
            other => {
                if let Input::Command(Command::Producer(producer, ProducerCommand::Close { .. })) = other {
                    self.closing = Some(*producer);
                }
                obey(other, outputs);
            }
        }
        if self.answered == self.sends.len() {
            outputs.extend(self.closing.take().map(|producer| Output::ProducerClosed { producer }));
        }
    }
}

fn ask(token: AskToken, producer: ProducerId, message: OutboundMessage) -> Output {
    let queue = |queue_id| Arc::new(MessageQueue::new("TopicTest", "broker-a", queue_id));
    let question = Question::SelectQueue { message: Arc::new(message), queues: (0..3).map(queue).collect() };
    Output::Ask { token, owner: Owner::Producer(producer), question }
}

fn world() -> World {
    let mut asking = Asking::default();
    World::new(move |input, outputs| asking.react(input, outputs))
}

fn build<F>(world: &mut World, select: F) -> Producer
where
    F: Fn(&super::super::MessageView<'_>, &[Arc<MessageQueue>]) -> usize + Send + Sync + 'static,
{
    let producer = world.client().producer("group").queue_selector(select).build().expect("a producer");
    world.settle();
    world.forget();
    producer
}

fn answers(world: &World) -> Vec<Answer> {
    let stage = lock(&world.stage);
    let answer = |input: &Input| match input {
        Input::Answered { answer, .. } => Some(answer.clone()),
        _ => None,
    };
    stage.inputs.iter().filter_map(|(_, input)| answer(input)).collect()
}

fn failure(world: &World) -> String {
    match &answers(world)[..] {
        [Answer::Failed(reason)] => String::from(&**reason),
        other => panic!("expected one failure, got {other:?}"),
    }
}

#[test]
fn a_selector_sees_the_message_as_the_user_made_it_and_answers_within_the_drain() {
    let mut world = world();
    let body = "large and compressible ".repeat(1_000);
    let expected = body.clone();
    let producer = build(&mut world, move |message, queues| {
        assert_eq!((message.topic(), message.tags(), message.flag()), ("TopicTest", Some("a"), 7));
        assert_eq!((message.property("shop"), message.sharding_key()), (Some("north"), None));
        assert_eq!(message.keys().collect::<Vec<_>>(), ["k1", "k2"]);
        assert_eq!(message.body(), expected.as_bytes());
        queues.len() - 1
    });
    let message =
        Message::new("TopicTest", body).tag("a").keys(["k1", "k2"]).property("shop", "north").flag(7);
    let mut send = producer.send_selected(message);
    world.drain();
    assert_eq!(answers(&world), [Answer::Queue(2)]);
    assert!(matches!(poll_once(&mut send), Poll::Ready(Ok(_))), "asked, answered and told in one drain");
}

#[test]
fn a_selector_that_panics_fails_its_own_send_and_nothing_else() {
    let mut world = world();
    let producer = build(&mut world, |_, _| panic!("no queue is good enough"));
    let mut send = producer.send_selected(Message::new("TopicTest", "x"));
    assert!(!world.settle(), "the client lives on");
    assert_eq!(failure(&world), "it panicked: no queue is good enough");
    assert!(poll_once(&mut send).is_ready());
}

#[test]
fn a_selector_may_use_its_producer() {
    let mut world = world();
    let handle: Arc<Mutex<Option<Producer>>> = Arc::default();
    let inner = handle.clone();
    let producer = build(&mut world, move |_, _| {
        let producer = lock(&inner).take().expect("it is asked once");
        drop(producer.send_oneway(Message::new("TopicTest", "from within")));
        assert!(producer.try_send(Message::new("TopicTest", "from within")).is_ok());
        1
    });
    *lock(&handle) = Some(producer.clone());
    let mut send = producer.send_selected(Message::new("TopicTest", "x"));
    world.settle();
    assert_eq!(answers(&world), [Answer::Queue(1)]);
    assert!(poll_once(&mut send).is_ready());
}

#[test]
fn a_selector_outlives_the_handles_of_its_producer_and_goes_with_the_producer() {
    let mut world = world();
    let kept = Arc::new(());
    let witness = Arc::downgrade(&kept);
    let producer = build(&mut world, move |_, _| Arc::strong_count(&kept) - 1);
    let send = producer.send_selected(Message::new("TopicTest", "x"));
    drop(producer);
    assert_eq!(witness.strong_count(), 1);
    world.settle();
    assert_eq!(answers(&world), [Answer::Queue(0)]);
    assert_eq!(witness.strong_count(), 0, "the producer was closed behind its send");
    drop(send);
}

#[test]
fn a_question_that_nobody_is_there_for_is_answered_all_the_same() {
    let mut world = World::new(|input, outputs| match input {
        Input::Command(Command::Client(ClientCommand::Connect { .. })) => {
            let message = OutboundMessage {
                topic: "TopicTest".into(),
                body: bytes::Bytes::new(),
                flag: 0,
                sys_flag: 0,
                properties: String::new(),
            };
            outputs.push_back(ask(AskToken::from_parts(0, 0), ProducerId(77), message));
        }
        other => obey(other, outputs),
    });
    let _connect = world.client().connect();
    world.settle();
    assert_eq!(failure(&world), "nobody was there to answer");
}

#[test]
fn a_send_by_selector_without_a_selector_is_told_at_the_call() {
    let mut world = world();
    let producer = world.client().producer("group").build().expect("a producer");
    let mut send = producer.send_selected(Message::new("TopicTest", "x"));
    let told = poll_once(&mut send);
    assert!(matches!(told, Poll::Ready(Err(Error::Usage(UsageError::NoQueueSelector { .. })))), "{told:?}");
    world.settle();
    assert!(!world.told().iter().any(|told| told.starts_with("send")));
}
