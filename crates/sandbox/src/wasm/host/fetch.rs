//! `fetch`, as far as the worker has a part in it: requests go out to the server's gateway, which decides, and what comes
//! back is handed to the guest as messages (see [`super::mailbox`]).

use bytes::Bytes;

use super::call::{Answer, CallContext, CallError, Phase, REQUEST_BYTES_MAX};
use crate::egress::CALLS_MAX;

const START: i32 = 100;
const ABORT: i32 = 101;

/// Bytes of a request's head: method, URL and headers.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;

/// What the guest asked for and the worker has not passed on yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// `head` is text that nobody has checked.
    Fetch {
        call: u32,
        head: Bytes,
        body: Bytes,
    },
    Abort {
        call: u32,
    },
}

#[derive(Default)]
pub(super) struct Calls {
    last: u32,
    pub(super) outgoing: Vec<Outgoing>,
}

pub(super) fn call(operation: i32, context: &mut CallContext<'_>, request: &[u8]) -> Answer {
    if context.phase == Phase::Build {
        return Err(CallError::new("TypeError", "fetch cannot be called by top-level code: call it in the handler"));
    }
    let calls = &mut context.state.fetch;
    match operation {
        START => {
            let end = request.iter().position(|&byte| byte == 0).unwrap_or(request.len());
            let (head, body) = (&request[..end], request.get(end + 1..).unwrap_or_default());
            if head.len() > HEAD_BYTES_MAX {
                return Err(CallError::new("TypeError", "fetch: the URL and the headers are too long"));
            }
            if body.len() > REQUEST_BYTES_MAX {
                return Err(CallError::new("TypeError", "fetch: the request's body is longer than 1 MiB"));
            }
            if calls.last >= CALLS_MAX {
                return Err(CallError::new("TypeError", "fetch: too many calls in one attempt"));
            }
            calls.last += 1;
            calls.outgoing.push(Outgoing::Fetch {
                call: calls.last,
                head: Bytes::copy_from_slice(head),
                body: Bytes::copy_from_slice(body),
            });
            Ok(calls.last.to_le_bytes().to_vec())
        }
        ABORT => {
            let number = request.try_into().map(u32::from_le_bytes);
            let known = number.ok().filter(|number| (1..=calls.last).contains(number));
            let call = known.ok_or_else(|| CallError::new("TypeError", "fetch: there is no such call"))?;
            calls.outgoing.push(Outgoing::Abort { call });
            Ok(Vec::new())
        }
        _ => Err(CallError::new("TypeError", "the host has no such operation")),
    }
}
