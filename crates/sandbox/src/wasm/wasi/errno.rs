//! Preview 1's error numbers, those that are answered here.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Errno {
    /// Not an open descriptor.
    Badf = 8,
    /// An address outside the guest's memory.
    Fault = 21,
    Inval = 28,
    Nosys = 52,
    Notsup = 58,
    Overflow = 61,
    /// A stream has no place to seek to.
    Spipe = 70,
    Notcapable = 76,
}

impl Errno {
    pub(super) const fn number(self) -> i32 {
        self as i32
    }
}
