//! Names for the things a client owns. An id carries a generation wherever its slot can be used
//! again, so an event that was meant for a dead predecessor is recognised and dropped.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

/// An index into an [`Arena`] together with the generation that it was handed out in.
pub trait GenerationalId: Copy + Eq {
    /// Puts an id together.
    fn from_parts(index: u32, generation: u32) -> Self;
    /// The slot.
    fn index(self) -> u32;
    /// How often the slot had been used before.
    fn generation(self) -> u32;
}

macro_rules! generational_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            index: u32,
            generation: u32,
        }

        impl GenerationalId for $name {
            fn from_parts(index: u32, generation: u32) -> Self {
                Self { index, generation }
            }

            fn index(self) -> u32 {
                self.index
            }

            fn generation(self) -> u32 {
                self.generation
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}.{}"), self.index, self.generation)
            }
        }
    };
}

generational_id!(
    /// One connection, from the wish to connect until it is closed. A later connection to the same
    /// address has another id.
    ChannelId,
    "ch"
);
generational_id!(
    /// One command of a user that awaits its outcome. Given out by the driver; the core only hands
    /// it back.
    OperationId,
    "op"
);
generational_id!(
    /// One stay of a queue with a consumer: from rebalance to revocation.
    ProcessQueueId,
    "pq"
);
generational_id!(
    /// One send that is under way.
    SendId,
    "send"
);
generational_id!(
    /// One question to user code, until it is answered or nobody needs the answer any more.
    AskToken,
    "ask"
);

macro_rules! plain_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

plain_id!(
    /// A producer of this client. Numbers are never used twice.
    ProducerId,
    "producer"
);
plain_id!(
    /// A consumer of this client. Numbers are never used twice.
    ConsumerId,
    "consumer"
);
plain_id!(
    /// A name that the host was asked to look up. Numbers are never used twice.
    ResolveToken,
    "resolve"
);

/// A slab whose ids carry a generation. Slots are used again in the order last freed, first used,
/// which is the same in every run.
#[derive(Clone, Debug)]
pub struct Arena<I, T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    id: PhantomData<fn() -> I>,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<I, T> Default for Arena<I, T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), id: PhantomData }
    }
}

impl<I: GenerationalId, T> Arena<I, T> {
    /// Stores what `make` builds from its id, and returns that id.
    pub fn insert_with(&mut self, make: impl FnOnce(I) -> T) -> I {
        let index = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.slots.len()).expect("fewer than 2^32 things are alive at once");
            self.slots.push(Slot { generation: 0, value: None });
            index
        });
        let slot = &mut self.slots[index as usize];
        let id = I::from_parts(index, slot.generation);
        slot.value = Some(make(id));
        id
    }

    /// Stores `value`.
    pub fn insert(&mut self, value: T) -> I {
        self.insert_with(|_| value)
    }

    /// What `id` names, unless it is gone.
    pub fn get(&self, id: I) -> Option<&T> {
        let slot = self.slots.get(id.index() as usize)?;
        if slot.generation == id.generation() { slot.value.as_ref() } else { None }
    }

    /// As [`get`](Self::get), to change it.
    pub fn get_mut(&mut self, id: I) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.index() as usize)?;
        if slot.generation == id.generation() { slot.value.as_mut() } else { None }
    }

    /// Takes out what `id` names; the id is stale from now on.
    pub fn remove(&mut self, id: I) -> Option<T> {
        let slot = self.slots.get_mut(id.index() as usize)?;
        if slot.generation != id.generation() {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index());
        Some(value)
    }

    /// Everything alive, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.slots.iter().zip(0u32..).filter_map(|(slot, index)| {
            slot.value.as_ref().map(|value| (I::from_parts(index, slot.generation), value))
        })
    }

    /// Everything alive, by slot, to change it.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (I, &mut T)> {
        self.slots.iter_mut().zip(0u32..).filter_map(|(slot, index)| {
            let id = I::from_parts(index, slot.generation);
            slot.value.as_mut().map(|value| (id, value))
        })
    }

    /// How many are alive.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether none is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_former_tenant_finds_nothing() {
        let mut arena: Arena<ChannelId, &str> = Arena::default();
        let first = arena.insert("first");
        assert_eq!(arena.remove(first), Some("first"));
        let second = arena.insert("second");
        assert_eq!(second.index(), first.index());
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.get(second), Some(&"second"));
        assert_eq!(arena.len(), 1);
    }
}
