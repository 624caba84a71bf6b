//! Calls that running attempts make to the outside, as the pool sees them: a task each, which ends with its attempt.

use std::pin::pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::{Either, select};
use tokio::sync::mpsc;

use super::worker::Worker;
use crate::egress::{Egress, FetchPart, FetchRequest, HEAD_TOO_LONG};
use crate::wire::MESSAGE_BYTES_MAX;

/// Parts of one answer that wait for their turn in the worker's outbox. The gateway reads no further meanwhile.
const PARTS_WAITING_MAX: usize = 4;
/// Said to code of a function without a way out.
const DENIED: &str = "fetch refused: this function has no egress list; name the hosts that it may reach in `egress`";
const UNREADABLE: &str = "fetch: the request cannot be read";
/// Said of what is longer than a part may be, and is no head.
const PART_TOO_LONG: &str = "fetch failed: a part of the answer is too long";

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
    let Some(egress) = egress else {
        // Whoever waits holds on to nothing that the worker sent.
        drop((head, body));
        worker.tell(attempt, written(call, FAILED, DENIED.as_bytes())).await;
        return;
    };
    let Some(request) = read(head, body) else {
        worker.tell(attempt, written(call, FAILED, UNREADABLE.as_bytes())).await;
        return;
    };
    let (sender, mut parts) = mpsc::channel(PARTS_WAITING_MAX);
    let asked = egress.fetch(request, sender);
    let forward = pin!(async {
        while let Some(part) = parts.recv().await {
            let (message, goes_on) = match encoded(call, &part) {
                Ok(message) => (message, true),
                Err(why) => (written(call, FAILED, why.as_bytes()), false),
            };
            if !worker.tell(attempt, message).await || !goes_on {
                return;
            }
        }
    });
    match select(asked, forward).await {
        Either::Left(((), forward)) => forward.await,
        // Nobody listens any more: the call ends when it is dropped.
        Either::Right(_) => {}
    }
}

/// `None`: nobody can read it. What comes out holds no more than itself: a frame, which a small body would keep alive, is
/// as long as whoever took the worker over makes it.
fn read(head: Bytes, body: Bytes) -> Option<FetchRequest> {
    // Written by the prelude, or not.
    let request = serde_json::from_slice::<FetchRequest>(&head).ok()?;
    Some(FetchRequest { body: Bytes::copy_from_slice(&body), ..request })
}

/// Errors: a worker would take a longer message for a broken server, and end with every attempt in it. What to say
/// instead.
fn encoded(call: u32, part: &FetchPart) -> Result<Bytes, &'static str> {
    let (message, too_long) = match part {
        FetchPart::Head(head) => (written(call, HEAD, &head.json()), HEAD_TOO_LONG),
        FetchPart::Chunk(bytes) => (written(call, CHUNK, bytes), PART_TOO_LONG),
        FetchPart::End => (written(call, END, b""), PART_TOO_LONG),
        FetchPart::Failed(text) => (written(call, FAILED, text.as_bytes()), PART_TOO_LONG),
    };
    if message.len() > MESSAGE_BYTES_MAX { Err(too_long) } else { Ok(message) }
}

/// The form in which the guest gets it: the call's number, the kind, the payload.
fn written(call: u32, kind: u8, payload: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(5 + payload.len());
    message.put_u32_le(call);
    message.put_u8(kind);
    message.put_slice(payload);
    message.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::{CHUNK_BYTES_MAX, FetchHead};

    #[test]
    fn no_message_is_longer_than_a_worker_takes() {
        let head = |value: String| {
            FetchPart::Head(FetchHead {
                status: 200,
                status_text: String::new(),
                url: String::new(),
                redirected: false,
                headers: vec![("x".to_owned(), value)],
            })
        };
        let long = |byte: char| byte.to_string().repeat(MESSAGE_BYTES_MAX / 2);
        for (part, why) in [
            (head(long('"')), HEAD_TOO_LONG),
            (head(long('\u{80}')), HEAD_TOO_LONG),
            (FetchPart::Chunk(Bytes::from(vec![0; MESSAGE_BYTES_MAX])), PART_TOO_LONG),
            (FetchPart::Failed("x".repeat(MESSAGE_BYTES_MAX)), PART_TOO_LONG),
        ] {
            assert_eq!(encoded(7, &part), Err(why));
        }
        let whole = encoded(7, &FetchPart::Chunk(Bytes::from(vec![0; CHUNK_BYTES_MAX]))).unwrap();
        assert_eq!((whole.len(), &whole[..5]), (CHUNK_BYTES_MAX + 5, &[7, 0, 0, 0, CHUNK][..]));
        assert!(encoded(7, &head("\"".repeat(1_000))).is_ok() && encoded(7, &FetchPart::End).is_ok());
    }
}
