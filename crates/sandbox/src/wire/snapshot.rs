//! A builder's memory as fields: only the runs of pages that hold something, since most of it is zero.

use bytes::Bytes;
use sublet_model::limit;

use super::codec::{Reader, WireError, Writer};
use super::message::SNAPSHOT_BYTES_MAX;
use crate::wasm::RawSnapshot;

const PAGE_BYTES: usize = 4096;
/// Bytes of memory, zero pages counted, and the runs it may fall into.
const MEMORY_BYTES_MAX: usize = 512 << 20;
const RUNS_MAX: usize = SNAPSHOT_BYTES_MAX / PAGE_BYTES;

/// Where the pages that are not zero lie, as (start, end) within `memory`.
pub(crate) fn filled_runs(memory: &[u8]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, page) in memory.chunks(PAGE_BYTES).enumerate() {
        if page.iter().all(|&byte| byte == 0) {
            continue;
        }
        let (start, end) = (index * PAGE_BYTES, index * PAGE_BYTES + page.len());
        match runs.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => runs.push((start, end)),
        }
    }
    runs
}

/// Bytes that a snapshot's frame will carry.
pub(crate) fn filled_bytes(memory: &[u8]) -> usize {
    filled_runs(memory).iter().map(|(start, end)| end - start).sum()
}

pub(super) fn write(to: &mut Writer<'_>, raw: &RawSnapshot) {
    to.u32(raw.memory_pages);
    to.u32(raw.memory_pages_max);
    to.u32(raw.stack_pointer);
    to.bytes(&raw.log);
    to.size(raw.memory.len());
    let runs = filled_runs(&raw.memory);
    to.count(runs.len());
    for (start, end) in runs {
        to.size(start);
        to.bytes(&raw.memory[start..end]);
    }
}

/// Hostile data: the runs must lie within the memory, in order, and the memory within its bound. What it means is for
/// `seal_image` to judge.
pub(super) fn read(from: &mut Reader) -> Result<RawSnapshot, WireError> {
    let memory_pages = from.u32("pages")?;
    let memory_pages_max = from.u32("most pages")?;
    let stack_pointer = from.u32("stack pointer")?;
    let log = from.bytes("log", 2 * limit::LOG_BYTES_MAX)?;
    let length = from.size("memory")?;
    if length > MEMORY_BYTES_MAX {
        return Err(WireError::Invalid("memory"));
    }
    let mut memory = vec![0; length];
    let mut filled_to = 0;
    for _ in 0..from.count("runs", RUNS_MAX)? {
        let start = from.size("run")?;
        let run = from.bytes("run", SNAPSHOT_BYTES_MAX)?;
        if start < filled_to {
            return Err(WireError::Invalid("run"));
        }
        filled_to = start.checked_add(run.len()).ok_or(WireError::Invalid("run"))?;
        memory.get_mut(start..filled_to).ok_or(WireError::Invalid("run"))?.copy_from_slice(&run);
    }
    Ok(RawSnapshot { memory: Bytes::from(memory), memory_pages, memory_pages_max, stack_pointer, log })
}

#[cfg(test)]
mod tests {
    use super::super::FromWorker;
    use super::*;

    fn snapshot() -> RawSnapshot {
        let mut memory = vec![0; 10 * PAGE_BYTES + 5];
        memory[PAGE_BYTES + 1] = 1;
        memory[2 * PAGE_BYTES] = 2;
        memory[7 * PAGE_BYTES - 1] = 3;
        memory[10 * PAGE_BYTES + 4] = 4;
        RawSnapshot {
            memory: memory.into(),
            memory_pages: 1,
            memory_pages_max: 2048,
            stack_pointer: 65536,
            log: Bytes::from_static(b"hello\n"),
        }
    }

    #[test]
    fn memory_survives_with_its_zero_pages_left_out() {
        let mut out = Vec::new();
        FromWorker::Built(snapshot()).encode(&mut out);
        assert!(out.len() < 4 * PAGE_BYTES, "{} bytes", out.len());
        let FromWorker::Built(back) = FromWorker::decode(out.split_off(4).into()).unwrap() else { panic!("kind") };
        assert_eq!(back, snapshot());
    }

    #[test]
    fn runs_outside_the_memory_or_out_of_order_are_refused() {
        for (length, runs) in [(8, vec![(6_u64, 4_usize)]), (64, vec![(8, 8), (12, 4)]), (64, vec![(u64::MAX, 1)])] {
            let mut body = Vec::new();
            let mut to = Writer(&mut body);
            for _ in 0..3 {
                to.u32(1);
            }
            to.bytes(b"");
            to.size(length);
            to.count(runs.len());
            for (start, size) in runs {
                to.u64(start);
                to.bytes(&vec![1; size]);
            }
            assert_eq!(read(&mut Reader(body.into())), Err(WireError::Invalid("run")));
        }
    }
}
