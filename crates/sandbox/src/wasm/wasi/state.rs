//! What the host keeps of one attempt of a tenant's module.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use wasmtime::{Global, Memory, ResourceLimiter};

use super::super::config::MODULE_TABLE_ENTRIES_MAX;
use super::super::host::Observed;
use super::stream::{Input, Lines, Output};
use crate::Limits;

/// One attempt's view of the world.
pub(in crate::wasm) struct Setting {
    pub(in crate::wasm) stdin: Bytes,
    pub(in crate::wasm) arguments: Vec<String>,
    pub(in crate::wasm) environment: Vec<(String, String)>,
    /// The wall clock at the start, in milliseconds since 1970.
    pub(in crate::wasm) now_ms: i64,
    pub(in crate::wasm) limits: Limits,
}

/// The data of a store.
pub(in crate::wasm) struct Wasi {
    pub(in crate::wasm) observed: Arc<Observed>,
    pub(in crate::wasm) stdout: Output,
    pub(in crate::wasm) stderr: Lines,
    pub(super) stdin: Input,
    pub(super) is_open: [bool; 3],
    /// Each ends with a zero byte.
    pub(super) arguments: Vec<Vec<u8>>,
    pub(super) environment: Vec<Vec<u8>>,
    pub(super) memory: Option<Memory>,
    /// Where the module counts its instructions, if it does.
    pub(in crate::wasm) counter: Option<Global>,
    pub(super) started: Instant,
    now_ms: i64,
    memory_bytes: u64,
}

impl Wasi {
    pub(in crate::wasm) fn new(setting: Setting) -> Wasi {
        let observed = Arc::new(Observed::new(setting.limits.log_bytes));
        let variable = |(name, value): (String, String)| terminated(format!("{name}={value}"));
        Wasi {
            stdout: Output::new(setting.limits.result_bytes),
            stderr: Lines::new(Arc::clone(&observed), setting.limits.log_bytes),
            stdin: Input::new(setting.stdin),
            is_open: [true; 3],
            arguments: setting.arguments.into_iter().map(terminated).collect(),
            environment: setting.environment.into_iter().map(variable).collect(),
            memory: None,
            counter: None,
            started: Instant::now(),
            now_ms: setting.now_ms,
            memory_bytes: setting.limits.memory_bytes,
            observed,
        }
    }

    /// Nanoseconds since the start. In whole microseconds: finer clocks serve those who listen to caches.
    pub(super) fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX).saturating_mul(1000)
    }

    /// Nanoseconds since 1970.
    pub(super) fn realtime_ns(&self) -> u64 {
        let start_ns = u64::try_from(self.now_ms).unwrap_or(0).saturating_mul(1_000_000);
        start_ns.saturating_add(self.monotonic_ns())
    }
}

/// A zero byte within would end it earlier, and so it does here.
fn terminated(text: String) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    bytes.truncate(length);
    bytes.push(0);
    bytes
}

impl ResourceLimiter for Wasi {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.observed.grants_memory(desired as u64, self.memory_bytes))
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MODULE_TABLE_ENTRIES_MAX)
    }
}

impl Wasi {
    pub(in crate::wasm) fn was_denied_memory(&self) -> bool {
        self.observed.memory_denied.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::Duration;

    /// For tests that need a store and run nothing.
    pub(in crate::wasm::wasi) fn nobody() -> Wasi {
        let limits = Limits {
            wall: Duration::from_secs(1),
            cpu: Duration::from_secs(1),
            memory_bytes: 1 << 20,
            result_bytes: 10,
            log_bytes: 10,
        };
        let (arguments, environment) = (vec!["a\0b".to_owned()], vec![("K".to_owned(), "v".to_owned())]);
        Wasi::new(Setting { stdin: Bytes::new(), arguments, environment, now_ms: 0, limits })
    }

    #[test]
    fn arguments_and_variables_end_with_a_zero_byte_and_hold_none() {
        let wasi = nobody();
        assert_eq!((wasi.arguments[0].as_slice(), wasi.environment[0].as_slice()), (&b"a\0"[..], &b"K=v\0"[..]));
    }
}
