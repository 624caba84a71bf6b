//! What the server and its worker processes say to each other: frames on a Unix stream socket.
//!
//! A frame is a little-endian `u32` (how many bytes follow), one byte that names the message, and its fields. Both ends
//! take the other's frames for hostile input: lengths are bounded before anything is kept, every field is checked, and
//! the first frame that does not fit ends the connection. Descriptors (memory files) travel from the server only.

mod codec;
mod failure;
mod frame;
mod message;
mod package;
mod snapshot;
mod socket;

pub(crate) use codec::WireError;
pub(crate) use failure::cut_failure;
pub(crate) use frame::FrameBuffer;
pub(crate) use message::{
    Done, FromWorker, MACHINE_CODE_BYTES_MAX, PROTOCOL, Role, RunOrder, SNAPSHOT_BYTES_MAX, ToWorker,
    build_frame_bytes_max,
};
pub(crate) use snapshot::{filled_bytes, filled_runs};
pub(crate) use socket::{Arrival, CHUNK_BYTES, Inlet, receive, send, send_with_file};

use sublet_model::limit;

/// Bytes of a handler's first argument: an event, with room for what dispatch or a transformer adds.
pub(crate) const EVENT_BYTES_MAX: usize = 2 * limit::EVENT_BYTES_MAX;
/// Bytes of a context.
pub(crate) const CONTEXT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of what is added to `process.env`, as JSON text.
pub(crate) const ENVIRONMENT_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a message to a running attempt.
pub(crate) const MESSAGE_BYTES_MAX: usize = 128 * 1024;
/// Bytes of a call out: method, URL and headers as JSON text, and the request's body.
pub(crate) const FETCH_HEAD_BYTES_MAX: usize = 64 * 1024;
pub(crate) const FETCH_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a frame to a worker that runs attempts.
pub(crate) const TO_WORKER_BYTES_MAX: usize = EVENT_BYTES_MAX + CONTEXT_BYTES_MAX + ENVIRONMENT_BYTES_MAX + 1024;
/// Bytes of a frame from a worker that runs attempts: a result, a log, a failure; or a call out, which is longer.
pub(crate) const FROM_WORKER_BYTES_MAX: usize = {
    let done = limit::RESULT_BYTES_MAX + limit::LOG_BYTES_MAX + 4 * limit::ERROR_TEXT_BYTES_MAX;
    let fetch = FETCH_HEAD_BYTES_MAX + FETCH_BODY_BYTES_MAX;
    (if done > fetch { done } else { fetch }) + 64 * 1024
};
