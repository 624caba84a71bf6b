//! Calls that running attempts make to the outside, as the pool sees them: a task each, which ends with its attempt.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::mpsc;

use super::worker::Worker;
use crate::egress::{Egress, FetchPart, FetchRequest};

/// Parts of an answer on their way from the gateway to the worker's socket.
const PARTS_WAITING_MAX: usize = 4;
/// Said to code of a function without a way out.
const DENIED: &str = "fetch refused: this function has no egress list; name the hosts that it may reach in `egress`";

/// Kinds of messages to the guest; crates/sandbox/src/wasm/prelude/ has the same numbers.
const HEAD: u8 = 1;
const CHUNK: u8 = 2;
const END: u8 = 3;
const FAILED: u8 = 4;

/// Makes the call and hands every part to the attempt.
pub(super) async fn run(
    worker: Arc<Worker>,
    attempt: u64,
    call: u32,
    egress: Option<Arc<dyn Egress>>,
    head: Bytes,
    body: Bytes,
) {
    let tell = |part: &FetchPart| worker.tell(attempt, message(call, part));
    let Some(egress) = egress else { return tell(&FetchPart::Failed(DENIED.to_owned())) };
    // Written by the prelude, or by whoever took the worker over.
    let request = match serde_json::from_slice::<FetchRequest>(&head) {
        Ok(request) => FetchRequest { body, ..request },
        Err(_) => return tell(&FetchPart::Failed("fetch: the request cannot be read".to_owned())),
    };
    let (sender, mut parts) = mpsc::channel(PARTS_WAITING_MAX);
    let forward = async {
        while let Some(part) = parts.recv().await {
            tell(&part);
        }
    };
    futures::future::join(egress.fetch(request, sender), forward).await;
}

/// The form in which the guest gets it: the call's number, the kind, the payload.
fn message(call: u32, part: &FetchPart) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u32_le(call);
    match part {
        FetchPart::Head(head) => {
            message.put_u8(HEAD);
            // Texts and numbers alone: it cannot fail.
            message.extend_from_slice(&serde_json::to_vec(head).unwrap_or_default());
        }
        FetchPart::Chunk(bytes) => {
            message.put_u8(CHUNK);
            message.extend_from_slice(bytes);
        }
        FetchPart::End => message.put_u8(END),
        FetchPart::Failed(text) => {
            message.put_u8(FAILED);
            message.extend_from_slice(text.as_bytes());
        }
    }
    message.freeze()
}
