//! A function's image as what it changes in the base: some ten kilobytes instead of a memory of its own.
//!
//! The server makes it of a builder's memory, a worker writes it into a fresh copy of the base at the start of each
//! attempt. That is quicker than to map an image of its own, unless the same function runs all the time: what all
//! functions share stays in the processor's caches. An image with much data of its own is not kept like this.
//!
//! Layout, numbers in little-endian order: [`MARK`], pages, most pages, number of runs, then address and length of each
//! run, then the bytes of all runs.

use bytes::{Buf, BufMut, Bytes};

use super::base::Base;
use super::config::WASM_PAGE_BYTES;
use super::snapshot::RawSnapshot;

/// How such an image begins; a module begins with ELF's mark.
pub(super) const MARK: &[u8; 8] = b"sublet:p";
/// Bytes of all runs. Copying more, and taking it back after the attempt, costs about what it costs to map an image.
const BYTES_MAX: usize = 128 << 10;
/// The most that an image of this kind takes: each run is a grain at least.
pub(super) const FILE_BYTES_MAX: usize = MARK.len() + 12 + BYTES_MAX + (BYTES_MAX / GRAIN_BYTES) * 8;
/// What is compared at a time. Smaller ones make more runs, larger ones more bytes.
const GRAIN_BYTES: usize = 16;

/// One that was read and fits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Patch {
    /// Size of the memory that it makes, in pages of 64 KiB; the base's or more.
    pub(super) memory_pages: u32,
    /// The function's memory limit in pages.
    memory_pages_max: u32,
    /// Address and length, in the order of their bytes.
    runs: Vec<(u32, u32)>,
    bytes: Bytes,
}

/// `None` when it had better be an image of its own.
pub(super) fn encode(raw: &RawSnapshot, base: &Base) -> Option<Vec<u8>> {
    if raw.memory_pages < base.memory_pages {
        return None;
    }
    let mut runs: Vec<(u32, u32)> = Vec::new();
    let mut bytes = Vec::new();
    let length = raw.memory.len().max(base.memory.len());
    for at in (0..length).step_by(GRAIN_BYTES) {
        let grain = grain_at(&raw.memory, at);
        if grain == grain_at(&base.memory, at) {
            continue;
        }
        if bytes.len() >= BYTES_MAX {
            return None;
        }
        bytes.extend_from_slice(&grain);
        let at = u32::try_from(at).ok()?;
        match runs.last_mut() {
            Some((start, length)) if *start + *length == at => *length += GRAIN_BYTES as u32,
            _ => runs.push((at, GRAIN_BYTES as u32)),
        }
    }
    let mut file = Vec::with_capacity(MARK.len() + 12 + runs.len() * 8 + bytes.len());
    file.put_slice(MARK);
    file.put_u32_le(raw.memory_pages);
    file.put_u32_le(raw.memory_pages_max);
    file.put_u32_le(u32::try_from(runs.len()).ok()?);
    for (at, length) in runs {
        file.put_u32_le(at);
        file.put_u32_le(length);
    }
    file.put_slice(&bytes);
    Some(file)
}

/// The bytes at `at`; behind the end there are zeros.
fn grain_at(memory: &[u8], at: usize) -> [u8; GRAIN_BYTES] {
    let mut grain = [0; GRAIN_BYTES];
    let there = memory.get(at..).unwrap_or_default();
    let there = &there[..there.len().min(GRAIN_BYTES)];
    grain[..there.len()].copy_from_slice(there);
    grain
}

impl Patch {
    /// `None` for what `encode` does not make.
    pub(super) fn decode(file: Bytes, base_pages: u32) -> Option<Patch> {
        let mut rest = file;
        if !rest.starts_with(MARK) {
            return None;
        }
        rest.advance(MARK.len());
        let memory_pages = rest.try_get_u32_le().ok()?;
        let memory_pages_max = rest.try_get_u32_le().ok()?;
        let count = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
        if memory_pages < base_pages || memory_pages > memory_pages_max || rest.len() / 8 < count {
            return None;
        }
        let memory_bytes = u64::from(memory_pages) * WASM_PAGE_BYTES as u64;
        let mut runs = Vec::with_capacity(count);
        let mut sum = 0_u64;
        for _ in 0..count {
            let (at, length) = (rest.try_get_u32_le().ok()?, rest.try_get_u32_le().ok()?);
            if u64::from(at) + u64::from(length) > memory_bytes {
                return None;
            }
            sum += u64::from(length);
            runs.push((at, length));
        }
        (sum == rest.len() as u64).then_some(Patch { memory_pages, memory_pages_max, runs, bytes: rest })
    }

    pub(super) fn memory_bytes_max(&self) -> u64 {
        u64::from(self.memory_pages_max) * WASM_PAGE_BYTES as u64
    }

    /// Turns a copy of the base into the function's image. False, with part of it written, when the memory is smaller than
    /// it must be.
    pub(super) fn apply(&self, memory: &mut [u8]) -> bool {
        let mut rest: &[u8] = &self.bytes;
        for &(at, length) in &self.runs {
            let (at, length) = (at as usize, length as usize);
            let (Some(to), Some((from, behind))) = (memory.get_mut(at..at + length), rest.split_at_checked(length))
            else {
                return false;
            };
            to.copy_from_slice(from);
            rest = behind;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: u32 = 2;

    fn base() -> Base {
        let memory = (0..100_000_u32).map(|at| (at % 251) as u8).collect::<Vec<_>>();
        Base { memory: memory.into(), memory_pages: PAGES, module: Bytes::new() }
    }

    fn raw(memory: Vec<u8>) -> RawSnapshot {
        let memory_pages = PAGES.max(u32::try_from(memory.len().div_ceil(WASM_PAGE_BYTES)).unwrap());
        RawSnapshot { memory: memory.into(), memory_pages, memory_pages_max: 2048, stack_pointer: 0, log: Bytes::new() }
    }

    fn restored(raw: &RawSnapshot) -> Vec<u8> {
        let patch = Patch::decode(encode(raw, &base()).unwrap().into(), PAGES).unwrap();
        let mut memory = base().memory.to_vec();
        memory.resize(patch.memory_pages as usize * WASM_PAGE_BYTES, 0);
        assert!(patch.apply(&mut memory));
        memory
    }

    #[test]
    fn the_base_with_its_patch_is_the_functions_memory() {
        let same = base().memory.to_vec();
        let mut changed = same.clone();
        for at in [0, 15, 16, 4095, 4096, 70_000, 99_999] {
            changed[at] ^= 0xff;
        }
        let mut longer = same.clone();
        longer.resize(150_003, 0);
        longer[150_002] = 1;
        // A function may leave less than the base has: what is not there is zero.
        let shorter = same[..50_001].to_vec();
        for memory in [same, changed, longer, shorter] {
            let raw = raw(memory);
            let mut whole = raw.memory.to_vec();
            whole.resize(raw.memory_pages as usize * WASM_PAGE_BYTES, 0);
            assert!(restored(&raw) == whole, "{} bytes", raw.memory.len());
        }
    }

    #[test]
    fn an_image_with_much_of_its_own_is_no_patch() {
        let mut memory = base().memory.to_vec();
        memory.resize(memory.len() + BYTES_MAX + 4096, 7);
        assert_eq!(encode(&raw(memory), &base()), None);
        let smaller = RawSnapshot { memory_pages: 1, ..raw(vec![1]) };
        assert_eq!(encode(&smaller, &base()), None);
    }

    #[test]
    fn a_patch_that_is_cut_off_or_points_outside_is_refused() {
        let mut memory = base().memory.to_vec();
        memory[40_000] ^= 1;
        memory[4] ^= 1;
        let file = encode(&raw(memory), &base()).unwrap();
        assert!(file.len() <= FILE_BYTES_MAX);
        assert!(Patch::decode(file.clone().into(), PAGES).is_some());
        for length in 0..file.len() {
            assert_eq!(Patch::decode(file[..length].to_vec().into(), PAGES), None, "{length} bytes");
        }
        assert_eq!(Patch::decode(file.clone().into(), PAGES + 1), None, "smaller than the base");
        let first_run = MARK.len() + 12;
        let mut outside = file.clone();
        outside[first_run..first_run + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Patch::decode(outside.into(), PAGES), None);
        let mut too_many = file;
        too_many[first_run - 4..first_run].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Patch::decode(too_many.into(), PAGES), None);
    }

    #[test]
    fn a_memory_too_small_for_the_patch_is_noticed() {
        let mut memory = base().memory.to_vec();
        memory[90_000] ^= 1;
        let patch = Patch::decode(encode(&raw(memory), &base()).unwrap().into(), PAGES).unwrap();
        assert!(!patch.apply(&mut [0; 4096]));
    }
}
