//! Connections that come up, answer and break.

use super::*;

impl World {
    /// A connection comes up and answers once.
    fn answers(&mut self) -> ChannelId {
        self.ask(A, 1, 30_000);
        let id = self.connect();
        let request = self.written().remove(0);
        self.answer(id, &request, ResponseCode::SUCCESS);
        id
    }

    /// As [`answers`](Self::answers), and is lost after so long; the pause that follows.
    fn answers_and_breaks(&mut self, life_ms: u64) -> u64 {
        let id = self.answers();
        self.pass(life_ms);
        self.channels.handle_closed(self.now, id, &"reset".into());
        self.replies();
        self.outputs();
        self.pause_over()
    }

    /// How long the address is left alone from now on.
    fn pause_over(&mut self) -> u64 {
        let begun = self.now;
        while self.channels.paused_until(self.now, A).is_some() {
            self.pass(50);
        }
        self.now.saturating_since(begun).as_millis().try_into().expect("seconds at most")
    }
}

#[test]
fn a_connection_that_is_lost_once_or_twice_is_made_again_at_once_however_young_it_was() {
    let mut world = World::new();
    assert_eq!(world.answers_and_breaks(0), 0);
    assert_eq!(world.answers_and_breaks(0), 0);
    assert_eq!(world.channels.last_failure(A), None, "it has worked");
    world.ask(A, 2, 3_000);
    world.connect();
}

#[test]
fn connections_that_answer_and_break_again_and_again_get_a_pause_that_grows() {
    let mut world = World::new();
    let pauses: Vec<u64> = (0..7).map(|_| world.answers_and_breaks(10)).collect();
    assert_eq!(pauses, [0, 0, 100, 200, 400, 800, 1_000]);
    assert!(world.channels.last_failure(A).is_some());
}

#[test]
fn during_the_pause_after_breaks_requests_are_told_what_happened() {
    let mut world = World::new();
    for _ in 0..3 {
        let id = world.answers();
        world.channels.handle_closed(world.now, id, &"no frame".into());
        world.replies();
    }
    world.ask(A, 2, 3_000);
    assert_eq!(world.replies(), [(2, format!("not sent: the connection to {A} was lost: no frame"))]);
}

#[test]
fn refusals_and_breaks_count_together() {
    let mut world = World::new();
    assert_eq!(world.answers_and_breaks(10), 0);
    for pause in [100, 200] {
        world.ask(A, 1, 3_000);
        let id = world.connecting();
        world.channels.handle_closed(world.now, id, &"refused".into());
        world.replies();
        assert_eq!(world.pause_over(), pause);
    }
    assert_eq!(world.answers_and_breaks(10), 400);
}

#[test]
fn a_second_of_life_is_forgiveness() {
    let mut world = World::new();
    for _ in 0..5 {
        world.answers_and_breaks(10);
    }
    assert_eq!(world.answers_and_breaks(1_000), 0);
    assert_eq!(world.answers_and_breaks(10), 0, "a single loss is a single loss again");
    assert_eq!(world.answers_and_breaks(10), 0);
    assert_eq!(world.answers_and_breaks(10), 100);
}

#[test]
fn a_good_answer_ends_the_pause_for_what_is_sent_on_its_connection() {
    let mut world = World::new();
    for _ in 0..5 {
        world.answers_and_breaks(10);
    }
    world.ask(A, 1, 3_000);
    let id = world.connect();
    assert!(world.channels.last_failure(A).is_some());
    let request = world.written().remove(0);
    world.answer(id, &request, ResponseCode::SUCCESS);
    assert_eq!(world.channels.last_failure(A), None);
    assert_eq!(world.channels.paused_until(world.now, A), None);
}

#[test]
fn a_connection_that_this_client_closes_for_idleness_has_been_a_good_one() {
    let mut world = World::new();
    for _ in 0..5 {
        world.answers_and_breaks(10);
    }
    world.answers();
    world.pass(240_000);
    assert!(!world.channels.is_open(A));
    world.outputs();
    assert_eq!(world.answers_and_breaks(10), 0);
}
