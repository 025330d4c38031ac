//! Requests count at every door, wherever they come to: on a connection that is up or is being opened, at an
//! address that is left alone, and at one that is none.

use alloc::sync::Arc;

use super::*;
use crate::channel::Keep;
use crate::remoting::{SendFields, SendMessageRequestHeaderV2, SendTemplate};

type Door = fn(&mut World, &Arc<str>);
/// Brings the world to where the address is as a row wants it, and names the address.
type Way = fn(&mut World) -> &'static str;

fn template(world: &World) -> SendTemplate {
    let header = SendMessageRequestHeaderV2 { topic: "T".into(), ..Default::default() };
    SendTemplate::new(world.channels.encoder(), RequestCode::SEND_MESSAGE_V2, &header, &[])
}

fn deadline(world: &World) -> Instant {
    world.now + Duration::from_secs(3)
}

const DOORS: [(&str, Door); 5] = [
    ("a request", |world, address| world.ask(address, 1, 3_000)),
    ("a request ahead", |world, address| {
        let (now, deadline, code) = (world.now, deadline(world), RequestCode::HEART_BEAT);
        world.channels.request_ahead(now, address, code, Bytes::new(), deadline, 1);
    }),
    ("a send", |world, address| {
        let (template, fields, deadline) = (template(world), SendFields::default(), deadline(world));
        let send = (&template, &fields, Keep::Nothing);
        world.channels.send(world.now, address, send, Bytes::new(), deadline, 1);
    }),
    ("a one-way send", |world, address| {
        let (template, fields) = (template(world), SendFields::default());
        world.channels.send_oneway(world.now, address, &template, &fields, Bytes::new(), 1);
    }),
    ("a one-way request", |world, address| {
        let header = GetRouteInfoRequestHeader { topic: "T".into(), ..Default::default() };
        world.channels.oneway(world.now, address, &header, Bytes::new(), None);
    }),
];

#[test]
fn every_request_counts_once_at_every_door() {
    let ways: [(&str, Way); 4] = [
        ("up", |world| {
            world.channels.connect(world.now, &A.into());
            world.connect();
            A
        }),
        ("to be opened", |_| A),
        ("left alone", |world| {
            world.channels.connect(world.now, &A.into());
            let id = world.connecting();
            world.channels.handle_closed(world.now, id, &"refused".into());
            A
        }),
        ("no address", |_| "nowhere"),
    ];
    for (way, prepare) in ways {
        for (door, knock) in DOORS {
            let mut world = World::new();
            let address: Arc<str> = prepare(&mut world).into();
            knock(&mut world, &address);
            assert_eq!(world.channels.statistics().requests, 1, "{door}, {way}");
        }
    }
}
