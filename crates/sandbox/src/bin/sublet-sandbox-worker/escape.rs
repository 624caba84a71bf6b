//! stub
pub(crate) fn play(_event: &[u8]) -> Option<Vec<u8>> { None }
