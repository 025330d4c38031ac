//! Proves that the core needs no `std`: this library brings its own panic handler and allocator.
//!
//! If any crate below linked `std`, there would be two panic handlers and the build would fail. That
//! a crate says `#![no_std]` of itself proves nothing: one of its dependencies may link `std` for it.

#![no_std]

extern crate alloc;

use alloc::sync::Arc;
use core::alloc::{GlobalAlloc, Layout};
use core::net::{IpAddr, Ipv4Addr};
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use rocketmq_client_core::client::{Client, ClientCommand, Command, Input, Output};
use rocketmq_client_core::config::{ClientConfig, HostFacts};
use rocketmq_client_core::id::{ChannelId, GenerationalId, OperationId};
use rocketmq_client_core::remoting::{FRAME_BYTES_MAX, FrameDecoder};
use rocketmq_client_core::time::{Instant, Timestamp};

const ARENA_BYTES: usize = 1 << 20;

/// Hands out one static arena from front to back and takes nothing back.
struct Arena {
    bytes: core::cell::UnsafeCell<[u8; ARENA_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: `used` gives every caller a range of its own.
unsafe impl Sync for Arena {}

// SAFETY: ranges never overlap, lie within `bytes`, and are aligned by address.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.bytes.get().cast::<u8>();
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let start = (base as usize).checked_add(used)?.checked_next_multiple_of(layout.align())?;
            let end = (start - base as usize).checked_add(layout.size())?;
            (end <= ARENA_BYTES).then_some(end)
        });
        match taken {
            Ok(used) => {
                let start = (base as usize + used).next_multiple_of(layout.align()) - base as usize;
                base.wrapping_add(start)
            }
            Err(_) => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ARENA: Arena =
    Arena { bytes: core::cell::UnsafeCell::new([0; ARENA_BYTES]), used: AtomicUsize::new(0) };

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Uses a whole client, so that everything it calls must be there at link time.
#[unsafe(no_mangle)]
pub extern "C" fn probe(seed: u64) -> usize {
    let now = Instant::from_nanos(seed);
    let config = Arc::new(ClientConfig::new(["name.example:9876"]));
    let facts = HostFacts { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), pid: 1 };
    let mut client = Client::new(config, &facts, seed, now, Timestamp::from_millis(0));
    let operation = OperationId::from_parts(0, 0);
    client.handle(now, Input::Command(Command::Client(ClientCommand::Connect { operation })));
    client.handle(now, Input::Timeout);
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(&seed.to_be_bytes());
    if let Ok(Some(command)) = decoder.next_frame() {
        let channel = ChannelId::from_parts(0, 0);
        client.handle(now, Input::Received { channel, command });
    }
    match client.poll_output(now) {
        Output::Wait(deadline) => deadline.as_millis() as usize,
        output => alloc::format!("{output:?}").len(),
    }
}
