//! A tenant developer's folder: its settings, what of it is left out, and what of it is uploaded.

mod gather;
mod ignore;
mod settings;
mod tree;
mod workspace;

pub(crate) use gather::gather;
pub(crate) use ignore::Ignore;
pub(crate) use settings::{FILES as SETTINGS_FILES, Settings};
