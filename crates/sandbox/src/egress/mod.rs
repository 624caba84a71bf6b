//! The way out of the sandbox: what a tenant's `fetch` asks for, and who answers it.
//!
//! A worker has no network. It hands each call to the server (see `pool/`), where an [`Egress`], made for one attempt of one
//! function, decides whether and how it goes out. Everything in a [`FetchRequest`] is hostile input.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Bytes of one [`FetchPart::Chunk`].
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// What becomes of an answer that points elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Redirect {
    #[default]
    Follow,
    Error,
    Manual,
}

/// A call as the guest's `fetch` made it; nothing of it is checked but its length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    #[serde(default)]
    pub redirect: Redirect,
    #[serde(skip)]
    pub body: Bytes,
}

/// What comes before an answer's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchHead {
    pub status: u16,
    #[serde(rename = "statusText")]
    pub status_text: String,
    /// Where the answer came from, after redirects.
    pub url: String,
    pub redirected: bool,
    pub headers: Vec<(String, String)>,
}

/// An answer, in order: a head, its chunks, the end; or at any point a failure, whose text the tenant reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchPart {
    Head(FetchHead),
    /// At most [`CHUNK_BYTES_MAX`].
    Chunk(Bytes),
    End,
    Failed(String),
}

/// One call, as the invocation's record tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRecord {
    pub method: String,
    /// Without user name, password, and the values of its query.
    pub url: String,
    /// HTTP status, when there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was none, in the tenant's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub bytes_out: u64,
    pub bytes_in: u64,
    pub duration_us: u64,
}

impl FetchRecord {
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.duration_us)
    }
}

/// The way out of one attempt.
#[async_trait]
pub trait Egress: Send + Sync + 'static {
    /// Makes one call and sends what comes of it.
    ///
    /// Contract: several run at once; each ends its parts with `End` or `Failed`; dropping the future ends the call; a
    /// closed `parts` means that nobody listens any more.
    async fn fetch(&self, request: FetchRequest, parts: mpsc::Sender<FetchPart>);

    /// Every call of the attempt so far, in the order of their ends. Calls under way at the end of the attempt are
    /// recorded as cut off.
    fn records(&self) -> Vec<FetchRecord>;
}
