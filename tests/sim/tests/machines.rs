//! What a user's program can do to the machines of its world, and what it can ask servers.

use std::cell::RefCell;
use std::time::Duration;

use bytes::BytesMut;
use rocketmq_client_core::driver::Producer;
use rocketmq_client_core::error::{Cause, Error};
use rocketmq_client_core::message::Message;
use rocketmq_client_core::producer::SendReceipt;
use rocketmq_client_core::remoting::{
    Encoder, FRAME_BYTES_MAX, FrameDecoder, GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader,
    GetRouteInfoRequestHeader, Head, RemotingCommand, RequestHeader, ResponseCode, TopicRouteData,
};
use rocketmq_sim::{Ctx, Machine, Servers, Trouble, WorldBuilder, simulate, simulate_with};

const TOPIC: &str = "TopicTest";

fn producer(machine: &Machine) -> Producer {
    let producer = machine.client().producer("demo").retry_times(0).send_timeout(Duration::from_secs(1));
    producer.build().expect("a good name")
}

async fn send(producer: &Producer) -> Result<SendReceipt, Error> {
    producer.send(Message::new(TOPIC, "hello")).await
}

fn request<'a, H: RequestHeader<'a>>(header: &H) -> RemotingCommand {
    let mut bytes = BytesMut::new();
    let head = Head { code: H::CODE.0, opaque: 1, flag: 0, remark: None };
    Encoder::default().encode(&mut bytes, &head, header, &[], 0);
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(&bytes);
    decoder.next_frame().expect("our own frame").expect("a whole frame")
}

fn broker_address(ctx: &Ctx) -> String {
    let header = GetRouteInfoRequestHeader { topic: "TBW102".into(), ..Default::default() };
    let answer = ctx.ask(ctx.name_servers(), request(&header)).expect("an answer");
    let route = TopicRouteData::decode(&answer.body).expect("a route");
    route.broker_datas[0].broker_addrs[&0].to_string()
}

#[test]
fn a_program_may_borrow_and_needs_not_be_send() {
    let told = RefCell::new(Vec::new());
    let rc = std::rc::Rc::new(7);
    simulate(1, async |ctx| {
        told.borrow_mut().push(ctx.now());
        ctx.sleep(Duration::from_secs(*rc)).await;
        told.borrow_mut().push(ctx.now());
    });
    let told = told.into_inner();
    assert_eq!(told[1] - told[0], Duration::from_secs(7));
}

#[test]
fn a_server_is_asked_past_the_network_and_no_time_passes() {
    simulate(2, async |ctx| {
        let machine = ctx.machine();
        let receipt = send(&producer(&machine)).await.expect("stored");
        machine.disturb(Servers::All, Trouble::Refuse);
        let before = ctx.now();
        let queue_id = receipt.queue.queue_id;
        let header = GetMaxOffsetRequestHeader { topic: TOPIC.into(), queue_id, ..Default::default() };
        let address = broker_address(&ctx);
        let answer = ctx.ask(&address, request(&header)).expect("an answer");
        assert_eq!(answer.response_code(), ResponseCode::SUCCESS);
        assert_eq!(answer.header::<GetMaxOffsetResponseHeader>().expect("its header").offset, 1);
        assert_eq!(ctx.now(), before);
        assert_eq!(ctx.with_broker(0, |broker| broker.connection_count()), 0);
        assert!(ctx.ask("10.9.9.9:10911", request(&header)).is_none());
        ctx.with_broker(0, |broker| broker.faults_mut().freeze(true));
        assert!(ctx.ask(&address, request(&header)).is_none());
    });
}

#[test]
fn a_trouble_is_one_machines_and_ends() {
    simulate(3, async |ctx| {
        let (disturbed, other) = (ctx.machine(), ctx.machine());
        let (theirs, others) = (producer(&disturbed), producer(&other));
        send(&theirs).await.expect("stored");
        send(&others).await.expect("stored");
        for trouble in [Trouble::Refuse, Trouble::Drop, Trouble::Hold] {
            disturbed.disturb(Servers::Broker(0), trouble);
            let sent = send(&theirs).await;
            assert!(sent.is_err(), "{trouble:?}: {sent:?}");
            assert_eq!(other.cut(Servers::Brokers), 1, "{trouble:?}");
            send(&others).await.expect("the other machine's way is free");
            disturbed.heal(Servers::All);
            let healed = ctx.now();
            while send(&theirs).await.is_err() {
                ctx.sleep(Duration::from_millis(10)).await;
            }
            assert!(ctx.now() - healed < Duration::from_secs(10), "{trouble:?}");
        }
    });
}

#[test]
fn the_kind_of_trouble_shows_in_the_error() {
    simulate(4, async |ctx| {
        let machine = ctx.machine();
        let producer = producer(&machine);
        send(&producer).await.expect("stored");
        machine.disturb(Servers::Brokers, Trouble::Hold);
        let Err(Error::Unknown(failure)) = send(&producer).await else {
            panic!("it should have been on its way")
        };
        assert_eq!(failure.cause, Cause::Timeout);
        machine.disturb(Servers::Brokers, Trouble::Refuse);
        machine.heal(Servers::NameServers);
        let stored = ctx.with_broker(0, |broker| broker.messages(TOPIC).len());
        let sent = send(&producer).await;
        assert!(sent.is_err(), "{sent:?}");
        machine.heal(Servers::Brokers);
        ctx.sleep(Duration::from_secs(60)).await;
        // A reset took what had been held back.
        assert_eq!(ctx.with_broker(0, |broker| broker.messages(TOPIC).len()), stored);
    });
}

#[test]
fn only_the_server_that_was_named_is_out_of_reach() {
    simulate_with(5, 2, async |ctx| {
        let machine = ctx.machine();
        let client = machine.connect(ctx.settings()).await.expect("a name server");
        let producer = client.producer("demo").build().expect("a good name");
        machine.disturb(Servers::Broker(1), Trouble::Refuse);
        for _ in 0..20 {
            assert_eq!(&*send(&producer).await.expect("stored").queue.broker_name, "broker-a");
        }
    });
}

#[test]
fn a_killed_client_is_missed_and_one_without_power_is_not() {
    let world =
        WorldBuilder::new(6).configure_brokers(|config| config.channel_expire = Duration::from_secs(40));
    world.run(async |ctx| {
        let connections = || ctx.with_broker(0, |broker| broker.connection_count());
        for silently in [false, true] {
            let machine = ctx.machine();
            let (one, two) = (producer(&machine), producer(&machine));
            send(&one).await.expect("stored");
            send(&two).await.expect("stored");
            assert_eq!(connections(), 2);
            if silently {
                machine.power_off()
            } else {
                machine.kill()
            }
            ctx.sleep(Duration::from_secs(1)).await;
            assert_eq!(connections(), if silently { 2 } else { 0 });
            assert!(matches!(send(&one).await, Err(Error::Closed)));
            let again = producer(&machine);
            send(&again).await.expect("a machine that was started again");
            machine.kill();
            // The longest that a broker keeps a client that says nothing.
            ctx.sleep(Duration::from_secs(60)).await;
            assert_eq!(connections(), 0);
        }
    });
}

#[test]
fn a_detour_is_a_way_of_its_own_and_its_brokers_move() {
    simulate(7, async |ctx| {
        let (detour, other) = (ctx.detour(), ctx.detour());
        let clients =
            [&detour, &other].map(|way| ctx.machine().start(way.name_servers()).expect("good settings"));
        let [theirs, others] = clients
            .each_ref()
            .map(|client| client.producer("demo").retry_times(0).build().expect("a good name"));
        send(&theirs).await.expect("stored");
        send(&others).await.expect("stored");
        assert_eq!((detour.connection_count(), other.connection_count()), (2, 2));
        detour.disturb(Servers::Broker(0), Trouble::Refuse);
        assert_eq!((detour.connection_count(), other.connection_count()), (1, 2));
        assert!(send(&theirs).await.is_err());
        send(&others).await.expect("stored");
        detour.heal(Servers::All);
        detour.disturb(Servers::NameServers, Trouble::Refuse);
        detour.move_brokers();
        assert_eq!((detour.connection_count(), other.connection_count()), (0, 2));
        ctx.sleep(Duration::from_secs(60)).await;
        let sent = send(&theirs).await;
        assert!(sent.is_err(), "the old addresses lead nowhere: {sent:?}");
        detour.heal(Servers::NameServers);
        // Routes are asked for every 30 s.
        ctx.sleep(Duration::from_secs(60)).await;
        send(&theirs).await.expect("stored at the new address");
        send(&others).await.expect("stored");
    });
}

#[test]
fn a_ghost_broker_is_tried_and_takes_nothing() {
    simulate(8, async |ctx| {
        let detour = ctx.detour();
        detour.add_ghost_broker();
        let client = ctx.connect(detour.name_servers()).await.expect("a name server");
        let producer = client.producer("demo").build().expect("a good name");
        for _ in 0..20 {
            assert_eq!(&*send(&producer).await.expect("stored").queue.broker_name, "broker-a");
        }
        assert!(detour.ghost_knocks() > 0);
    });
}
