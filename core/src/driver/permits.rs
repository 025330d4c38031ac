//! How much may be under way: a bound on messages and on their bytes.

/// Bounds on what producers of one client may have under way, queued or sent and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Messages. Default 65,536.
    pub messages_max: usize,
    /// Bytes of their bodies and properties. Default 64 MiB. One message or batch may always be under way,
    /// however large.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { messages_max: 65_536, bytes_max: 64 << 20 }
    }
}

/// What one command holds while it is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    messages: usize,
    bytes: usize,
}

impl Cost {
    /// Commands that carry no message.
    pub(crate) const FREE: Self = Self { messages: 0, bytes: 0 };
}

/// The permits that are left.
#[derive(Debug)]
pub(crate) struct Permits {
    limits: Limits,
    free: Cost,
}

impl Permits {
    /// All of `limits`; at least one message.
    pub(crate) fn new(limits: Limits) -> Self {
        let limits = Limits { messages_max: limits.messages_max.max(1), ..limits };
        Self { limits, free: Cost { messages: limits.messages_max, bytes: limits.bytes_max } }
    }

    /// What so many messages of `bytes` together cost: never more than there is.
    pub(crate) fn cost(&self, messages: usize, bytes: usize) -> Cost {
        let Limits { messages_max, bytes_max } = self.limits;
        Cost { messages: messages.min(messages_max), bytes: bytes.min(bytes_max) }
    }

    /// Takes `cost` if it is there.
    pub(crate) fn try_take(&mut self, cost: Cost) -> bool {
        let fits = cost.messages <= self.free.messages && cost.bytes <= self.free.bytes;
        if fits {
            self.free.messages -= cost.messages;
            self.free.bytes -= cost.bytes;
        }
        fits
    }

    /// Gives back what [`try_take`](Self::try_take) took.
    pub(crate) fn give_back(&mut self, cost: Cost) {
        self.free.messages += cost.messages;
        self.free.bytes += cost.bytes;
        debug_assert!(self.free.messages <= self.limits.messages_max, "no permit comes back twice");
        debug_assert!(self.free.bytes <= self.limits.bytes_max, "no permit comes back twice");
    }

    /// Whether everything has come back.
    #[cfg(test)]
    pub(crate) fn is_whole(&self) -> bool {
        self.free == Cost { messages: self.limits.messages_max, bytes: self.limits.bytes_max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_hold_and_a_refusal_takes_nothing() {
        let mut permits = Permits::new(Limits { messages_max: 2, bytes_max: 10 });
        let six = permits.cost(1, 6);
        assert!(permits.try_take(six));
        assert!(!permits.try_take(six), "bytes");
        let one = permits.cost(1, 1);
        assert!(permits.try_take(one));
        assert!(!permits.try_take(permits.cost(1, 0)), "messages");
        permits.give_back(six);
        permits.give_back(one);
        assert!(permits.is_whole());
    }

    #[test]
    fn a_batch_takes_the_room_of_its_messages_and_one_larger_than_the_bound_goes_alone() {
        let mut permits = Permits::new(Limits { messages_max: 4, bytes_max: 100 });
        let three = permits.cost(3, 10);
        assert!(permits.try_take(three));
        assert!(!permits.try_take(permits.cost(2, 1)), "messages");
        permits.give_back(three);
        let huge = permits.cost(1_000, 10);
        assert!(permits.try_take(huge));
        assert!(!permits.try_take(permits.cost(1, 0)));
        permits.give_back(huge);
        assert!(permits.is_whole());
    }

    #[test]
    fn a_message_larger_than_the_bound_goes_alone() {
        let mut permits = Permits::new(Limits { messages_max: 0, bytes_max: 10 });
        let huge = permits.cost(1, 1_000);
        assert!(permits.try_take(huge));
        assert!(!permits.try_take(permits.cost(1, 0)));
        permits.give_back(huge);
        assert!(permits.is_whole());
    }
}
