//! Pages of a listing: newest first, by cursor, never by offset.

use sublet_model::limit;

/// What to list: at most `limit` rows that come after `cursor` (what an earlier page gave as `next`). A cursor that no
/// page gave is `Invalid` with field `cursor`; one from another tenant's listing still shows this tenant's rows alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub cursor: Option<String>,
    pub limit: usize,
}

impl Default for Page {
    fn default() -> Page {
        Page { cursor: None, limit: limit::PAGE_DEFAULT }
    }
}

impl Page {
    /// `limit` is held to 1 ..= `PAGE_MAX`.
    pub fn new(cursor: Option<String>, limit: usize) -> Page {
        Page { cursor, limit: limit.clamp(1, limit::PAGE_MAX) }
    }
}

/// One page. `next` is `None` at the end; a page may be short and still have a `next` (a bounded scan).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}
