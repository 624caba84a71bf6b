//! W3C trace context: which trace an event belongs to, and which span caused it.
//!
//! It comes with a publish, is kept with the event, and goes on to the attempt, the result event and the webhook. What
//! is malformed is dropped without a word, as the recommendation says: a broken trace never refuses an event.

use std::fmt;
use std::sync::Arc;

/// Characters of `tracestate` that are kept; the recommendation asks for at least these, and longer ones are dropped.
pub const TRACE_STATE_CHARS_MAX: usize = 512;
/// Members of a `tracestate`, by the recommendation.
const TRACE_STATE_MEMBERS_MAX: usize = 32;
/// Bytes of an encoded context before its `tracestate`.
const FIXED_BYTES: usize = 25;
/// Characters of a `traceparent` of version 00.
const PARENT_CHARS: usize = 55;

const SAMPLED: u8 = 1;
/// The flags that this program understands: sampled, and that the trace id is random.
const FLAGS_KNOWN: u8 = 3;

/// A position in a trace: what is done next is its child.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// Never all zeros.
    trace_id: [u8; 16],
    /// Never all zeros.
    span_id: [u8; 8],
    flags: u8,
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// `None` when an id is all zeros, which stands for "none".
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], is_sampled: bool) -> Option<TraceContext> {
        let is_valid = trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then(|| TraceContext { trace_id, span_id, flags: u8::from(is_sampled), state: None })
    }

    /// Reads the two headers' values. `None` when `traceparent` is malformed; a malformed `tracestate` alone is left out.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<TraceContext> {
        let text = traceparent.trim_matches([' ', '\t']).as_bytes();
        let (head, rest) = text.split_at_checked(PARENT_CHARS)?;
        let [version] = hex(&head[..2])?;
        // A later version may add fields behind; ff is forbidden.
        let is_known = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|next| *next == b'-'),
        };
        let dashes = [head[2], head[35], head[52]];
        if !is_known || dashes != [b'-'; 3] {
            return None;
        }
        let (trace_id, span_id, [flags]) = (hex(&head[3..35])?, hex(&head[36..52])?, hex(&head[53..55])?);
        let context = TraceContext::new(trace_id, span_id, false)?;
        let state = tracestate.map(str::trim).filter(|state| is_trace_state(state)).map(Arc::from);
        Some(TraceContext { flags: flags & FLAGS_KNOWN, state, ..context })
    }

    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    pub fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// Whether the caller records this trace, and so should we.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The same trace, one span further. A span id of zeros changes nothing.
    pub fn child(&self, span_id: [u8; 8]) -> TraceContext {
        let span_id = if span_id == [0; 8] { self.span_id } else { span_id };
        TraceContext { span_id, ..self.clone() }
    }

    /// The trace id as it is written in logs.
    pub fn trace_id_text(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.trace_id))
    }

    /// For a column: 16 bytes of trace id, 8 of span id, the flags, and the `tracestate` if there is one.
    pub fn to_bytes(&self) -> Vec<u8> {
        let state = self.state.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(FIXED_BYTES + state.len());
        bytes.extend_from_slice(&self.trace_id);
        bytes.extend_from_slice(&self.span_id);
        bytes.push(self.flags);
        bytes.extend_from_slice(state.as_bytes());
        bytes
    }

    /// Reads [`TraceContext::to_bytes`]; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<TraceContext> {
        let (trace_id, rest) = bytes.split_first_chunk::<16>()?;
        let (span_id, rest) = rest.split_first_chunk::<8>()?;
        let (flags, state) = rest.split_first()?;
        let state = std::str::from_utf8(state).ok().filter(|state| !state.is_empty()).map(Arc::from);
        Some(TraceContext { flags: *flags, state, ..TraceContext::new(*trace_id, *span_id, false)? })
    }
}

/// The value of the header `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.span_id));
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

/// Lower case only, as the recommendation has it.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (slot, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *slot = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// A list of `key=value`, each key once, of the characters that the recommendation allows.
fn is_trace_state(text: &str) -> bool {
    if text.is_empty() || text.len() > TRACE_STATE_CHARS_MAX {
        return false;
    }
    let mut keys = Vec::new();
    for member in text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty()) {
        let Some((key, value)) = member.split_once('=') else { return false };
        if keys.len() == TRACE_STATE_MEMBERS_MAX || keys.contains(&key) || !is_key(key) || !is_value(value) {
            return false;
        }
        keys.push(key);
    }
    !keys.is_empty()
}

fn is_key(key: &str) -> bool {
    let starts_well = key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    starts_well && key.len() <= 256 && key.bytes().all(allowed)
}

fn is_value(value: &str) -> bool {
    // `,` and `=` cannot be in it; the space may not end it, which trimming has seen to.
    !value.is_empty() && value.len() <= 256 && value.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_is_written_as_it_was_read() {
        let context = TraceContext::parse(PARENT, Some("rojo=00f067aa0ba902b7,congo@t=a b")).unwrap();
        assert_eq!(context.to_string(), PARENT);
        assert_eq!(context.state(), Some("rojo=00f067aa0ba902b7,congo@t=a b"));
        assert_eq!(context.trace_id_text(), "0af7651916cd43dd8448eb211c80319c");
        assert!(context.is_sampled());
        assert_eq!(TraceContext::from_bytes(&context.to_bytes()), Some(context.clone()));
        let bare = TraceContext::parse(PARENT, None).unwrap();
        assert_eq!(bare.to_bytes().len(), FIXED_BYTES);
        assert_eq!(TraceContext::from_bytes(&bare.to_bytes()), Some(bare));
        let child = context.child([7; 8]);
        assert_eq!((child.trace_id(), child.span_id(), child.state()), (context.trace_id(), [7; 8], context.state()));
        assert_eq!(context.child([0; 8]), context);
    }

    #[test]
    fn what_is_malformed_is_no_context() {
        let cases = [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            // Version 00 ends with its flags.
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01what",
            "00-0af7651916cd43dd8448eb211c8031é-b7ad6b7169203331-01",
        ];
        for case in cases {
            assert_eq!(TraceContext::parse(case, None), None, "{case}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = format!("cc{}-what-the-future-will-be-like", &PARENT[2..]);
        assert_eq!(TraceContext::parse(&later, None).unwrap().to_string(), PARENT);
        let flags = format!("{}ff", &PARENT[..53]);
        assert_eq!(TraceContext::parse(&flags, None).unwrap().to_string(), format!("{}03", &PARENT[..53]));
    }

    #[test]
    fn a_malformed_tracestate_is_left_out_alone() {
        let long = format!("a={}", "b".repeat(TRACE_STATE_CHARS_MAX));
        let many = (0..33).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        for bad in ["", "a", "a=", "=b", "A=b", "a=b=c", "a=b,a=c", "a=b\u{7f}", "a=é", &long, &many] {
            let context = TraceContext::parse(PARENT, Some(bad)).unwrap();
            assert_eq!(context.state(), None, "{bad}");
        }
        for good in ["a=b", "a=b, c=d", "0t@v=x", "a=b,,c=d"] {
            assert_eq!(TraceContext::parse(PARENT, Some(good)).unwrap().state(), Some(good));
        }
    }

    #[test]
    fn bytes_that_are_no_context_are_refused() {
        for bytes in [&[][..], &[1; 24], &[0; 25]] {
            assert_eq!(TraceContext::from_bytes(bytes), None);
        }
    }
}
