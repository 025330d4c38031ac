//! Delay levels: a message waits for one of a table of times.

use core::time::Duration;

/// The delays of a broker with the default table; level 1 is the first. Java:
/// `MessageStoreConfig#messageDelayLevel`.
pub const DELAY_LEVELS: [Duration; 18] = {
    const SECONDS: [u64; 18] =
        [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200];
    let mut levels = [Duration::ZERO; 18];
    let mut level = 0;
    while level < SECONDS.len() {
        levels[level] = Duration::from_secs(SECONDS[level]);
        level += 1;
    }
    levels
};
