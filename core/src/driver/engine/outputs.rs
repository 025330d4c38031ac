//! What the core wants, done: connections, writes, outcomes and deliveries.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::Waker;

use super::super::host::Host;
use super::super::ready;
use super::super::resolve::Answer;
use super::super::run_queue::LOOK_INTERVAL;
use super::super::transform::Endpoint;
use super::channel::{Channel, Written};
use super::{Core, Machine, WRITE_BYTES_MAX};
use crate::client::{Chunks, Input, Output, Owner};
use crate::id::{ChannelId, ConsumerId, GenerationalId, ResolveToken};
use crate::time::Instant;

impl<H: Host, M: Machine> Core<H, M> {
    /// Does what the core wants until it only waits.
    pub(super) fn take_outputs(&mut self, now: Instant, wakers: &mut Vec<Waker>) {
        loop {
            let output = self.machine.poll_output(now);
            if let Some(tap) = &mut self.tap {
                tap.output(now, &output);
            }
            match output {
                Output::Resolve { token, host, port } => self.resolve(token, host, port),
                Output::Connect { channel, address, endpoint } => {
                    if let Err(reason) = self.connect(channel, Endpoint { name: endpoint, address }) {
                        self.handle(now, Input::Closed { channel, reason: reason.into() });
                    }
                }
                Output::Transmit { channel, chunks } => self.transmit(now, channel, chunks),
                Output::Close { channel, flush } => self.close(channel, flush),
                Output::Complete { operation, outcome } => self.outcomes.push((operation, outcome)),
                Output::Deliver { consumer, deliveries } => {
                    if deliveries.len() > 1 {
                        // Whoever takes several answers for some before he waits, and wakes nobody for it.
                        self.shared.hands.watch();
                        self.look_at = now + LOOK_INTERVAL;
                    }
                    self.deliveries.push((consumer, deliveries));
                }
                Output::Revoke { consumer, queue } => {
                    self.deliver(wakers);
                    if let Some(run_queue) = self.run_queues.get(&consumer) {
                        run_queue.revoke(queue, &mut self.refused);
                    }
                }
                Output::Ask { token, owner, question } => self.questions.push((token, owner, question)),
                Output::ProducerClosed { producer } => self.responders.remove(Owner::Producer(producer)),
                Output::ConsumerClosing { consumer } => {
                    self.deliver(wakers);
                    if let Some(run_queue) = self.run_queues.get(&consumer) {
                        self.refused.extend(run_queue.close(wakers));
                    }
                }
                Output::ConsumerClosed { consumer } => {
                    self.deliver(wakers);
                    self.forget_consumer(consumer, wakers);
                }
                Output::ClientClosed => self.finished = true,
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    break;
                }
            }
        }
        self.deliver(wakers);
    }

    /// Begins a connection, by way of the transforms that somebody wants between it and its socket.
    fn connect(&mut self, id: ChannelId, endpoint: Endpoint) -> Result<(), String> {
        let (dial, transforms): (SocketAddr, _) = match &mut self.transforms {
            None => (endpoint.address, Vec::new()),
            Some(make) => {
                let link = make(&endpoint).map_err(|error| error.to_string())?;
                (link.dial, link.transforms)
            }
        };
        let waker = ready::waker(&self.shared, |shared| &shared.ready, id.index());
        self.channels.insert(Channel::new(id, waker, transforms));
        self.host.connect(id, dial);
        self.shared.ready.set(id.index());
        self.shared.signal().raise();
        Ok(())
    }

    /// Nothing comes for this consumer any more; what waits for it is handed back.
    fn forget_consumer(&mut self, consumer: ConsumerId, wakers: &mut Vec<Waker>) {
        self.responders.remove(Owner::Consumer(consumer));
        if let Some(run_queue) = self.run_queues.remove(&consumer) {
            self.refused.extend(run_queue.end(wakers));
        }
    }

    fn resolve(&mut self, token: ResolveToken, host: Arc<str>, port: u16) {
        self.resolver.resolve(host, port, Answer::new(&self.shared, token));
    }

    fn transmit(&mut self, now: Instant, id: ChannelId, chunks: Chunks) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        match channel.push(chunks) {
            Ok(()) => self.mark_dirty(id),
            Err(error) => self.lose(now, id, &error.to_string()),
        }
    }

    /// The core drops a connection. Only where it says so may what it wrote just before still go out.
    fn close(&mut self, id: ChannelId, flush: bool) {
        let Some(mut channel) = self.channels.remove(id) else { return };
        if flush && channel.wants_write() {
            let last = channel.write(&mut self.host, WRITE_BYTES_MAX);
            tracing::trace!(?id, ?last, "last write before closing");
        }
        self.host.close(id);
    }

    /// Puts deliveries into run queues; those that nobody takes are handed back.
    fn deliver(&mut self, wakers: &mut Vec<Waker>) {
        for (consumer, deliveries) in self.deliveries.drain(..) {
            match self.run_queues.get(&consumer) {
                Some(queue) => queue.push(deliveries, wakers, &mut self.refused),
                None => self.refused.extend(deliveries.iter().map(|delivery| delivery.token)),
            }
        }
    }

    /// Answers for deliveries that found no taker. True when there was one.
    pub(super) fn refuse(&mut self, now: Instant) -> bool {
        let mut refused = core::mem::take(&mut self.refused);
        let any = !refused.is_empty();
        for token in refused.drain(..) {
            self.handle(now, Input::HandedBack { token });
        }
        self.refused = refused;
        any
    }

    /// Puts the core's questions to user code, with no lock held and the core at rest. True when there
    /// was one.
    pub(super) fn ask(&mut self) -> bool {
        let mut questions = core::mem::take(&mut self.questions);
        let any = !questions.is_empty();
        for (token, owner, question) in questions.drain(..) {
            self.responders.ask(self.shared.clone(), token, owner, question);
        }
        self.questions = questions;
        any
    }

    /// Remembers that a channel has something to write.
    pub(super) fn mark_dirty(&mut self, id: ChannelId) {
        if let Some(channel) = self.channels.get_mut(id)
            && channel.wants_write()
            && !channel.dirty
        {
            channel.dirty = true;
            self.dirty.push(id);
        }
    }

    /// One write for each channel that has something to say. True when the core was told anything.
    pub(super) fn write_dirty(&mut self, now: Instant) -> bool {
        let mut told = false;
        for id in core::mem::take(&mut self.dirty) {
            let Some(channel) = self.channels.get_mut(id) else { continue };
            channel.dirty = false;
            let before = channel.transmitted_bytes();
            let written = channel.write(&mut self.host, WRITE_BYTES_MAX);
            let after = channel.transmitted_bytes();
            if after > before {
                told = true;
                self.handle(now, Input::Transmitted { channel: id, bytes_total: after });
            }
            match written {
                Ok(Written::All | Written::Blocked) => {}
                Ok(Written::Budget) => {
                    self.shared.ready.set(id.index());
                    self.shared.signal().raise();
                }
                Err(error) => {
                    told = true;
                    self.lose(now, id, &error.to_string());
                }
            }
        }
        told
    }
}
