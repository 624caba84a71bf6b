//! Bodies that come compressed: gzip and zstd, unpacked to a bounded length whatever they declare.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use crate::Header;
use crate::refusal::{Fault, Refusal};

/// A zstd frame says how much memory its reader must hold before it says anything else; RFC 8878 recommends that
/// readers bear 8 MiB.
const ZSTD_WINDOW_BYTES_MAX: u64 = 8 << 20;
const ZSTD_MAGIC: u32 = 0xFD2F_B528;
/// The low four bits of a skippable frame's magic number are free.
const ZSTD_SKIPPABLE: u32 = 0x184D_2A50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// For the answer's `Accept-Encoding`, as RFC 9110 wants it beside a 415.
pub const ACCEPTED: &str = "gzip, zstd, identity";

impl Encoding {
    /// Errors: 415 for any other, and for one in another.
    pub fn of(headers: &[Header<'_>]) -> Result<Encoding, Refusal> {
        let mut found = Encoding::Identity;
        for (_, value) in headers.iter().filter(|(name, _)| *name == "content-encoding") {
            let text = std::str::from_utf8(value).map_err(|_| unsupported())?;
            for part in text.split(',') {
                let encoding = match part.trim().to_ascii_lowercase().as_str() {
                    "identity" | "" => continue,
                    "gzip" | "x-gzip" => Encoding::Gzip,
                    "zstd" => Encoding::Zstd,
                    _ => return Err(unsupported()),
                };
                if found != Encoding::Identity {
                    return Err(unsupported());
                }
                found = encoding;
            }
        }
        Ok(found)
    }

    /// The bytes, unpacked. Reads no further than one byte beyond `most`. Errors: 413, or 400 for what is not so encoded.
    pub fn decode(self, body: &[u8], most: usize) -> Result<Vec<u8>, Refusal> {
        match self {
            Encoding::Identity if body.len() > most => Err(too_large(most)),
            Encoding::Identity => Ok(body.to_vec()),
            Encoding::Gzip => {
                let mut unpacked = Vec::new();
                take(MultiGzDecoder::new(body), &mut unpacked, most)
                    .map_err(|broken| broken.unwrap_or_else(|| misfit("gzip")))?;
                Ok(unpacked)
            }
            Encoding::Zstd => unzstd(body, most),
        }
    }
}

/// Appends what the reader gives. Errors: `Some(413)`, `None` when the reader fails.
fn take(reader: impl Read, unpacked: &mut Vec<u8>, most: usize) -> Result<(), Option<Refusal>> {
    let room = most.saturating_sub(unpacked.len());
    let limit = u64::try_from(room).unwrap_or(u64::MAX).saturating_add(1);
    let read = reader.take(limit).read_to_end(unpacked).map_err(|_| None)?;
    if read > room { Err(Some(too_large(most))) } else { Ok(()) }
}

/// One frame after the other.
fn unzstd(mut body: &[u8], most: usize) -> Result<Vec<u8>, Refusal> {
    let broken = || misfit("zstd");
    let mut unpacked = Vec::new();
    if body.is_empty() {
        return Err(broken());
    }
    while !body.is_empty() {
        let (magic, rest) = body.split_first_chunk::<4>().ok_or_else(broken)?;
        let magic = u32::from_le_bytes(*magic);
        if magic & 0xFFFF_FFF0 == ZSTD_SKIPPABLE {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| broken())?;
            body = rest.get(length..).ok_or_else(broken)?;
            continue;
        }
        if magic != ZSTD_MAGIC {
            return Err(broken());
        }
        if zstd_window(rest).ok_or_else(broken)? > ZSTD_WINDOW_BYTES_MAX {
            let most = ZSTD_WINDOW_BYTES_MAX;
            return Err(Refusal::invalid("body", format!("its zstd window must not exceed {most} bytes")));
        }
        let decoder = StreamingDecoder::new(&mut body).map_err(|_| broken())?;
        take(decoder, &mut unpacked, most).map_err(|refusal| refusal.unwrap_or_else(broken))?;
    }
    Ok(unpacked)
}

/// The window that a frame's header asks for: RFC 8878, section 3.1.1.1. `header` begins after the magic number.
fn zstd_window(header: &[u8]) -> Option<u64> {
    let descriptor = *header.first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    if !is_single_segment {
        let window = *header.get(1)?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + (base / 8) * u64::from(window & 7));
    }
    // Then the window is the content, whose size stands behind the dictionary's id.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_bytes = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let field = header.get(1 + dictionary..1 + dictionary + size_bytes)?;
    let mut size = [0; 8];
    size[..size_bytes].copy_from_slice(field);
    let size = u64::from_le_bytes(size);
    Some(if size_bytes == 2 { size + 256 } else { size })
}

fn unsupported() -> Refusal {
    Refusal {
        fault: Fault::UnsupportedEncoding,
        field: "content-encoding".to_owned(),
        message: format!("must be one of {ACCEPTED}"),
    }
}

fn misfit(name: &str) -> Refusal {
    Refusal::invalid("body", format!("is not {name}, as its content-encoding says"))
}

fn too_large(most: usize) -> Refusal {
    let message = format!("must not be longer than {most} bytes, unpacked");
    Refusal { fault: Fault::TooLarge(most), field: "body".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn what_was_packed_comes_out_and_several_parts_are_one_body() {
        let text = br#"{"source": "todo", "detail": {"title": "milk"}}"#;
        assert_eq!(Encoding::Gzip.decode(&gzip(text), 1_000).unwrap(), text);
        assert_eq!(Encoding::Zstd.decode(&zstd(text), 1_000).unwrap(), text);
        let mut two = gzip(b"[1,");
        two.extend(gzip(b"2]"));
        assert_eq!(Encoding::Gzip.decode(&two, 10).unwrap(), b"[1,2]");
        let mut two = zstd(b"[1,");
        two.extend([0x50, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 9, 9]);
        two.extend(zstd(b"2]"));
        assert_eq!(Encoding::Zstd.decode(&two, 10).unwrap(), b"[1,2]");
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = vec![b' '; 10 << 20];
        for (encoding, packed) in [(Encoding::Gzip, gzip(&bomb)), (Encoding::Zstd, zstd(&bomb))] {
            assert!(packed.len() < 1 << 20);
            let refusal = encoding.decode(&packed, 1 << 20).unwrap_err();
            assert_eq!(refusal.fault, Fault::TooLarge(1 << 20), "{encoding:?}");
            assert_eq!(encoding.decode(&packed, 10 << 20).unwrap().len(), 10 << 20, "{encoding:?}");
        }
        // A frame that wants 64 MiB of memory before it has said anything.
        let hungry = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 16 << 3, 1, 0, 0];
        let refusal = Encoding::Zstd.decode(&hungry, 1 << 20).unwrap_err();
        assert!(refusal.message.contains("window"), "{}", refusal.message);
    }

    #[test]
    fn what_is_not_so_packed_is_refused() {
        let cut = gzip(b"some text that is long enough to be cut");
        for (encoding, body) in [
            (Encoding::Gzip, &b"plain"[..]),
            (Encoding::Gzip, &cut[..cut.len() - 9]),
            (Encoding::Zstd, b"plain"),
            (Encoding::Zstd, b""),
            (Encoding::Zstd, &zstd(b"text")[..6]),
        ] {
            assert_eq!(encoding.decode(body, 1_000).unwrap_err().fault, Fault::Invalid, "{encoding:?}");
        }
    }

    #[test]
    fn other_encodings_and_one_in_another_are_refused() {
        let of = |value: &str| Encoding::of(&[("content-encoding", value.as_bytes())]);
        assert_eq!(of("GZIP"), Ok(Encoding::Gzip));
        assert_eq!(of("zstd"), Ok(Encoding::Zstd));
        assert_eq!(of("identity"), Ok(Encoding::Identity));
        assert_eq!(Encoding::of(&[]), Ok(Encoding::Identity));
        for bad in ["br", "deflate", "gzip, gzip", "gzip, zstd"] {
            assert_eq!(of(bad).unwrap_err().fault, Fault::UnsupportedEncoding, "{bad}");
        }
    }
}
