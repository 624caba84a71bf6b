//! Archives that lie, made here: each is refused, or opens to files within the limits and within the package.

use std::io::{Cursor, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sublet_engine::open_zip;
use sublet_model::limit::{PACKAGE_BYTES_MAX, PACKAGE_FILES_MAX, PACKAGE_UNPACKED_BYTES_MAX};
use zip::write::{SimpleFileOptions, ZipWriter};

use super::line::{Line, millis};

pub(super) const TITLE: &str = "packages that lie about what they are";
/// Far longer than the largest package takes.
const WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Archive {
    pub(super) name: &'static str,
    promise: &'static str,
    made: fn() -> Vec<u8>,
    /// Otherwise it may also open to something harmless.
    is_refused: bool,
}

const fn refused(name: &'static str, promise: &'static str, made: fn() -> Vec<u8>) -> Archive {
    Archive { name, promise, made, is_refused: true }
}

const fn harmless(name: &'static str, promise: &'static str, made: fn() -> Vec<u8>) -> Archive {
    Archive { name, promise, made, is_refused: false }
}

impl Archive {
    pub(super) fn run(&self) -> Line {
        let package = Bytes::from((self.made)());
        let started = Instant::now();
        let opened = open_zip(&package);
        let took = started.elapsed();
        let judged = match opened {
            Err(error) => Ok(format!("refused: {error}")),
            Ok(_) if self.is_refused => Err("it was opened".to_owned()),
            Ok(files) => {
                let bytes: usize = files.iter().map(|file| file.content.len()).sum();
                let strays = files.iter().find(|file| {
                    file.path.starts_with('/') || file.path.split('/').any(|part| part == ".." || part.is_empty())
                });
                match strays {
                    Some(file) => Err(format!("it holds `{}`", file.path)),
                    None if bytes > PACKAGE_UNPACKED_BYTES_MAX || files.len() > PACKAGE_FILES_MAX => {
                        Err(format!("it opened to {bytes} bytes in {} files", files.len()))
                    }
                    None => Ok(format!("opened to {bytes} bytes in {} files", files.len())),
                }
            }
        };
        let judged = judged.and_then(|seen| if took > WITHIN { Err(format!("only after {seen}")) } else { Ok(seen) });
        Line {
            group: TITLE,
            name: self.name.to_owned(),
            promise: self.promise.to_owned(),
            held: judged.is_ok(),
            seen: judged.unwrap_or_else(|fault| fault),
            took_ms: millis(took),
            neighbour: None,
        }
    }
}

pub(super) fn archives() -> Vec<Archive> {
    vec![
        harmless("zip-honest", "An honest package opens", || one("index.mjs", b"export const handler = () => 1;")),
        refused("zip-slip", "A name that leads out of the package is refused", || one("../../etc/cron.d/x", b"x")),
        refused("zip-slip-inside", "A name that leads out by a detour is refused", || one("a/b/../../../x", b"x")),
        refused("zip-absolute", "An absolute name is refused", || one("/etc/passwd", b"x")),
        refused("zip-drive", "A name with a drive is refused", || one("C:/x", b"x")),
        refused("zip-backslash", "A name with a backslash is refused", || one("..\\..\\x", b"x")),
        refused("zip-zero-byte", "A name with a zero byte is refused", || one("index.mjs\0.png", b"x")),
        refused("zip-line-end", "A name with a line end is refused", || one("a\nb", b"x")),
        refused("zip-long-name", "A name of thirty kilobytes is refused", || one(&"n".repeat(30_000), b"x")),
        refused("zip-deep-name", "A path of ten thousand folders is refused", || one(&"a/".repeat(10_000), b"x")),
        refused("zip-symbolic-link", "A link is refused", || of_kind(0o120_777)),
        refused("zip-pipe", "A named pipe is refused", || of_kind(0o010_666)),
        refused("zip-device", "A device is refused", || of_kind(0o060_666)),
        refused("zip-socket", "A socket is refused", || of_kind(0o140_666)),
        refused("zip-twice", "Two entries of one name are refused", || {
            renamed(&many(&["a.js", "b.js"]), b"b.js", b"a.js")
        }),
        refused("zip-twice-by-a-detour", "Two names of one file are refused", || many(&["a.js", "./a.js"])),
        refused("zip-encrypted", "An encrypted entry is refused", || patched(&one("a.js", b"x"), DIRECTORY, 8, 1)),
        refused("zip-many", "More entries than there may be are refused", || {
            let names: Vec<String> = (0..=PACKAGE_FILES_MAX).map(|at| format!("f{at}")).collect();
            many(&names.iter().map(String::as_str).collect::<Vec<_>>())
        }),
        refused("zip-bomb", "What unpacks to more than there may be is refused", || {
            one("bomb.js", &vec![b' '; PACKAGE_UNPACKED_BYTES_MAX + 1])
        }),
        refused("zip-bombs", "What unpacks to more than there may be in all is refused", || {
            let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
            for at in 0..9 {
                add(&mut archive, &format!("{at}.js"), &vec![b' '; PACKAGE_UNPACKED_BYTES_MAX / 8]);
            }
            finished(archive)
        }),
        refused("zip-bomb-that-lies", "A declared size is not believed", || {
            let bomb = one("bomb.js", &vec![b' '; PACKAGE_UNPACKED_BYTES_MAX + 1]);
            patched(&patched(&bomb, DIRECTORY, 24, 10), LOCAL, 22, 10)
        }),
        refused("zip-too-long", "A package beyond its limit is refused before it is read", || {
            vec![b'x'; PACKAGE_BYTES_MAX + 1]
        }),
        refused("zip-overlap", "Entries that share their bytes are counted each", || {
            let bomb = one("bomb.js", &vec![b' '; PACKAGE_UNPACKED_BYTES_MAX / 2]);
            overlapping(&bomb, 3)
        }),
        harmless("zip-two-names", "An entry whose two names differ has a harmless one", || {
            let archive = one("aaaaaaaa.js", b"x");
            // The first of the two is the local header's.
            replaced_once(&archive, b"aaaaaaaa.js", b"../../../x/")
        }),
        harmless("zip-other-unicode-name", "A second name in an extra field leads nowhere", || {
            with_unicode_name("../../x")
        }),
        harmless("zip-two-directories", "A second directory in the comment opens nothing else", || {
            let inner = one("inner.js", b"x");
            let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
            add(&mut archive, "outer.js", b"x");
            let _ = archive.set_raw_comment(inner.into());
            finished(archive)
        }),
        harmless("zip-before-it", "Bytes before an archive open nothing else", || {
            [b"#!/bin/sh\n".to_vec(), one("index.js", b"x")].concat()
        }),
        refused("zip-truncated", "A truncated archive is refused", || {
            let archive = one("index.js", &[b'x'; 1000]);
            archive[..archive.len() - 30].to_vec()
        }),
        refused("zip-wrong-count", "A directory that does not agree with itself is refused", || {
            let mut archive = many(&["a.js", "b.js"]);
            let end = archive.len() - 22;
            archive[end + 8..end + 12].copy_from_slice(&[9, 0, 9, 0]);
            archive
        }),
        refused("zip-wrong-sum", "An entry that was changed is refused", || {
            let mut archive = one("index.js", b"export const handler = () => 1;");
            let at = archive.iter().position(|byte| *byte == b'x').unwrap_or(0) + 40;
            archive[at] ^= 0xff;
            archive
        }),
        refused("zip-empty", "An archive without files is refused", || many(&[])),
        refused("zip-of-nothing", "Zero bytes are refused", Vec::new),
        refused("zip-of-noise", "Noise is refused", || {
            (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
        }),
    ]
}

const LOCAL: &[u8] = b"PK\x03\x04";
const DIRECTORY: &[u8] = b"PK\x01\x02";

fn add(archive: &mut ZipWriter<Cursor<Vec<u8>>>, name: &str, content: &[u8]) {
    // In memory, and of names that the format takes: nothing of this fails.
    let _ = archive.start_file(name, SimpleFileOptions::default());
    let _ = archive.write_all(content);
}

fn finished(archive: ZipWriter<Cursor<Vec<u8>>>) -> Vec<u8> {
    archive.finish().map(Cursor::into_inner).unwrap_or_default()
}

fn one(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    add(&mut archive, name, content);
    finished(archive)
}

fn many(names: &[&str]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        add(&mut archive, name, b"x");
    }
    finished(archive)
}

/// One entry whose Unix mode says what it is: the upper half of the external attributes, of an archive made by Unix.
fn of_kind(mode: u32) -> Vec<u8> {
    let archive = patched(&one("entry", b"/etc/passwd"), DIRECTORY, 38, mode << 16);
    let mut bytes = archive;
    for at in places(&bytes, DIRECTORY) {
        bytes[at + 5] = 3;
    }
    bytes
}

fn places(bytes: &[u8], mark: &[u8]) -> Vec<usize> {
    (0..bytes.len().saturating_sub(mark.len())).filter(|at| bytes[*at..].starts_with(mark)).collect()
}

/// Writes a number of four bytes at an offset from every header of a kind; the general flags' two bytes stay whole.
fn patched(bytes: &[u8], header: &[u8], offset: usize, value: u32) -> Vec<u8> {
    let mut patched = bytes.to_vec();
    let width = if offset == 8 { 2 } else { 4 };
    for at in places(bytes, header) {
        patched[at + offset..at + offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
    }
    patched
}

fn renamed(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut renamed = bytes.to_vec();
    for at in places(bytes, from) {
        renamed[at..at + to.len()].copy_from_slice(to);
    }
    renamed
}

fn replaced_once(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = bytes.to_vec();
    if let Some(at) = places(bytes, from).first() {
        replaced[*at..at + to.len()].copy_from_slice(to);
    }
    replaced
}

/// The same entry `count` times in the directory, under names of their own.
fn overlapping(bytes: &[u8], count: u8) -> Vec<u8> {
    let Some(start) = places(bytes, DIRECTORY).last().copied() else { return Vec::new() };
    let end = bytes.len() - 22;
    let mut made = bytes[..start].to_vec();
    for number in 0..count {
        let mut entry = bytes[start..end].to_vec();
        // Within the name, which lies behind the fixed part.
        entry[46] = b'a' + number;
        made.extend(entry);
    }
    let length = u32::try_from(made.len() - start).unwrap_or(0);
    let mut tail = bytes[end..].to_vec();
    tail[8..12].copy_from_slice(&[count, 0, count, 0]);
    tail[12..16].copy_from_slice(&length.to_le_bytes());
    made.extend(tail);
    made
}

/// An entry with Info-ZIP's field for a name in Unicode, which some readers prefer.
fn with_unicode_name(name: &str) -> Vec<u8> {
    let bytes = one("index.js", b"x");
    let Some(start) = places(&bytes, DIRECTORY).last().copied() else { return Vec::new() };
    let end = bytes.len() - 22;
    let mut field = vec![0x75, 0x70];
    field.extend(u16::try_from(name.len() + 5).unwrap_or(0).to_le_bytes());
    field.push(1);
    // The checksum of `index.js`.
    field.extend(0x79fe_a602_u32.to_le_bytes());
    field.extend(name.as_bytes());
    let mut entry = bytes[start..end].to_vec();
    entry[30..32].copy_from_slice(&u16::try_from(field.len()).unwrap_or(0).to_le_bytes());
    entry.extend(field);
    let mut made = bytes[..start].to_vec();
    made.extend(&entry);
    let mut tail = bytes[end..].to_vec();
    tail[12..16].copy_from_slice(&u32::try_from(entry.len()).unwrap_or(0).to_le_bytes());
    made.extend(tail);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_archive_that_lies_is_refused_or_harmless() {
        let broken: Vec<String> =
            archives().iter().map(Archive::run).filter(|line| !line.held).map(|line| line.to_string()).collect();
        assert!(broken.is_empty(), "{broken:#?}");
    }
}
