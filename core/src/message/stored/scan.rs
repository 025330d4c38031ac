//! A first pass over a pull body that reads only what decides.

use core::ops::Range;

use super::RecordErrorKind;
use super::layout::{COMMIT_LOG_OFFSET_AT, Layout, QUEUE_ID_AT, QUEUE_OFFSET_AT, RECORD_BYTES_MIN};
use crate::message::bytes_at::{i32_at, i64_at};
use crate::message::properties::find_range;
use crate::message::{RecordError, property, sys_flag};

/// What a pull body is scanned for: where each record lies, and what filtering, flow control and
/// the offset table need of it. Nothing is copied.
///
/// ```
/// # use rocketmq_client_core::message::scan_stored;
/// for record in scan_stored(&[]) {
///     let record = record?;
///     println!("{} has {} bytes", record.queue_offset, record.range.len());
/// }
/// # Ok::<(), rocketmq_client_core::message::RecordError>(())
/// ```
#[must_use]
pub fn scan_stored(body: &[u8]) -> ScanStored<'_> {
    ScanStored { body, records: Records::default() }
}

/// What the first pass knows of a record. Ranges count from the start of the pull body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedRecord {
    /// The whole record; give this slice to [`StoredMessage::decode`](super::StoredMessage::decode).
    pub range: Range<usize>,
    /// The queue the record lies in.
    pub queue_id: i32,
    /// The record's offset in its queue; that of the first message for an inner batch.
    pub queue_offset: i64,
    /// The record's offset in the commit log.
    pub commit_log_offset: i64,
    /// The bits of [`sys_flag`].
    pub sys_flag: i32,
    /// How often the message was consumed without success.
    pub reconsume_times: i32,
    /// The length of the body as stored, in bytes.
    pub body_len: usize,
    /// The topic.
    pub topic: Range<usize>,
    /// The tag, if there is one.
    pub tags: Option<Range<usize>>,
    /// How many messages the record says it holds: 1, or what an inner batch claims, at least 1.
    pub messages: u32,
}

/// The records of a pull body; see [`scan_stored`].
#[derive(Clone, Debug)]
pub struct ScanStored<'a> {
    body: &'a [u8],
    records: Records,
}

impl Iterator for ScanStored<'_> {
    type Item = Result<ScannedRecord, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let range = match self.records.next(self.body)? {
            Ok(range) => range,
            Err(error) => return Some(Err(error)),
        };
        let record = self.body.get(range.clone())?;
        Some(scan_record(record, range.start).map_err(|kind| undecodable(record, range.start, kind)))
    }
}

/// Walks from record to record by their sizes.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    at: usize,
}

impl Records {
    /// Where the next record lies in `body`.
    pub(super) fn next(&mut self, body: &[u8]) -> Option<Result<Range<usize>, RecordError>> {
        let at = self.at;
        let left = body.len().checked_sub(at).filter(|left| *left > 0)?;
        let kind = match i32_at(body, at) {
            None => RecordErrorKind::NoSize { left },
            Some(size) => match usize::try_from(size) {
                Ok(bytes) if (RECORD_BYTES_MIN..=left).contains(&bytes) => {
                    self.at = at + bytes;
                    return Some(Ok(at..self.at));
                }
                _ => RecordErrorKind::Size { size, min: RECORD_BYTES_MIN, left },
            },
        };
        self.at = body.len();
        Some(Err(RecordError {
            kind,
            at,
            lost_bytes: left,
            ends_body: true,
            queue_offset: None,
            commit_log_offset: None,
            queue_id: None,
            topic: None,
        }))
    }
}

/// The error for `record`, which lies at `at`, with all that can be read of it.
pub(super) fn undecodable(record: &[u8], at: usize, kind: RecordErrorKind) -> RecordError {
    // With another magic number the fields may lie elsewhere or mean something else.
    let known = !matches!(kind, RecordErrorKind::Magic { .. });
    let topic = Layout::of(record)
        .ok()
        .and_then(|layout| record.get(layout.topic))
        .and_then(|topic| core::str::from_utf8(topic).ok());
    RecordError {
        kind,
        at,
        lost_bytes: record.len(),
        ends_body: false,
        queue_offset: i64_at(record, QUEUE_OFFSET_AT).filter(|_| known),
        commit_log_offset: i64_at(record, COMMIT_LOG_OFFSET_AT).filter(|_| known),
        queue_id: i32_at(record, QUEUE_ID_AT).filter(|_| known),
        topic: topic.map(Into::into),
    }
}

fn scan_record(record: &[u8], at: usize) -> Result<ScannedRecord, RecordErrorKind> {
    let layout = Layout::of(record)?;
    let beyond = || RecordErrorKind::Part { part: "fixed part", size: record.len() };
    let properties = record.get(layout.properties.clone()).unwrap_or_default();
    let properties_at = at + layout.properties.start;
    let tags = find_range(properties, property::TAGS.as_bytes());
    Ok(ScannedRecord {
        range: at..at + record.len(),
        queue_id: i32_at(record, QUEUE_ID_AT).ok_or_else(beyond)?,
        queue_offset: i64_at(record, QUEUE_OFFSET_AT).ok_or_else(beyond)?,
        commit_log_offset: i64_at(record, COMMIT_LOG_OFFSET_AT).ok_or_else(beyond)?,
        sys_flag: layout.sys_flag,
        reconsume_times: i32_at(record, layout.reconsume_times_at).ok_or_else(beyond)?,
        body_len: layout.body.len(),
        topic: at + layout.topic.start..at + layout.topic.end,
        tags: tags.map(|tags| properties_at + tags.start..properties_at + tags.end),
        messages: if sys_flag::is_inner_batch(layout.sys_flag) { inner_num(properties) } else { 1 },
    })
}

/// How many messages an inner batch says it holds, at least 1.
fn inner_num(properties: &[u8]) -> u32 {
    find_range(properties, property::INNER_NUM.as_bytes())
        .and_then(|range| core::str::from_utf8(properties.get(range)?).ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
        .max(1)
}
