//! Not in yet.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PackageError {}
pub fn open_zip() {}
