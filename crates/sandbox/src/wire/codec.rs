//! Fields in and out of a frame's bytes. Explicit rather than derived: every length that is read is checked here.

use std::time::Duration;

use bytes::{Buf, Bytes};

/// The peer sent what no honest peer sends; the connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("a frame of {length} bytes, of at most {most}")]
    TooLong { length: usize, most: usize },
    #[error("a frame ends within field `{0}`")]
    Short(&'static str),
    #[error("field `{0}` holds what it may not")]
    Invalid(&'static str),
    #[error("a message of unknown kind {0}")]
    Kind(u8),
    #[error("{0} bytes too many in a frame")]
    Trailing(usize),
    #[error("a message came without its file, or a file without its message")]
    Files,
}

/// Appends fields to a frame under way.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn size(&mut self, value: usize) {
        self.u64(u64::try_from(value).unwrap_or(u64::MAX));
    }

    pub(crate) fn duration(&mut self, value: Duration) {
        self.u64(u64::try_from(value.as_micros()).unwrap_or(u64::MAX));
    }

    /// Callers bound what they write; a field of 4 GiB would be one that no frame can carry.
    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(value);
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// How many items follow.
    pub(crate) fn count(&mut self, value: usize) {
        self.u32(u32::try_from(value).unwrap_or(u32::MAX));
    }
}

/// Takes fields off a frame; byte fields share the frame's memory.
pub(crate) struct Reader(pub(crate) Bytes);

impl Reader {
    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        self.0.try_get_u8().map_err(|_| WireError::Short(field))
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, WireError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Invalid(field)),
        }
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        self.0.try_get_u32_le().map_err(|_| WireError::Short(field))
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, WireError> {
        self.0.try_get_u64_le().map_err(|_| WireError::Short(field))
    }

    pub(crate) fn size(&mut self, field: &'static str) -> Result<usize, WireError> {
        usize::try_from(self.u64(field)?).map_err(|_| WireError::Invalid(field))
    }

    pub(crate) fn duration(&mut self, field: &'static str) -> Result<Duration, WireError> {
        self.u64(field).map(Duration::from_micros)
    }

    /// `most` bounds the field on its own; the frame's length has bounded it already.
    pub(crate) fn bytes(&mut self, field: &'static str, most: usize) -> Result<Bytes, WireError> {
        let length = usize::try_from(self.u32(field)?).map_err(|_| WireError::Invalid(field))?;
        if length > most {
            return Err(WireError::Invalid(field));
        }
        if length > self.0.len() {
            return Err(WireError::Short(field));
        }
        Ok(self.0.split_to(length))
    }

    pub(crate) fn text(&mut self, field: &'static str, most: usize) -> Result<String, WireError> {
        let bytes = self.bytes(field, most)?;
        std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| WireError::Invalid(field))
    }

    pub(crate) fn count(&mut self, field: &'static str, most: usize) -> Result<usize, WireError> {
        let count = usize::try_from(self.u32(field)?).map_err(|_| WireError::Invalid(field))?;
        if count > most {
            return Err(WireError::Invalid(field));
        }
        Ok(count)
    }

    /// Every byte of a frame has a meaning.
    pub(crate) fn end(&self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Trailing(self.0.len())) }
    }
}
