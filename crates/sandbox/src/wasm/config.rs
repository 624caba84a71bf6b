//! How wasmtime is set up, once for all three processes: code and images made by one must load in the others.

use sublet_model::limit;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// Native stack that the engine's frames may use. Deep recursion in JavaScript must meet QuickJS's own check of its
/// shadow stack first (a RangeError); with 1.5 MiB the native stack ends before that (a trap).
const WASM_STACK_BYTES: usize = 4 << 20;
/// An attempt's fiber: that stack, and what host calls need on top.
const FIBER_STACK_BYTES: usize = WASM_STACK_BYTES + (512 << 10);
/// Bytes of a memory that are reset in place when an attempt ends, rather than given back to the kernel: what a small
/// function touches, and few enough that a worker whose every memory was filled holds half a GiB.
const KEEP_RESIDENT_BYTES: usize = 2 << 20;
/// Memories of a worker, however few attempts it runs at once. Most functions run in one that has the base mapped, and a
/// few of those are enough. Where an image is a module of its own, a memory that still has it mapped costs half of one
/// that has to map it anew, so there are more of them than slots: such functions that take turns find theirs warm.
const MEMORIES_MIN: u32 = 256;
/// Entries of a table, the most: the engine has 522 and cannot grow it.
pub(super) const TABLE_ENTRIES_MAX: usize = 1024;
/// Entries of a table of a tenant's own module: functions that are called by pointer.
pub(super) const MODULE_TABLE_ENTRIES_MAX: usize = 20_000;
/// Bytes of what wasmtime keeps for an instance beside memory and table; a bound, not a reservation. A module of as many
/// functions and globals as are let through needs less.
const INSTANCE_BYTES_MAX: usize = 4 << 20;
/// Bytes from a snapshot's first to its last page that holds anything. Larger ones would be copied into place for every
/// attempt instead of being mapped, and they weigh on the server that seals them.
pub(super) const IMAGE_BYTES_MAX: usize = 64 << 20;
/// Bytes of a page of linear memory.
pub(super) const WASM_PAGE_BYTES: usize = 64 << 10;

/// What code and images depend on.
pub(super) fn shared() -> Config {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::Speed);
    config.epoch_interruption(true);
    config.max_wasm_stack(WASM_STACK_BYTES);
    config.async_stack_size(FIBER_STACK_BYTES);
    config.memory_init_cow(true);
    config.memory_guaranteed_dense_image_size(IMAGE_BYTES_MAX as u64);
    // A trap is the engine's fault, never explained by a WebAssembly backtrace: leave the tables out.
    config.wasm_backtrace_max_frames(None);
    config.native_unwind_info(false);
    config.generate_address_map(false);
    config
}

/// The builder's: host calls read the package's source, by recursion; and it compiles tenants' modules.
pub(super) fn building() -> Config {
    let mut config = shared();
    config.async_stack_size(WASM_STACK_BYTES + sublet_bundle::STACK_BYTES);
    // Modules are compiled behind the system call filter, where no thread can be started.
    config.parallel_compilation(false);
    config
}

/// The worker's: `slots` attempts at once, from a pool of memories and stacks made beforehand.
pub(super) fn pooling(slots: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    let memories = slots.max(MEMORIES_MIN);
    // An attempt is two instances: the image, which defines the memory, and the engine on top of it.
    pool.total_core_instances(slots.saturating_mul(2));
    pool.total_memories(memories);
    pool.total_tables(slots);
    pool.total_stacks(slots);
    pool.max_unused_warm_slots(memories);
    pool.table_elements(MODULE_TABLE_ENTRIES_MAX);
    pool.max_core_instance_size(INSTANCE_BYTES_MAX);
    pool.max_memory_size(usize::try_from(limit::MEMORY_MAX).unwrap_or(usize::MAX));
    pool.linear_memory_keep_resident(KEEP_RESIDENT_BYTES);
    pool.table_keep_resident(TABLE_ENTRIES_MAX * size_of::<usize>());
    // Linux 6.7 and later; wasmtime asks the kernel and goes without where it is missing.
    pool.pagemap_scan(Enabled::Auto);
    let mut config = shared();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
