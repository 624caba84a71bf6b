//! What tenant code may ask of the world outside: the boundary [`Egress`], and the gateway behind it.
//!
//! A worker process has no network. A `fetch` of the code in it becomes a frame to the server, and the pool hands it to
//! the attempt's [`Egress`], which answers in parts. [`Gateway`] is the real one: it asks nothing that the function's
//! list and the operator's ceiling do not both allow, and reaches public addresses alone. See docs/egress.md.
//!
//! [`gateway`] is shared by all attempts, [`attempt`] is one attempt's door with its quotas and records, [`call`] one
//! request with its redirects, [`hop`] one step of it · [`connection`], [`counted`] and [`pool`] · [`resolver`] · pure:
//! [`header`], [`lines`], [`redirect`], [`placeholder`], [`record`], [`room`].

mod attempt;
mod call;
mod connection;
mod counted;
mod gateway;
mod header;
mod hop;
mod lines;
mod meter;
mod placeholder;
mod pool;
mod record;
mod redirect;
mod resolver;
mod room;

pub use attempt::Admission;
pub use gateway::{Gateway, GatewayParts, GatewaySettings};
pub use placeholder::Placeholder;
pub use record::{EgressUsage, FetchRecord};
pub use resolver::{Resolve, SystemResolver};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::wire::{FETCH_BODY_BYTES_MAX, MESSAGE_BYTES_MAX};

/// Bytes of one [`FetchPart::Chunk`].
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// Calls of one attempt that a worker passes on: the most that [`GatewaySettings::fetches`] can mean.
pub const CALLS_MAX: u32 = 1_000;
/// Bytes of one call's body that a worker passes on.
pub const REQUEST_BODY_BYTES_MAX: u64 = FETCH_BODY_BYTES_MAX as u64;
/// Bytes of a [`FetchHead`] as text: what a message to a worker holds, less its own few. Bytes beyond ASCII take two of
/// them, so that a server's head of half as many bytes may be more.
const HEAD_BYTES_MAX: usize = MESSAGE_BYTES_MAX - 1024;
/// Said of a head beyond that.
pub(crate) const HEAD_TOO_LONG: &str = "fetch failed: the answer's headers are too long";

/// What becomes of an answer that points elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redirect {
    #[default]
    Follow,
    /// It is a failure.
    Error,
    /// It is the answer.
    Manual,
}

/// A call as the guest's `fetch` made it; nothing of it is checked but its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    pub method: String,
    pub url: String,
    /// In the order they are sent. A value's characters are bytes, as in the web's `Headers`.
    pub headers: Vec<(String, String)>,
    pub redirect: Redirect,
    pub body: Bytes,
}

/// What comes before an answer's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchHead {
    pub status: u16,
    pub status_text: String,
    /// Where the answer came from, after redirects.
    pub url: String,
    pub redirected: bool,
    pub headers: Vec<(String, String)>,
}

impl FetchHead {
    /// Whether a worker can be told of it.
    fn fits(&self) -> bool {
        self.lines().len() <= HEAD_BYTES_MAX
    }
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

/// The way out of one attempt.
#[async_trait]
pub trait Egress: Send + Sync + 'static {
    /// Makes one call and sends what comes of it.
    ///
    /// Contract: several run at once; each ends its parts with `End` or `Failed`; dropping the future ends the call; a
    /// closed `parts` means that nobody listens any more. A head that no message to a worker holds is a failure.
    async fn fetch(&self, request: FetchRequest, parts: mpsc::Sender<FetchPart>);

    /// The attempt's calls so far, the first [`sublet_model::limit::FETCH_RECORDS_MAX`] of them. Calls under way are
    /// recorded as given up.
    fn records(&self) -> Vec<FetchRecord>;

    /// All of its calls in numbers, those without a record too.
    fn used(&self) -> EgressUsage {
        let records = self.records();
        let bytes = records.iter().map(|record| record.bytes_out + record.bytes_in).sum();
        EgressUsage { calls: records.len() as u64, bytes }
    }
}
