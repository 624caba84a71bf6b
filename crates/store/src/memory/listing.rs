//! Pages over sorted rows: the cursor is the key of the last row shown.

use std::fmt::Display;
use std::str::FromStr;

use sublet_model::{Error, limit};

use crate::page::{Listing, Page};

/// `rows` come in the order of the listing; `follows(key, cursor)` says which of them come after the cursor.
fn page_of<'a, K, R>(
    rows: impl Iterator<Item = (K, &'a R)>,
    page: &Page,
    follows: impl Fn(&K, &K) -> bool,
) -> Result<Listing<R>, Error>
where
    K: FromStr + Display,
    R: Clone + 'a,
{
    let cursor = match &page.cursor {
        Some(text) => Some(text.parse::<K>().map_err(|_| Error::invalid("cursor", "is not a cursor of this listing"))?),
        None => None,
    };
    let limit = page.limit.clamp(1, limit::PAGE_MAX);
    let mut rows = rows.filter(|(key, _)| cursor.as_ref().is_none_or(|cursor| follows(key, cursor))).peekable();
    let mut items = Vec::new();
    let mut last = None;
    for (key, row) in rows.by_ref().take(limit) {
        items.push(row.clone());
        last = Some(key);
    }
    let next = if rows.peek().is_some() { last.map(|key| key.to_string()) } else { None };
    Ok(Listing { items, next })
}

/// `rows` ascending, shown from the last to the first: newest first, since ids grow with time.
pub(super) fn newest_first<'a, K, R>(
    rows: impl DoubleEndedIterator<Item = (K, &'a R)>,
    page: &Page,
) -> Result<Listing<R>, Error>
where
    K: FromStr + Display + Ord,
    R: Clone + 'a,
{
    page_of(rows.rev(), page, |key, cursor| key < cursor)
}

/// `rows` ascending, shown so.
pub(super) fn by_name<'a, K, R>(rows: impl Iterator<Item = (K, &'a R)>, page: &Page) -> Result<Listing<R>, Error>
where
    K: FromStr + Display + Ord,
    R: Clone + 'a,
{
    page_of(rows, page, |key, cursor| key > cursor)
}
