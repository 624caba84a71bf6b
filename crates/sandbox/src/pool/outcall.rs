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

/// Bytes before a part's content.
const PART_HEAD_BYTES: usize = 5;

/// Kinds of parts; crates/sandbox/src/wasm/prelude/ has the same numbers.
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
        worker.tell(attempt, failure(call, DENIED)).await;
        return;
    };
    let Some(request) = read(head, body) else {
        worker.tell(attempt, failure(call, UNREADABLE)).await;
        return;
    };
    let (sender, mut parts) = mpsc::channel(PARTS_WAITING_MAX);
    let asked = egress.fetch(request, sender);
    let forward = pin!(async {
        let mut next = parts.recv().await;
        while let Some(part) = next {
            let mut message = Message::to(call);
            let mut goes_on = message.push(&part);
            next = None;
            // What is there by now goes along: to a guest that waits, each message is a turn of its own.
            while goes_on
                && next.is_none()
                && let Ok(part) = parts.try_recv()
            {
                match message.has_room(&part) {
                    true => goes_on = message.push(&part),
                    false => next = Some(part),
                }
            }
            if !worker.tell(attempt, message.0.freeze()).await || !goes_on {
                return;
            }
            if next.is_none() {
                next = parts.recv().await;
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
    FetchRequest::from_lines(&head, Bytes::copy_from_slice(&body))
}

/// Parts of one call in the form in which the guest gets them: the call's number, then of each its kind, its length and its
/// content.
struct Message(BytesMut);

impl Message {
    fn to(call: u32) -> Message {
        let mut bytes = BytesMut::new();
        bytes.put_u32_le(call);
        Message(bytes)
    }

    fn has_room(&self, part: &FetchPart) -> bool {
        let bytes = match part {
            FetchPart::Head(head) => head.lines().len(),
            FetchPart::Chunk(bytes) => bytes.len(),
            FetchPart::End => 0,
            FetchPart::Failed(text) => text.len(),
        };
        self.holds(bytes)
    }

    fn holds(&self, bytes: usize) -> bool {
        self.0.len() + PART_HEAD_BYTES + bytes <= MESSAGE_BYTES_MAX
    }

    /// `false`: it was too long, which is said in its place, and nothing may follow. A worker would take a longer message for a
    /// broken server, and end with every attempt in it.
    fn push(&mut self, part: &FetchPart) -> bool {
        match part {
            FetchPart::Head(head) => self.put(HEAD, head.lines().as_bytes(), HEAD_TOO_LONG),
            FetchPart::Chunk(bytes) => self.put(CHUNK, bytes, PART_TOO_LONG),
            FetchPart::End => self.put(END, b"", PART_TOO_LONG),
            FetchPart::Failed(text) => self.put(FAILED, text.as_bytes(), PART_TOO_LONG),
        }
    }

    fn put(&mut self, kind: u8, content: &[u8], too_long: &str) -> bool {
        let fits = self.holds(content.len());
        let (kind, content) = if fits { (kind, content) } else { (FAILED, too_long.as_bytes()) };
        self.0.put_u8(kind);
        // No message is near 4 GiB.
        self.0.put_u32_le(content.len() as u32);
        self.0.put_slice(content);
        fits
    }
}

fn failure(call: u32, why: &str) -> Bytes {
    let mut message = Message::to(call);
    message.push(&FetchPart::Failed(why.to_owned()));
    message.0.freeze()
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
            (head(long('x') + &long('x')), HEAD_TOO_LONG),
            (head(long('\u{80}')), HEAD_TOO_LONG),
            (FetchPart::Chunk(Bytes::from(vec![0; MESSAGE_BYTES_MAX])), PART_TOO_LONG),
            (FetchPart::Failed("x".repeat(MESSAGE_BYTES_MAX)), PART_TOO_LONG),
        ] {
            let mut message = Message::to(7);
            assert!(!message.has_room(&part) && !message.push(&part));
            assert_eq!(message.0.freeze(), failure(7, why));
        }
        let mut whole = Message::to(7);
        for part in [head("x".repeat(1_000)), FetchPart::Chunk(Bytes::from(vec![0; CHUNK_BYTES_MAX])), FetchPart::End] {
            assert!(whole.has_room(&part) && whole.push(&part));
        }
        assert_eq!(whole.0[..5], [7, 0, 0, 0, HEAD]);
        assert_eq!(whole.0[whole.0.len() - 5..], [END, 0, 0, 0, 0]);
        let full = FetchPart::Chunk(Bytes::from(vec![0; MESSAGE_BYTES_MAX - whole.0.len()]));
        assert!(!whole.has_room(&full), "it goes with the next message");
    }
}
