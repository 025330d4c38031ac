//! The table of connections, by the slot of their id.

use alloc::vec::Vec;

use super::super::ready;
use super::channel::Channel;
use crate::id::{ChannelId, GenerationalId};

/// All connections. A slot holds one at a time; an id of a former tenant finds nothing.
#[derive(Default)]
pub(super) struct Channels {
    slots: Vec<Option<Channel>>,
}

impl Channels {
    pub(super) fn insert(&mut self, channel: Channel) {
        let index = channel.id.index() as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        self.slots[index] = Some(channel);
    }

    pub(super) fn get_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.slots.get_mut(id.index() as usize)?.as_mut().filter(|channel| channel.id == id)
    }

    pub(super) fn remove(&mut self, id: ChannelId) -> Option<Channel> {
        self.get_mut(id)?;
        self.slots[id.index() as usize].take()
    }

    /// Those that share a bit of the ready set.
    pub(super) fn of_bit(&self, bit: u32) -> impl Iterator<Item = ChannelId> {
        self.slots.iter().skip(bit as usize).step_by(ready::BITS as usize).flatten().map(|channel| channel.id)
    }

    /// Takes them all out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = ChannelId> {
        self.slots.drain(..).flatten().map(|channel| channel.id)
    }
}
