//! What a long command tells while it works: on standard error, so that `--json` stays one document. On a terminal a
//! line is written over while it changes; elsewhere every line is written once.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes from which an upload is worth a percentage.
const LONG_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
    /// Of an upload, in percent; shown already.
    shown: AtomicUsize,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress { is_terminal: std::io::stderr().is_terminal(), shown: AtomicUsize::new(0) }
    }

    pub(crate) fn step(&self, text: &str) {
        eprintln!("{text}");
    }

    /// So much of it has gone out.
    pub(crate) fn uploaded(&self, bytes: usize, all: usize) {
        let percent = bytes.saturating_mul(100).checked_div(all).unwrap_or(100);
        if self.is_terminal && all >= LONG_BYTES && percent > self.shown.swap(percent, Ordering::Relaxed) {
            eprint!("\ruploading {}: {percent} %", size(all));
            // The next step begins on a line of its own.
            if percent >= 100 {
                eprintln!();
            }
            let _ = std::io::stderr().flush();
        }
    }
}

/// `34.5 KB`.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
