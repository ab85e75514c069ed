//! What the fleet costs per chunk: `cargo run -p fleet --example memory_per_chunk`.
//!
//! A million chunks of two replicas each, told by the reports of 3, 10 and 100 disks.
#![allow(unsafe_code, reason = "counting what is allocated takes an allocator")]
#![allow(clippy::print_stdout, reason = "an example that measures")]

use fleet::{DiskInfo, Event, Fleet, FleetOptions, ReportedReplica, ServerInfo};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use types::{ChunkId, ChunkSlot, ClassId, DiskId, ServerId, Term, Version};

static USED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator; only a counter is kept beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        USED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CHUNKS: u32 = 1_000_000;

fn main() {
    for disks in [3u32, 10, 100] {
        measure(disks);
    }
}

fn id(n: u32) -> [u8; 16] {
    u128::from(n).to_le_bytes()
}

fn measure(disks: u32) {
    let mut fleet = Fleet::new(Term(2), FleetOptions::default(), 0);
    let mut out = Vec::new();
    let version = Version { term: Term(1), counter: 1 };
    for n in 0..disks {
        let info = DiskInfo { disk: DiskId(id(n)), total_bytes: 1 << 44, ..DiskInfo::default() };
        let server = ServerInfo { server: ServerId(id(n)), disks: vec![info], ..ServerInfo::default() };
        fleet.handle(Event::ServerRegistered(server), 0, &mut out);
    }
    let empty = USED.load(Ordering::Relaxed);
    for n in 0..CHUNKS {
        let (slot, chunk, class) = (ChunkSlot(n), ChunkId((1 << 40) + u64::from(n)), ClassId(0));
        fleet.handle(Event::ChunkBorn { slot, chunk, version, class }, 0, &mut out);
        // Disks as a real placement would have mixed them.
        let first = (n.wrapping_mul(2_654_435_761) >> 8) % disks;
        for on in [first, (first + 1 + n % (disks - 1)) % disks] {
            let seen = ReportedReplica::sound(Some(slot), chunk, version);
            let disk = DiskId(id(on));
            fleet.handle(Event::Reported { disk, replicas: vec![seen], last: false }, 0, &mut out);
        }
    }
    let each = (USED.load(Ordering::Relaxed) - empty) as f64 / f64::from(CHUNKS);
    let start = std::time::Instant::now();
    fleet.handle(Event::ServerGone { server: ServerId(id(0)) }, 0, &mut out);
    let lost = fleet.summary().endangered;
    println!(
        "{disks} disks: {each:.1} bytes per chunk; losing a disk of {lost} replicas took {:?}",
        start.elapsed()
    );
}
