//! The three descriptors there are: the event comes in at 0, the result goes out at 1, the log at 2.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use sublet_model::limit::{LOG_LINE_BYTES_MAX, LOG_LINE_CUT};
use wasmtime::{Caller, Linker};

use super::super::WasmError;
use super::super::host::Observed;
use super::errno::Errno;
use super::memory::{GuestMemory, offset};
use super::state::Wasi;
use super::{MODULE, answer};

/// Pieces of one read or write, as `IOV_MAX` of other systems.
const PIECES_MAX: u32 = 1024;
/// Bytes that one write takes; the program writes the rest in its next one. A fraction of a millisecond.
const WRITE_BYTES_MAX: usize = 256 * 1024;
/// Preview 1's rights to read and to write.
const RIGHT_READ: u64 = 1 << 1;
const RIGHT_WRITE: u64 = 1 << 6;

/// Standard input.
pub(super) struct Input {
    bytes: Bytes,
}

impl Input {
    pub(super) fn new(bytes: Bytes) -> Input {
        Input { bytes }
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }
}

/// Standard output: kept up to its limit, and counted beyond.
pub(in crate::wasm) struct Output {
    bytes: Vec<u8>,
    bytes_max: usize,
    written: usize,
}

impl Output {
    pub(super) fn new(bytes_max: usize) -> Output {
        Output { bytes: Vec::new(), bytes_max, written: 0 }
    }

    fn write(&mut self, bytes: &[u8]) {
        let room = self.bytes_max - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.written = self.written.saturating_add(bytes.len());
    }

    /// Everything that was written, or how much that was when it was more than may be.
    pub(in crate::wasm) fn take(&mut self) -> Result<Vec<u8>, usize> {
        if self.written > self.bytes_max { Err(self.written) } else { Ok(std::mem::take(&mut self.bytes)) }
    }
}

/// Standard error: a log line for each line.
pub(in crate::wasm) struct Lines {
    observed: Arc<Observed>,
    line: Vec<u8>,
    /// There was more of the line than is kept.
    is_cut: bool,
    /// Bytes that the log can still take; what comes after is looked at for its last line alone.
    room: usize,
    last: Vec<u8>,
}

impl Lines {
    pub(super) fn new(observed: Arc<Observed>, log_bytes: usize) -> Lines {
        // A little more than it takes, so that the log marks the cut.
        let room = log_bytes.saturating_add(LOG_LINE_BYTES_MAX);
        Lines { observed, line: Vec::new(), is_cut: false, room, last: Vec::new() }
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, is_whole) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            let room = LOG_LINE_BYTES_MAX - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            self.is_cut |= text.len() > room;
            if is_whole {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        // Said, for whoever reads it, and for whoever takes secrets out: half a one may stand before it.
        if std::mem::take(&mut self.is_cut) {
            self.line.extend_from_slice(LOG_LINE_CUT.as_bytes());
        }
        if self.room > 0 {
            self.room = self.room.saturating_sub(self.line.len() + 1);
            self.observed.log.lock().unwrap_or_else(PoisonError::into_inner).push(&self.line);
        }
        if !self.line.iter().all(u8::is_ascii_whitespace) {
            std::mem::swap(&mut self.last, &mut self.line);
        }
        self.line.clear();
    }

    /// Ends a line that was begun; the last line that said something.
    pub(in crate::wasm) fn finish(&mut self) -> String {
        if !self.line.is_empty() {
            self.end_line();
        }
        String::from_utf8_lossy(&self.last).trim().to_owned()
    }
}

pub(super) fn define(linker: &mut Linker<Wasi>) -> Result<(), WasmError> {
    linker.func_wrap(
        MODULE,
        "fd_read",
        |mut caller: Caller<'_, Wasi>, fd: u32, pieces: u32, count: u32, to: u32| {
            answer(&mut caller, |memory, wasi| read(memory, wasi, fd, pieces, count, to))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_write",
        |mut caller: Caller<'_, Wasi>, fd: u32, pieces: u32, count: u32, to: u32| {
            answer(&mut caller, |memory, wasi| write(memory, wasi, fd, pieces, count, to))
        },
    )?;
    linker.func_wrap(MODULE, "fd_fdstat_get", |mut caller: Caller<'_, Wasi>, fd: u32, to: u32| {
        answer(&mut caller, |memory, wasi| describe(memory, wasi, fd, to))
    })?;
    linker.func_wrap(MODULE, "fd_filestat_get", |mut caller: Caller<'_, Wasi>, fd: u32, to: u32| {
        // A file of no kind, no length and no times.
        answer(&mut caller, |memory, wasi| wasi.open(fd).and_then(|_| memory.put(to, &[0; 64])))
    })?;
    linker.func_wrap(MODULE, "fd_close", |mut caller: Caller<'_, Wasi>, fd: u32| {
        answer(&mut caller, |_, wasi| {
            let index = wasi.open(fd)?;
            wasi.is_open[index] = false;
            Ok(())
        })
    })?;
    for name in ["fd_sync", "fd_datasync"] {
        linker.func_wrap(MODULE, name, |mut caller: Caller<'_, Wasi>, fd: u32| {
            answer(&mut caller, |_, wasi| wasi.open(fd).map(|_| ()))
        })?;
    }
    Ok(())
}

impl Wasi {
    /// The descriptor's number, if it is one of the three and not closed.
    pub(super) fn open(&self, fd: u32) -> Result<usize, Errno> {
        let index = fd as usize;
        if self.is_open.get(index) == Some(&true) { Ok(index) } else { Err(Errno::Badf) }
    }
}

/// Each piece as its address and length.
fn pieces(memory: &GuestMemory<'_>, at: u32, count: u32) -> Result<Vec<(u32, usize)>, Errno> {
    if count > PIECES_MAX {
        return Err(Errno::Inval);
    }
    let mut found = Vec::with_capacity(count as usize);
    for index in 0..count as usize {
        let piece = offset(at, 8 * index)?;
        found.push((memory.u32(piece)?, memory.u32(offset(piece, 4)?)? as usize));
    }
    Ok(found)
}

fn read(memory: &mut GuestMemory<'_>, wasi: &mut Wasi, fd: u32, at: u32, count: u32, to: u32) -> Result<(), Errno> {
    if wasi.open(fd)? != 0 {
        return Err(Errno::Badf);
    }
    let mut total = 0;
    for (address, length) in pieces(memory, at, count)? {
        let length = length.min(wasi.stdin.bytes.len());
        let target = memory.bytes_mut(address, length)?;
        target.copy_from_slice(&wasi.stdin.bytes.split_to(length));
        total += length;
    }
    memory.put_u32(to, total)
}

fn write(memory: &mut GuestMemory<'_>, wasi: &mut Wasi, fd: u32, at: u32, count: u32, to: u32) -> Result<(), Errno> {
    let stream = wasi.open(fd)?;
    let mut total = 0;
    for (address, length) in pieces(memory, at, count)? {
        let length = length.min(WRITE_BYTES_MAX - total);
        let bytes = memory.bytes(address, length)?;
        match stream {
            1 => wasi.stdout.write(bytes),
            2 => wasi.stderr.write(bytes),
            _ => return Err(Errno::Badf),
        }
        total += length;
    }
    memory.put_u32(to, total)
}

/// A stream that is no terminal, with the right to do the one thing that can be done with it.
fn describe(memory: &mut GuestMemory<'_>, wasi: &Wasi, fd: u32, to: u32) -> Result<(), Errno> {
    let rights = if wasi.open(fd)? == 0 { RIGHT_READ } else { RIGHT_WRITE };
    memory.put(to, &[0; 24])?;
    memory.put_u64(offset(to, 8)?, rights)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(log_bytes: usize, writes: &[&[u8]]) -> (String, String) {
        let observed = Arc::new(Observed::new(log_bytes));
        let mut lines = Lines::new(Arc::clone(&observed), log_bytes);
        for bytes in writes {
            lines.write(bytes);
        }
        let last = lines.finish();
        let log = observed.log.lock().unwrap().take();
        (String::from_utf8(log.to_vec()).unwrap(), last)
    }

    #[test]
    fn lines_are_put_together_however_they_were_written() {
        let (log, last) = lines(1000, &[b"one\ntw", b"o\n", b"\n", b"thr", b"ee"]);
        assert_eq!((log.as_str(), last.as_str()), ("one\ntwo\n\nthree\n", "three"));
        assert_eq!(lines(1000, &[b"said\n\n \n"]).1, "said");
        assert_eq!(lines(1000, &[]), (String::new(), String::new()));
    }

    #[test]
    fn a_line_that_is_too_long_ends_with_the_mark_of_its_cut_and_the_next_one_does_not() {
        let long = vec![b'y'; LOG_LINE_BYTES_MAX];
        let (log, _) = lines(1 << 20, &[&long, b"\n", &long, b"y", b"y\nshort\n"]);
        let kept = "y".repeat(LOG_LINE_BYTES_MAX);
        assert_eq!(log, format!("{kept}\n{kept}{LOG_LINE_CUT}\nshort\n"));
    }

    #[test]
    fn a_flood_of_lines_ends_at_the_logs_limit_and_its_last_line_is_known() {
        let flood = format!("{}\n", "x".repeat(100)).repeat(10_000).into_bytes();
        let (log, last) = lines(1000, &[&flood, b"the end\n"]);
        assert!(log.len() < 1100 && log.contains("log cut here"), "{} bytes", log.len());
        assert_eq!(last, "the end");
        let (log, _) = lines(1000, &[&vec![b'y'; 1 << 20]]);
        assert!(log.len() < 1100 && log.contains("log cut here"), "{} bytes", log.len());
    }

    #[test]
    fn output_beyond_its_limit_is_counted_and_not_kept() {
        let mut output = Output::new(5);
        output.write(b"123");
        output.write(b"45");
        assert_eq!(output.bytes, b"12345");
        output.write(&[b'6'; 100]);
        assert_eq!((output.bytes.len(), output.take()), (5, Err(105)));
    }
}
