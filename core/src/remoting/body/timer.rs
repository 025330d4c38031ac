//! Where a broker's timer messages stand: the one body of fixed size.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

use super::DataVersion;

/// How far a broker's timer wheel has come. The answer to `GET_TIMER_CHECK_POINT`. Java: `TimerCheckpoint`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimerCheckpoint {
    /// The time up to which messages were delivered, in Unix milliseconds.
    pub last_read_time_ms: i64,
    /// Up to where the timer log is flushed.
    pub last_timer_log_flush_pos: i64,
    /// Up to where the timer topic was read.
    pub last_timer_queue_offset: i64,
    /// The same of the master.
    pub master_timer_queue_offset: i64,
    /// Which of two check points is newer.
    pub data_version: DataVersion,
}

/// A timer check point of the wrong size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a timer check point has {} bytes, not {len}", TimerCheckpoint::BYTES)]
#[non_exhaustive]
pub struct TimerCheckpointError {
    /// How many bytes there are.
    pub len: usize,
}

impl TimerCheckpoint {
    /// The size of the body.
    pub const BYTES: usize = 56;

    /// Reads the body.
    ///
    /// # Errors
    /// It has another size.
    pub fn decode(body: &[u8]) -> Result<Self, TimerCheckpointError> {
        let (numbers, rest) = body.as_chunks::<8>();
        let error = TimerCheckpointError { len: body.len() };
        let numbers: &[[u8; 8]; 7] = numbers.try_into().map_err(|_| error)?;
        if !rest.is_empty() {
            return Err(error);
        }
        let [read, flushed, queue, master, state_version, timestamp, counter] =
            numbers.map(i64::from_be_bytes);
        Ok(Self {
            last_read_time_ms: read,
            last_timer_log_flush_pos: flushed,
            last_timer_queue_offset: queue,
            master_timer_queue_offset: master,
            data_version: DataVersion { counter, state_version, timestamp },
        })
    }

    /// Writes the body.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let DataVersion { counter, state_version, timestamp } = self.data_version;
        let numbers = [
            self.last_read_time_ms,
            self.last_timer_log_flush_pos,
            self.last_timer_queue_offset,
            self.master_timer_queue_offset,
            state_version,
            timestamp,
            counter,
        ];
        let mut body = [0; Self::BYTES];
        for (bytes, number) in body.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *bytes = number.to_be_bytes();
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn a_check_point_comes_back_and_no_other_size_is_one() {
        let mut rng = Rng::new(7);
        let bytes: [u8; 60] = core::array::from_fn(|_| u8::try_from(rng.below(256)).unwrap());
        for len in 0..bytes.len() {
            let read = TimerCheckpoint::decode(&bytes[..len]);
            if len == TimerCheckpoint::BYTES {
                assert_eq!(read.unwrap().encode(), bytes[..len]);
            } else {
                assert_eq!(read, Err(TimerCheckpointError { len }));
            }
        }
        let point = TimerCheckpoint { last_read_time_ms: 1, ..TimerCheckpoint::default() };
        assert_eq!((point.encode()[7], point.encode()[55]), (1, 0));
    }
}
