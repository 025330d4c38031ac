//! How a broker and its replicas are doing.

use super::bodies;
use alloc::{sync::Arc, vec::Vec};

bodies! {
    /// How a broker and its replicas are doing. The answer to `GET_BROKER_HA_STATUS`.
    HARuntimeInfo [Eq] {
        /// The slave's side.
        ha_client_runtime_info: "haClientRuntimeInfo" HAClientRuntimeInfo,
        /// The master's side, one entry a slave.
        ha_connection_info: "haConnectionInfo" Vec<HAConnectionRuntimeInfo>,
        /// How many slaves keep up.
        in_sync_slave_nums: "inSyncSlaveNums" i32,
        /// Whether the broker is a master.
        master: "master" bool,
        /// Where the master's commit log ends.
        master_commit_log_max_offset: "masterCommitLogMaxOffset" i64,
    }

    /// How a slave is doing.
    HAClientRuntimeInfo [Eq] {
        /// When it last read from its master, in Unix milliseconds.
        last_read_timestamp: "lastReadTimestamp" i64,
        /// When it last wrote to its master, in Unix milliseconds.
        last_write_timestamp: "lastWriteTimestamp" i64,
        /// Its master.
        master_addr: "masterAddr" Option<Arc<str>>,
        /// How far its master has flushed.
        master_flush_offset: "masterFlushOffset" i64,
        /// Where its commit log ends.
        max_offset: "maxOffset" i64,
        /// Bytes a second.
        transferred_byte_in_second: "transferredByteInSecond" i64,
    }

    /// How a master sees one slave.
    HAConnectionRuntimeInfo [Eq] {
        /// The slave's address.
        addr: "addr" Arc<str>,
        /// How many bytes it lags.
        diff: "diff" i64,
        /// Whether it keeps up.
        in_sync: "inSync" bool,
        /// What it has acknowledged.
        slave_ack_offset: "slaveAckOffset" i64,
        /// Where the transfer to it began.
        transfer_from_where: "transferFromWhere" i64,
        /// Bytes a second.
        transferred_byte_in_second: "transferredByteInSecond" i64,
    }
}
