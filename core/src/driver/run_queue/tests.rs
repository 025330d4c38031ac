use super::*;
use crate::consumer::{Ack, Settled};
use crate::driver::tests::{CountingWaker, delivery};
use crate::id::GenerationalId;
use crate::message::sys_flag;

const NOW: Instant = Instant::from_millis(7);

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn want(count_max: usize, workers: usize) -> Want {
    Want { now: NOW, count_max, workers, one_queue: false }
}

struct Taker {
    waiter: WaiterId,
    hand: Arc<Hand>,
}

impl Taker {
    fn new(queue: &RunQueue) -> Self {
        Self { waiter: queue.waiter(), hand: Arc::default() }
    }

    /// It gives way when it wakes another one, and begins then.
    fn poll(&self, queue: &RunQueue, hands: &Hands, cx: &Context<'_>, want: Want) -> Poll<Option<i64>> {
        match queue.poll_hand((self.waiter, &self.hand), cx, want, hands) {
            Poll::Pending => self.turn(hands).map_or(Poll::Pending, |at| Poll::Ready(Some(at))),
            Poll::Ready(delivery) => Poll::Ready(delivery.map(|delivery| delivery.token.queue_offset)),
        }
    }

    fn turn(&self, hands: &Hands) -> Option<i64> {
        self.hand.turn(hands, None, || None).map(|delivery| delivery.token.queue_offset)
    }
}

fn push(queue: &RunQueue, deliveries: Vec<Delivery>) {
    queue.push(deliveries, &mut Vec::new(), &mut Vec::new());
}

/// A queue with deliveries at offsets 0 to 7 of two queues, and a worker that took half of them and began one.
fn shared_by_two() -> (RunQueue, Hands, Taker) {
    let (queue, hands) = (RunQueue::default(), Hands::default());
    push(&queue, (0..8).map(|offset| delivery(u32::from(offset % 2 == 1), offset, 0, b"body")).collect());
    let taker = Taker::new(&queue);
    assert_eq!(taker.poll(&queue, &hands, &cx(), want(16, 2)), Poll::Ready(Some(0)));
    (queue, hands, taker)
}

fn offsets(tokens: &[ConsumeToken]) -> Vec<i64> {
    tokens.iter().map(|token| token.queue_offset).collect()
}

#[test]
fn what_a_worker_has_not_begun_others_take_when_nothing_else_is_left() {
    let (queue, hands, _first) = shared_by_two();
    let second = Taker::new(&queue);
    assert_eq!(second.poll(&queue, &hands, &cx(), want(16, 1)), Poll::Ready(Some(4)));
    let mut taken = Vec::new();
    let next = || match second.turn(&hands) {
        Some(offset) => Poll::Ready(Some(offset)),
        None => second.poll(&queue, &hands, &cx(), want(16, 2)),
    };
    while let Poll::Ready(offset) = next() {
        taken.extend(offset);
    }
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 3, 5, 6, 7], "all but the two that began");
}

#[test]
fn who_takes_several_wakes_one_that_waits() {
    let (queue, hands) = (RunQueue::default(), Hands::default());
    let (idle, busy) = (Taker::new(&queue), Taker::new(&queue));
    push(&queue, (0..6).map(|offset| delivery(0, offset, 0, b"body")).collect());
    assert_eq!(busy.poll(&queue, &hands, &cx(), want(2, 1)), Poll::Ready(Some(0)));
    let (counter, waker) = CountingWaker::pair();
    let mut all: VecDeque<_> = VecDeque::new();
    // It finds the rest, deals with it, takes what the other had, and waits.
    while let Poll::Ready(Some(offset)) = idle.poll(&queue, &hands, &Context::from_waker(&waker), want(1, 1))
    {
        all.push_back(offset);
    }
    assert_eq!(all.len(), 5);
    push(&queue, (6..9).map(|offset| delivery(0, offset, 0, b"body")).collect());
    // The engine's waker for it is lost on purpose: the other one, who takes three, wakes nobody twice.
    assert_eq!(busy.poll(&queue, &hands, &cx(), want(3, 1)), Poll::Ready(Some(6)));
    assert_eq!(counter.count(), 0);
    // But one that came to wait meanwhile is woken by the next who leaves something in a hand.
    let third = Taker::new(&queue);
    assert_eq!(third.poll(&queue, &hands, &cx(), want(1, 1)), Poll::Ready(Some(8)));
    assert_eq!(third.poll(&queue, &hands, &cx(), want(1, 1)), Poll::Ready(Some(7)));
    assert!(third.poll(&queue, &hands, &Context::from_waker(&waker), want(1, 1)).is_pending());
    {
        let mut state = lock(&queue.state);
        state.deliveries.extend((9..12).map(|offset| delivery(0, offset, 0, b"body")));
    }
    assert_eq!(busy.poll(&queue, &hands, &cx(), want(3, 1)), Poll::Ready(Some(9)));
    assert_eq!(counter.count(), 1);
}

#[test]
fn a_revocation_reaches_what_workers_have_taken() {
    let (queue, hands, taker) = shared_by_two();
    let mut refused = Vec::new();
    queue.revoke(ProcessQueueId::from_parts(1, 0), &mut refused);
    refused.sort();
    assert_eq!(offsets(&refused), [1, 3, 5, 7]);
    assert_eq!((taker.turn(&hands), taker.turn(&hands)), (Some(2), None));
}

#[test]
fn nothing_is_known_of_a_queue_that_was_revoked() {
    let (queue, hands, taker) = shared_by_two();
    assert_eq!(taker.turn(&hands), Some(1), "of the second queue, and not told yet");
    for index in [0, 1] {
        queue.revoke(ProcessQueueId::from_parts(index, 0), &mut Vec::new());
    }
    assert!(taker.poll(&queue, &hands, &cx(), want(1, 1)).is_pending());
    assert!(lock(&queue.state).reached.is_empty());
}

#[test]
fn nothing_is_begun_after_an_end_and_nothing_is_kept() {
    let (queue, hands, taker) = shared_by_two();
    let mut left = queue.end(&mut Vec::new());
    left.sort();
    assert_eq!(left.len(), 7);
    assert_eq!(taker.turn(&hands), None);
    assert_eq!(taker.poll(&queue, &hands, &cx(), want(16, 2)), Poll::Ready(None));
    let mut refused = Vec::new();
    queue.push(alloc::vec![delivery(0, 9, 0, b"late")], &mut Vec::new(), &mut refused);
    assert_eq!(offsets(&refused), [9]);
}

/// What one worker does not come to while another one is ahead of it would hold the commit back, and what that one
/// has done would come again.
#[test]
fn what_lies_before_a_message_that_was_begun_is_begun_after_a_close() {
    let (queue, hands, slow) = shared_by_two();
    let quick = Taker::new(&queue);
    // Offset 4 of the first queue, and 5 of the second; the slow one still has 2 of the first and 1, 3 of the second.
    assert_eq!(quick.poll(&queue, &hands, &cx(), want(2, 2)), Poll::Ready(Some(4)));
    assert_eq!(quick.turn(&hands), Some(5));
    assert_eq!(quick.turn(&hands), None);
    let mut back = queue.close(&mut Vec::new());
    back.sort();
    assert_eq!(offsets(&back), [6, 7]);
    assert!(queue.close(&mut Vec::new()).is_empty(), "a second close has nothing to give");
    assert_eq!(slow.turn(&hands), None, "nothing is in a hand any more");
    let mut begun = Vec::new();
    while let Poll::Ready(Some(offset)) = quick.poll(&queue, &hands, &cx(), want(1, 1)) {
        begun.push(offset);
    }
    assert_eq!(begun, [2, 1, 3]);
    assert_eq!(slow.poll(&queue, &hands, &cx(), want(1, 1)), Poll::Ready(None));
}

/// The close waits for what is kept: it is given back where nobody comes for it.
#[test]
fn the_last_worker_that_goes_after_a_close_gives_back_what_was_kept() {
    let (queue, hands, slow) = shared_by_two();
    let quick = Taker::new(&queue);
    assert_eq!(quick.poll(&queue, &hands, &cx(), want(1, 1)), Poll::Ready(Some(4)));
    queue.close(&mut Vec::new());
    assert!(queue.leave_hand(quick.waiter, &quick.hand).is_empty(), "the other one may come for it");
    assert_eq!(offsets(&queue.leave_hand(slow.waiter, &slow.hand)), [2]);
}

#[test]
fn an_end_after_a_close_leaves_nothing() {
    let (queue, hands, slow) = shared_by_two();
    let quick = Taker::new(&queue);
    assert_eq!(quick.poll(&queue, &hands, &cx(), want(1, 1)), Poll::Ready(Some(4)));
    // The first worker goes, and is not forgotten.
    assert!(queue.leave_hand(quick.waiter, &quick.hand).is_empty());
    assert_eq!(offsets(&queue.close(&mut Vec::new())).len(), 5);
    assert_eq!(offsets(&queue.end(&mut Vec::new())), [2]);
    assert_eq!(slow.poll(&queue, &hands, &cx(), want(1, 1)), Poll::Ready(None));
}

#[test]
fn a_worker_that_goes_leaves_what_it_took_to_others_in_its_order() {
    let (queue, hands, taker) = shared_by_two();
    let (counter, waker) = CountingWaker::pair();
    let other = Taker::new(&queue);
    assert!(queue.leave_hand(taker.waiter, &taker.hand).is_empty());
    let order =
        core::iter::from_fn(|| match other.poll(&queue, &hands, &Context::from_waker(&waker), want(1, 1)) {
            Poll::Ready(offset) => offset,
            Poll::Pending => None,
        });
    assert_eq!(order.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(counter.count(), 0);
}

#[test]
fn the_engine_sees_what_began_when_it_began_and_all_answers() {
    let (queue, hands, taker) = shared_by_two();
    let (mut begun, mut settled, mut look_at) = (Vec::new(), Vec::new(), Instant::FAR_FUTURE);
    let later = Instant::from_millis(90);
    hands.look(later, &mut look_at, &mut begun, &mut settled);
    assert_eq!(
        begun.iter().map(|(token, at)| (token.queue_offset, *at)).collect::<Vec<_>>(),
        [(0, Some(NOW))]
    );
    assert!(hands.are_watched() && look_at == Instant::from_millis(91), "more may come");
    let first = Settled::new(begun[0].0, Ack::Done);
    let second = taker.hand.turn(&hands, Some(Ack::Done), || None).expect("one more").token;
    begun.clear();
    hands.look(Instant::from_millis(91), &mut look_at, &mut begun, &mut settled);
    assert_eq!(begun, [(second, Some(later))], "not when it was taken");
    assert_eq!(settled, [first]);
    hands.look(later, &mut look_at, &mut begun, &mut settled);
    assert!(hands.are_watched(), "its time has not come");
    hands.look(Instant::from_millis(92), &mut look_at, &mut begun, &mut settled);
    assert!(!hands.are_watched() && look_at == Instant::FAR_FUTURE, "nothing more came");
    drop(queue);
}

#[test]
fn of_a_call_that_ended_before_the_engine_looked_the_answer_tells_both() {
    let (_queue, hands, taker) = shared_by_two();
    let (mut begun, mut settled, mut look_at) = (Vec::new(), Vec::new(), Instant::FAR_FUTURE);
    let second = taker.hand.turn(&hands, None, || None).expect("one more").token;
    let third = taker.hand.turn(&hands, Some(Ack::Done), || None).expect("one more").token;
    hands.look(NOW, &mut look_at, &mut begun, &mut settled);
    assert_eq!(settled, [Settled { token: second, ack: Ack::Done, begun: Some(NOW) }]);
    let running: Vec<_> = begun.iter().map(|(token, at)| (token.queue_offset, *at)).collect();
    assert_eq!(running, [(0, Some(NOW)), (third.queue_offset, Some(NOW))]);
    // Of several calls that run, each answer names its own, whether the engine knows the last one or not.
    let fourth = taker.hand.turn(&hands, None, || None).expect("one more").token;
    settled.clear();
    let told = [fourth, third].map(|token| Settled::new(token, Ack::Done));
    taker.hand.tell(&hands, told);
    taker.hand.settle_last(&hands, Ack::Done);
    hands.look(NOW, &mut look_at, &mut begun, &mut settled);
    let last = Settled { begun: Some(NOW), ..told[0] };
    assert_eq!(settled, [last, told[1]], "each once");
}

#[test]
fn what_follows_a_call_that_has_waited_begins_when_it_is_called() {
    let (_queue, hands, taker) = shared_by_two();
    let (mut begun, mut settled, mut look_at) = (Vec::new(), Vec::new(), Instant::FAR_FUTURE);
    hands.look(NOW, &mut look_at, &mut begun, &mut settled);
    let later = Instant::from_millis(60_000);
    let second = taker.hand.turn(&hands, Some(Ack::Done), || Some(later)).expect("one more").token;
    begun.clear();
    hands.look(NOW, &mut look_at, &mut begun, &mut settled);
    assert_eq!(begun, [(second, Some(later))]);
    // The engine knows the last one, and its answer comes by its name: once.
    settled.clear();
    taker.hand.tell(&hands, [Settled::new(second, Ack::Done)]);
    taker.hand.settle_last(&hands, Ack::Done);
    hands.look(later, &mut look_at, &mut begun, &mut settled);
    assert_eq!(settled, [Settled::new(second, Ack::Done)]);
}

/// Inflates to much, if it is one of queue 0.
fn bomb(offset: i64) -> Delivery {
    delivery(0, offset, sys_flag::COMPRESSED | sys_flag::COMPRESSION_ZLIB, b"bomb")
}

#[test]
fn one_large_message_and_queues_take_turns() {
    let (queue, hands) = (RunQueue::default(), Hands::default());
    push(&queue, (0..50).map(bomb).collect());
    push(&queue, (0..5).map(|offset| delivery(1, 100 + offset, 0, b"small")).collect());
    let taker = Taker::new(&queue);
    assert_eq!(taker.poll(&queue, &hands, &cx(), want(16, 1)), Poll::Ready(Some(0)));
    queue.charge(ProcessQueueId::from_parts(0, 0), 4, 32 << 20);
    assert_eq!(taker.turn(&hands), None, "what it had taken takes its turn, too");
    let next = || taker.poll(&queue, &hands, &cx(), want(16, 1));
    assert_eq!(
        [next(), next(), next(), next(), next()],
        [100, 101, 102, 103, 104].map(|at| Poll::Ready(Some(at)))
    );
    // One more bomb for those that come meanwhile, also of a third queue.
    assert_eq!(next(), Poll::Ready(Some(1)));
    push(&queue, alloc::vec![delivery(1, 105, 0, b"small"), delivery(2, 200, 0, b"small")]);
    queue.charge(ProcessQueueId::from_parts(0, 0), 4, 32 << 20);
    assert_eq!([next(), next(), next()], [105, 200, 2].map(|at| Poll::Ready(Some(at))));
}

#[test]
fn what_may_be_large_waits_for_what_surely_is_not() {
    let (queue, hands) = (RunQueue::default(), Hands::default());
    push(&queue, alloc::vec![bomb(0)]);
    let flags = sys_flag::COMPRESSED | sys_flag::COMPRESSION_ZLIB;
    push(&queue, (1..9).map(|other| delivery(other, 10 + i64::from(other), flags, b"bomb")).collect());
    push(&queue, alloc::vec![delivery(9, 99, 0, b"small")]);
    let taker = Taker::new(&queue);
    assert_eq!(taker.poll(&queue, &hands, &cx(), want(1, 1)), Poll::Ready(Some(0)));
    queue.charge(ProcessQueueId::from_parts(0, 0), 4, 32 << 20);
    assert_eq!(
        taker.poll(&queue, &hands, &cx(), want(1, 1)),
        Poll::Ready(Some(99)),
        "eight bombs stood before it"
    );
}

#[test]
fn turns_end_when_no_large_message_comes_and_lose_none() {
    let (queue, hands) = (RunQueue::default(), Hands::default());
    push(
        &queue,
        (0..3_000).map(|offset| delivery(u32::from(offset % 2 == 0), offset, 0, b"small")).collect(),
    );
    queue.charge(ProcessQueueId::from_parts(7, 0), 4, 1 << 20);
    let taker = Taker::new(&queue);
    let mut all: Vec<i64> = core::iter::from_fn(|| match taker.poll(&queue, &hands, &cx(), want(1, 1)) {
        Poll::Ready(offset) => offset,
        Poll::Pending => None,
    })
    .inspect(|_| assert!(lock(&queue.state).deliveries.is_empty() || lock(&queue.state).turns.is_none()))
    .collect();
    assert!(lock(&queue.state).turns.is_none());
    all.sort_unstable();
    assert_eq!(all, (0..3_000).collect::<Vec<_>>());
}

#[test]
fn a_revocation_and_a_close_reach_those_that_wait_for_their_turn() {
    let (queue, _hands) = (RunQueue::default(), Hands::default());
    push(&queue, (0..4).map(bomb).collect());
    push(&queue, alloc::vec![delivery(1, 100, 0, b"small")]);
    queue.charge(ProcessQueueId::from_parts(0, 0), 4, 1 << 20);
    let mut refused = Vec::new();
    queue.revoke(ProcessQueueId::from_parts(0, 0), &mut refused);
    assert_eq!(offsets(&refused), [0, 1, 2, 3]);
    assert_eq!(offsets(&queue.close(&mut Vec::new())), [100]);
}
