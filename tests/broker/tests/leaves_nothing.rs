//! What is left of brokers that are gone, counted by the operating system. Alone in its process, so that no
//! other test's threads and sockets are counted.
#![cfg(all(feature = "serve", target_os = "linux"))]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::{fs, io};

use bytes::BytesMut;
use rocketmq_client_core::remoting::{Encoder, Head, SendMessageRequestHeaderV2};
use rocketmq_dev_broker::DevBroker;

fn entries(dir: &str) -> io::Result<BTreeSet<String>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The threads of this process, by id.
fn threads() -> BTreeSet<String> {
    entries("/proc/self/task").expect("the list of threads")
}

/// What this process has open: sockets, files, polls.
fn open() -> usize {
    entries("/proc/self/fd").expect("the list of what is open").len()
}

/// Sends a message and waits for its answer.
fn send(broker: &DevBroker) -> TcpStream {
    let header = SendMessageRequestHeaderV2 {
        producer_group: "pg".into(),
        topic: "T".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        ..Default::default()
    };
    let mut frame = BytesMut::new();
    let head = Head { code: 310, opaque: 1, flag: 0, remark: None };
    Encoder::default().encode(&mut frame, &head, &header, &[], 1);
    frame.extend_from_slice(b"x");
    let mut stream = TcpStream::connect(broker.broker_addr(0)).expect("a connection");
    stream.write_all(&frame).expect("a send");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    assert_eq!(broker.messages("T").len(), 1);
    stream
}

#[test]
fn a_hundred_brokers_that_served_leave_no_thread_and_no_socket() {
    let (threads_before, open_before) = (threads(), open());
    let brokers: Vec<_> = (0..100).map(|_| DevBroker::start().expect("a broker")).collect();
    let clients: Vec<_> = brokers.iter().map(send).collect();
    assert_eq!(threads().len(), threads_before.len() + 100, "they run at the same time");
    assert!(open() >= open_before + 100 * 3, "ports and connections are open");
    drop(brokers);
    // A broker's end is the end of its connections.
    clients.into_iter().for_each(|mut client| {
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
    });
    // A thread that was joined may be listed a moment longer.
    while threads() != threads_before {
        std::thread::yield_now();
    }
    assert_eq!(open(), open_before);
}
