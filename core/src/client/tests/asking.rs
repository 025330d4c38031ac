//! Questions to user code, by the example of a queue that a selector chooses.

use super::*;

impl World {
    /// A send by selector that has come as far as its question: two brokers with two queues each.
    fn asking(config: ProducerConfig) -> (Self, AskToken) {
        let mut world = Self::with_producer(config);
        world.send_to(QueueChoice::Select);
        world.route(&[A, B]);
        let token = world.take_question();
        assert!(world.quiet(), "nothing is sent before the answer");
        (world, token)
    }

    fn take_question(&mut self) -> AskToken {
        assert_eq!(self.asked.len(), 1);
        let (token, owner, question) = self.asked.pop().expect("one question");
        assert_eq!(owner, Owner::Producer(ProducerId(1)));
        let Question::SelectQueue { message, queues } = question;
        assert_eq!((&*message.topic, &message.body[..]), ("T", &b"hello"[..]));
        let names: Vec<String> = queues.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["T@a:0", "T@a:1", "T@b:0", "T@b:1"]);
        token
    }

    fn choose(&mut self, token: AskToken, index: usize) {
        self.input(Input::Answered { token, answer: Answer::Queue(index) });
    }

    fn close_client(&mut self, timeout: Duration) {
        let operation = OperationId::from_parts(100, 0);
        self.command(Command::Client(ClientCommand::Close { operation, timeout }));
    }

    /// Nothing is left that could wake or answer anybody about a send.
    fn is_at_rest(&self) -> bool {
        self.client.shared().asks.is_empty() && self.client.producers().under_way() == 0
    }
}

#[test]
fn a_selected_send_goes_to_the_queue_that_was_chosen_and_only_once() {
    let (mut world, token) = World::asking(producer());
    world.choose(token, 2);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    let queue_id = send.command.header::<SendMessageRequestHeaderV2<'_>>().expect("a send").queue_id;
    assert_eq!((&*send.address, queue_id), (B.1, 0));
    world.answer(&send, ResponseCode::SYSTEM_BUSY);
    assert!(world.quiet() && world.asked.is_empty(), "no second attempt, no second question");
    assert!(matches!(world.error(), Error::Unknown(_)));
    assert!(world.is_at_rest());
}

#[test]
fn a_second_answer_changes_nothing() {
    let (mut world, token) = World::asking(producer());
    world.choose(token, 0);
    world.choose(token, 3);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    assert_eq!(send.address, A.1);
    assert!(world.quiet());
    world.stored(&send, 0);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
    world.choose(token, 1);
    assert!(world.quiet() && world.outcomes.is_empty());
}

#[test]
fn a_stale_token_does_not_answer_the_question_that_has_its_place_now() {
    let (mut world, first) = World::asking(producer());
    world.input(Input::Answered { token: first, answer: Answer::Failed("no".into()) });
    world.error();
    world.send_to(QueueChoice::Select);
    let second = world.take_question();
    assert_eq!(first.index(), second.index());
    world.choose(first, 0);
    assert!(world.quiet() && world.outcomes.is_empty());
    world.choose(second, 3);
    assert_eq!(world.next(RequestCode::SEND_MESSAGE_V2).address, B.1);
}

#[test]
fn an_index_beyond_the_queues_is_a_usage_error_and_never_sent() {
    for index in [4, usize::MAX] {
        let (mut world, token) = World::asking(producer());
        world.choose(token, index);
        assert!(world.quiet());
        let error = world.error();
        assert!(
            matches!(&error, Error::Usage(UsageError::SelectedQueue { queues: 4, index: told, .. }) if *told == index),
            "{error}"
        );
        assert!(error.to_string().contains("for topic T, which has 4 queues"), "{error}");
        assert!(world.is_at_rest());
    }
}

#[test]
fn a_selector_that_fails_is_a_usage_error_with_its_words_and_never_sent() {
    let (mut world, token) = World::asking(producer());
    world.input(Input::Answered { token, answer: Answer::Failed("it panicked: oh no".into()) });
    assert!(world.quiet());
    let error = world.error();
    assert!(matches!(error, Error::Usage(UsageError::QueueSelector { .. })), "{error}");
    assert!(error.to_string().contains("topic T failed: it panicked: oh no"), "{error}");
    assert!(world.is_at_rest());
}

#[test]
fn a_question_without_an_answer_ends_with_the_budget_of_its_send() {
    let (mut world, token) = World::asking(producer());
    world.pass(2_999);
    assert!(world.outcomes.is_empty());
    world.pass(1);
    let error = world.error();
    assert!(matches!(&error, Error::NotSent(failure) if failure.cause == Cause::Timeout), "{error}");
    assert!(world.is_at_rest(), "a question that never gets an answer is forgotten");
    world.choose(token, 0);
    assert!(world.quiet() && world.outcomes.is_empty(), "an answer too late sends nothing");
}

#[test]
fn a_queue_that_the_route_lost_during_the_question_is_not_sent_to() {
    let (mut world, token) = World::asking(producer());
    world.pass(0);
    world.client.shared.look_up_route(world.now, &"T".into(), None);
    world.input(Input::Timeout);
    world.route(&[A]);
    world.choose(token, 2);
    world.arrived.retain(|arrived| arrived.command.code != RequestCode::GET_ROUTEINFO_BY_TOPIC.0);
    assert!(world.quiet(), "nothing but a question for a better route");
    let error = world.error();
    assert!(matches!(&error, Error::NotSent(failure) if failure.cause == Cause::NoQueue), "{error}");
}

#[test]
fn closing_lets_a_question_be_answered_and_gives_it_up_when_time_is_over() {
    let (mut world, token) = World::asking(producer());
    world.close_client(Duration::from_secs(30));
    assert!(world.outcomes.is_empty(), "the send is still under way");
    world.choose(token, 0);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    world.stored(&send, 0);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));

    let (mut world, token) = World::asking(producer());
    world.close_client(Duration::from_secs(1));
    world.pass(1_000);
    let texts: Vec<String> = world.outcomes.iter().map(|(id, outcome)| format!("{id} {outcome:?}")).collect();
    assert!(texts[0].starts_with("1 Failed(NotSent("), "{texts:?}");
    assert_eq!(texts[1], "100 Done");
    world.choose(token, 0);
    assert!(world.arrived.iter().all(|arrived| arrived.command.code != RequestCode::SEND_MESSAGE_V2.0));
    assert!(world.is_at_rest());
}

#[test]
fn a_question_shows_no_body() {
    let mut world = World::with_producer(producer());
    world.send_to(QueueChoice::Select);
    world.route(&[A]);
    let text = format!("{:?}", world.asked);
    assert!(text.contains("body_bytes: 5") && !text.contains("hello"), "{text}");
}
