//! What the operating system says of this process, under the names that Prometheus' own clients use.

use std::time::Instant;

use sublet_model::{Clock, SystemClock};

/// The kernel's unit of CPU time in `/proc`, in a second: fixed for programs, whatever the kernel's own.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: f64 = 4_096.0;

static STARTED: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();

/// What does not change.
pub(super) fn start() {
    STARTED.get_or_init(Instant::now);
    metrics::gauge!("sublet_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics::gauge!("process_start_time_seconds").set(SystemClock.now_ns() as f64 / 1e9);
}

pub(super) fn measure() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(most) = open_files_max(&limits) {
        metrics::gauge!("process_max_fds").set(most);
    }
    let uptime = STARTED.get().map_or(0.0, |started| started.elapsed().as_secs_f64());
    metrics::gauge!("sublet_uptime_seconds").set(uptime);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    if let Some(Stat { cpu_seconds, threads, virtual_bytes, resident_bytes }) = Stat::parse(&stat) {
        metrics::gauge!("process_cpu_seconds_total").set(cpu_seconds);
        metrics::gauge!("process_threads").set(threads);
        metrics::gauge!("process_virtual_memory_bytes").set(virtual_bytes);
        metrics::gauge!("process_resident_memory_bytes").set(resident_bytes);
    }
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the listing's own.
        metrics::gauge!("process_open_fds").set(entries.count().saturating_sub(1) as f64);
    }
}

#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The second field is the program's name in parentheses, which may hold anything.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<f64> = rest.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0.0)).collect();
        // Numbered as in proc(5), where the first of `fields` is the fourth.
        let field = |number: usize| fields.get(number - 4).copied();
        Some(Stat {
            cpu_seconds: (field(14)? + field(15)?) / TICKS_PER_SECOND,
            threads: field(20)?,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * PAGE_BYTES,
        })
    }
}

fn open_files_max(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 2000 0 0 0 250 50 0 0 20 0 11 0 500 409600 25 18446744073709551615 1";
        let expected =
            Stat { cpu_seconds: 3.0, threads: 11.0, virtual_bytes: 409_600.0, resident_bytes: 25.0 * PAGE_BYTES };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("7 (a"), None);
        assert_eq!(
            open_files_max("Limit x\nMax open files            1024                 4096    files\n"),
            Some(1024.0)
        );
    }
}
