//! The guest's memory with every access checked.

use super::errno::Errno;

pub(super) struct GuestMemory<'a>(&'a mut [u8]);

impl<'a> GuestMemory<'a> {
    pub(super) fn new(bytes: &'a mut [u8]) -> GuestMemory<'a> {
        GuestMemory(bytes)
    }

    pub(super) fn bytes(&self, at: u32, length: usize) -> Result<&[u8], Errno> {
        let at = at as usize;
        self.0.get(at..at.saturating_add(length)).ok_or(Errno::Fault)
    }

    pub(super) fn bytes_mut(&mut self, at: u32, length: usize) -> Result<&mut [u8], Errno> {
        let at = at as usize;
        self.0.get_mut(at..at.saturating_add(length)).ok_or(Errno::Fault)
    }

    fn array<const N: usize>(&self, at: u32) -> Result<[u8; N], Errno> {
        self.bytes(at, N)?.try_into().map_err(|_| Errno::Fault)
    }

    pub(super) fn u8(&self, at: u32) -> Result<u8, Errno> {
        Ok(self.array::<1>(at)?[0])
    }

    pub(super) fn u16(&self, at: u32) -> Result<u16, Errno> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&self, at: u32) -> Result<u32, Errno> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&self, at: u32) -> Result<u64, Errno> {
        self.array(at).map(u64::from_le_bytes)
    }

    pub(super) fn put(&mut self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        self.bytes_mut(at, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn put_u32(&mut self, at: u32, value: usize) -> Result<(), Errno> {
        let value = u32::try_from(value).map_err(|_| Errno::Overflow)?;
        self.put(at, &value.to_le_bytes())
    }

    pub(super) fn put_u64(&mut self, at: u32, value: u64) -> Result<(), Errno> {
        self.put(at, &value.to_le_bytes())
    }
}

/// `at + by`, inside the 32-bit address space.
pub(super) fn offset(at: u32, by: usize) -> Result<u32, Errno> {
    u32::try_from(by).ok().and_then(|by| at.checked_add(by)).ok_or(Errno::Fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_that_leaves_the_memory_is_a_fault() {
        let mut bytes = [7; 16];
        let mut memory = GuestMemory::new(&mut bytes);
        assert_eq!(memory.u64(8), Ok(0x0707_0707_0707_0707));
        for at in [9, 15, 16, u32::MAX] {
            assert_eq!((memory.u64(at), memory.put_u64(at, 1)), (Err(Errno::Fault), Err(Errno::Fault)), "{at}");
        }
        assert_eq!(memory.bytes(16, 0), Ok(&[][..]));
        assert_eq!(memory.bytes(u32::MAX, usize::MAX).unwrap_err(), Errno::Fault);
        assert_eq!(offset(u32::MAX, 1), Err(Errno::Fault));
    }
}
