//! The audit log: `record` writes a line around every operation that changes something, whoever added it; `list` shows
//! the lines.

mod list;
mod record;

pub(crate) use list::routes;
pub(crate) use record::{Changes, record};
