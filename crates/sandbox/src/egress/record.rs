//! What is written of each request: enough to see what a function asked for, nothing that could be a secret.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sublet_model::limit;
use url::Url;

/// One request of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRecord {
    pub method: String,
    /// Without user name, fragment and the values of the query.
    pub url: String,
    /// Of the last answer there was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was refused or failed, as the code was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Nothing was sent: the function's list, the operator's ceiling, the address or a quota forbids it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// Redirects that were followed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redirects: u32,
    /// Heads included.
    pub bytes_out: u64,
    pub bytes_in: u64,
    pub duration_us: u64,
}

/// Characters of a record's texts. What is longer is cut at its end, and nowhere else: whoever takes secrets out of them
/// looks there for half a one.
impl FetchRecord {
    pub const URL_CHARS_MAX: usize = 256;
    pub const METHOD_CHARS_MAX: usize = 20;
    pub const ERROR_CHARS_MAX: usize = 300;
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What an attempt's calls came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EgressUsage {
    pub calls: u64,
    /// Both ways.
    pub bytes: u64,
}

/// What is known of a URL that may be shown and kept. What does not parse is cut at its first `?`.
pub(super) fn shown(url: &str) -> String {
    let text = match Url::parse(url) {
        Ok(mut parsed) => {
            parsed.set_fragment(None);
            // Neither can be set where there can be none.
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            // A part without a name is all value.
            let name = |pair: &str| pair.split_once('=').map_or("*", |(name, _)| name).to_owned();
            let names = parsed.query().map(|query| query.split('&').map(name).collect::<Vec<_>>().join("&"));
            parsed.set_query(names.as_deref());
            String::from(parsed)
        }
        Err(_) => url.split(['?', '#']).next().unwrap_or_default().to_owned(),
    };
    text.chars().take(FetchRecord::URL_CHARS_MAX).collect()
}

/// An attempt's records while they are being made.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    entries: Vec<Arc<Entry>>,
    /// Of requests beyond those that are kept.
    bytes_beyond: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Entry {
    method: String,
    url: String,
    begun: Instant,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    end: Mutex<Ended>,
}

#[derive(Debug, Default, Clone)]
struct Ended {
    status: Option<u16>,
    error: Option<String>,
    refused: bool,
    redirects: u32,
    /// `None` while it is under way.
    duration: Option<Duration>,
}

/// The hand that writes one request's record. Dropped before the end, it says that the request was given up.
#[derive(Debug)]
pub(super) struct Pen {
    /// `None` beyond those that are kept.
    entry: Option<Arc<Entry>>,
    bytes_beyond: Arc<AtomicU64>,
}

const GIVEN_UP: &str = "given up: the code aborted it or the attempt ended";

impl Ledger {
    pub(super) fn begin(&self, method: &str, url: &str) -> Pen {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.count += 1;
        let bytes_beyond = Arc::clone(&state.bytes_beyond);
        if state.entries.len() >= limit::FETCH_RECORDS_MAX {
            return Pen { entry: None, bytes_beyond };
        }
        let entry = Arc::new(Entry {
            method: method.chars().take(FetchRecord::METHOD_CHARS_MAX).collect(),
            url: shown(url),
            begun: Instant::now(),
            bytes_out: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            end: Mutex::default(),
        });
        state.entries.push(Arc::clone(&entry));
        Pen { entry: Some(entry), bytes_beyond }
    }

    pub(super) fn count(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    pub(super) fn records(&self) -> Vec<FetchRecord> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.entries.iter().map(|entry| entry.record()).collect()
    }

    pub(super) fn used(&self) -> EgressUsage {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes_of =
            |entry: &Arc<Entry>| entry.bytes_out.load(Ordering::Relaxed) + entry.bytes_in.load(Ordering::Relaxed);
        let bytes = state.entries.iter().map(bytes_of).sum::<u64>();
        EgressUsage { calls: state.count, bytes: bytes + state.bytes_beyond.load(Ordering::Relaxed) }
    }
}

impl Entry {
    fn record(&self) -> FetchRecord {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let duration = end.duration.unwrap_or_else(|| self.begun.elapsed());
        FetchRecord {
            method: self.method.clone(),
            url: self.url.clone(),
            status: end.status,
            error: end.error.or_else(|| end.duration.is_none().then(|| GIVEN_UP.to_owned())),
            refused: end.refused,
            redirects: end.redirects,
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

impl Pen {
    pub(super) fn sent(&self, bytes: u64) {
        self.bytes_out().fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was taken for sent and did not go out.
    pub(super) fn unsent(&self, bytes: u64) {
        self.bytes_out().fetch_sub(bytes, Ordering::Relaxed);
    }

    fn bytes_out(&self) -> &AtomicU64 {
        self.entry.as_ref().map_or(&*self.bytes_beyond, |entry| &entry.bytes_out)
    }

    pub(super) fn received(&self, bytes: u64) {
        self.entry.as_ref().map_or(&*self.bytes_beyond, |entry| &entry.bytes_in).fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, status: u16) {
        self.write(|end| end.status = Some(status));
    }

    pub(super) fn redirected(&self) {
        self.write(|end| end.redirects += 1);
    }

    pub(super) fn done(&self) {
        self.finish(|_| ());
    }

    pub(super) fn failed(&self, error: &str, is_refused: bool) {
        self.finish(|end| {
            end.error = Some(error.chars().take(FetchRecord::ERROR_CHARS_MAX).collect());
            end.refused = is_refused;
        });
    }

    fn write(&self, change: impl FnOnce(&mut Ended)) {
        if let Some(entry) = &self.entry {
            change(&mut entry.end.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn finish(&self, change: impl FnOnce(&mut Ended)) {
        let took = self.entry.as_ref().map(|entry| entry.begun.elapsed());
        self.write(|end| {
            if end.duration.is_none() {
                end.duration = took;
                change(end);
            }
        });
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.failed(GIVEN_UP, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_no_value_of_the_query_and_no_user() {
        for (url, told) in [
            ("https://api.example.com/v1?key=s3cret&page=2#top", "https://api.example.com/v1?key&page"),
            ("https://me:pass@example.com/a", "https://example.com/a"),
            ("https://example.com/?s3cret", "https://example.com/?*"),
            ("not a url?x=s3cret", "not a url"),
        ] {
            assert_eq!(shown(url), told);
        }
        assert_eq!(shown(&format!("https://example.com/{}", "a".repeat(1_000))).len(), FetchRecord::URL_CHARS_MAX);
    }

    #[test]
    fn more_requests_than_are_kept_are_still_counted() {
        let ledger = Ledger::default();
        for _ in 0..limit::FETCH_RECORDS_MAX + 3 {
            let pen = ledger.begin("GET", "https://example.com/");
            pen.sent(10);
            pen.sent(7);
            pen.unsent(7);
            pen.received(5);
            pen.done();
        }
        assert_eq!(ledger.records().len(), limit::FETCH_RECORDS_MAX);
        let calls = limit::FETCH_RECORDS_MAX as u64 + 3;
        assert_eq!(ledger.used(), EgressUsage { calls, bytes: 15 * calls });
    }

    #[test]
    fn a_request_that_was_given_up_says_so() {
        let ledger = Ledger::default();
        let pen = ledger.begin("GET", "https://example.com/");
        assert_eq!(ledger.records()[0].error.as_deref(), Some(GIVEN_UP), "so far");
        drop(pen);
        assert_eq!(ledger.records()[0].error.as_deref(), Some(GIVEN_UP));
    }
}
