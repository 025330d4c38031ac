//! The figures of a running broker, by the names that tools read. Java: `AdminBrokerProcessor#prepareRuntimeInfo`.

use std::collections::BTreeMap;

use rocketmq_client_core::remoting::KVTable;
use rocketmq_client_core::time::Instant;

use super::Handled;
use crate::asker::Asker;
use crate::broker::Broker;

/// Figures that are zero here: what they measure doesn't happen, or isn't measured. A tool that misses one
/// of them fails.
const ZERO: &[&str] = &[
    "EndTransactionQueueSize",
    "EndTransactionThreadPoolQueueCapacity",
    "ackThreadPoolQueueCapacity",
    "ackThreadPoolQueueHeadWaitTimeMills",
    "ackThreadPoolQueueSize",
    "commitLogDiskRatio",
    "commitLogDiskRatio_memory",
    "consumeQueueDiskRatio",
    "dispatchBehindBytes",
    "dispatchMaxBuffer",
    "getMessageEntireTimeMax",
    "litePullThreadPoolQueueCapacity",
    "litePullThreadPoolQueueHeadWaitTimeMills",
    "litePullThreadPoolQueueSize",
    "msgGetTotalTodayMorning",
    "msgGetTotalYesterdayMorning",
    "msgPutTotalTodayMorning",
    "msgPutTotalYesterdayMorning",
    "pageCacheLockTimeMills",
    "pullThreadPoolQueueCapacity",
    "pullThreadPoolQueueHeadWaitTimeMills",
    "pullThreadPoolQueueSize",
    "putLatency99",
    "putLatency999",
    "putMessageEntireTimeMax",
    "putMessageFailedTimes",
    "queryThreadPoolQueueCapacity",
    "queryThreadPoolQueueHeadWaitTimeMills",
    "queryThreadPoolQueueSize",
    "remainTransientStoreBufferNumbs",
    "sendThreadPoolQueueCapacity",
    "sendThreadPoolQueueHeadWaitTimeMills",
    "sendThreadPoolQueueSize",
    "startAcceptSendRequestTimeStamp",
    "timerCongestNum",
    "timerDequeueTps",
    "timerEnqueueTps",
    "timerOffsetBehind",
    "timerReadBehind",
];

/// Rates over 10 s, 60 s and 600 s, which nobody measures here.
const RATES: &[&str] = &["putTps", "getTransferredTps", "getFoundTps", "getMissTps", "getTotalTps"];

/// How long appends took; all of them no time at all.
const DISTRIBUTION: &str = "[<=0ms]:0 [0~10ms]:0 [10~50ms]:0 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 \
    [500ms~1s]:0 [1~2s]:0 [2~3s]:0 [3~4s]:0 [4~5s]:0 [5~10s]:0 [10s~]:0 ";

impl Broker {
    pub(crate) fn runtime_info(&mut self, now: Instant, asker: &Asker) -> Handled {
        let mut table: BTreeMap<String, String> = BTreeMap::new();
        let mut put = |name: &str, value: String| drop(table.insert(name.to_owned(), value));
        ZERO.iter().for_each(|name| put(name, "0".to_owned()));
        RATES.iter().for_each(|name| put(name, "0.0 0.0 0.0".to_owned()));
        let (begin, end, records) = (self.store.log.begin(), self.store.log.end(), self.store.log.next());
        let oldest = self.store.log.iter().next().map_or(-1, |record| record.store_timestamp.as_millis());
        put("bootTimestamp", self.boot.as_millis().to_string());
        put("brokerActive", "true".to_owned());
        put("brokerVersionDesc", "V5_4_0".to_owned());
        put("commitLogDirCapacity", "Total : 0.0 GiB, Free : 0.0 GiB.".to_owned());
        put("commitLogMaxOffset", end.to_string());
        put("commitLogMinOffset", begin.to_string());
        put("earliestMessageTimeStamp", oldest.to_string());
        put("msgGetTotalTodayNow", self.gets.total().to_string());
        put("msgPutTotalTodayNow", records.to_string());
        put("putMessageAverageSize", format!("{:.1}", average(end, records)));
        put("putMessageDistributeTime", DISTRIBUTION.to_owned());
        put("putMessageSizeTotal", end.to_string());
        put("putMessageTimesTotal", records.to_string());
        put("remainHowManyDataToFlush", "0 B".to_owned());
        put("runtime", runtime(self.wall(now).as_millis() - self.boot.as_millis()));
        for (level, offset) in self.delay.offsets(&self.store) {
            let end = self.delay.end_of(&self.store, level);
            put(&format!("scheduleMessageOffset_{level}"), format!("{offset},{end}"));
        }
        let table = table.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.replier.body(now, asker, KVTable { table: table.collect() }.encode());
        Ok(())
    }
}

fn average(bytes: u64, records: u64) -> f64 {
    let mean = bytes.checked_div(records).unwrap_or(0);
    f64::from(u32::try_from(mean).unwrap_or(u32::MAX))
}

/// Java: `BrokerController`'s uptime in words.
fn runtime(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("[ {days} days, {hours} hours, {minutes} minutes, {} seconds ]", seconds % 60)
}
