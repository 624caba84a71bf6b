//! Frames cut out of a stream of bytes.

use bytes::{Bytes, BytesMut};

use super::codec::WireError;

const HEADER_BYTES: usize = 4;

/// Appends one frame to `out`: the header, then whatever `body` writes.
pub(crate) fn frame(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    body(out);
    let length = u32::try_from(out.len() - start - HEADER_BYTES).unwrap_or(u32::MAX);
    out[start..start + HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// Collects what was received until frames are whole. Holds at most one frame and one received chunk.
#[derive(Debug, Default)]
pub(crate) struct FrameBuffer {
    bytes: BytesMut,
}

impl FrameBuffer {
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    /// The next whole frame, without its header. Errors: one longer than `most`, noticed before its bytes are kept.
    pub(crate) fn next(&mut self, most: usize) -> Result<Option<Bytes>, WireError> {
        let Some(header) = self.bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*header)).unwrap_or(usize::MAX);
        if length > most {
            return Err(WireError::TooLong { length, most });
        }
        if self.bytes.len() < HEADER_BYTES + length {
            return Ok(None);
        }
        let mut whole = self.bytes.split_to(HEADER_BYTES + length);
        Ok(Some(whole.split_off(HEADER_BYTES).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_stream_was_cut() {
        let mut stream = Vec::new();
        for body in [&b"one"[..], b"", b"three"] {
            frame(&mut stream, |out| out.extend_from_slice(body));
        }
        for step in 1..=stream.len() {
            let mut buffer = FrameBuffer::default();
            let mut frames = Vec::new();
            for chunk in stream.chunks(step) {
                buffer.push(chunk);
                while let Some(frame) = buffer.next(16).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, [&b"one"[..], b"", b"three"], "cut every {step}");
        }
    }

    #[test]
    fn an_overlong_frame_is_refused_at_its_header() {
        let mut buffer = FrameBuffer::default();
        buffer.push(&u32::MAX.to_le_bytes());
        assert_eq!(buffer.next(16), Err(WireError::TooLong { length: 0xffff_ffff, most: 16 }));
    }
}
