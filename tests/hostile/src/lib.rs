//! Servers that do what no broker would, and what a client must make of them.
//!
//! A hostile server is a machine: connections, bytes and the time go in, bytes and closes come out. It is a name
//! server or a broker that is honest but for some hours, in which a script says what it does instead. The same
//! machines run in the simulator, in virtual time, and over loopback, on each adapter.

mod bars;
mod beat;
mod case;
pub mod cases;
mod frame;
mod honest;
mod ledger;
mod log;
mod loopback;
mod program;
mod record;
mod script;
mod second_door;
mod server;
mod simulated;
mod site;
mod world;

pub use bars::Miss;
pub use case::{Case, Holds, Phase, Role, Site};
pub use log::{Counting, lines};
pub use world::Adapter;

use stats_alloc::StatsAlloc;

use crate::ledger::SharedLedger;

/// Runs a case, and gives the bars that it misses. Log lines and the heap are those of the process, which is to
/// run one case only.
#[must_use]
pub fn run_case(case: &Case, adapter: Adapter, heap: &'static StatsAlloc<std::alloc::System>) -> Vec<Miss> {
    let ledger = SharedLedger::default();
    let (measured, hours) = match adapter {
        Adapter::Simulator => simulated::run_case(case, &ledger),
        _ => loopback::run_case(case, adapter, &ledger, heap),
    };
    let ledger = ledger.lock();
    bars::misses(case, adapter, hours, &ledger, &measured)
}
