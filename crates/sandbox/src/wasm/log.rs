//! An attempt's log while it grows: whole lines up to a limit of bytes and one of lines, then a marked cut.

use bytes::Bytes;
use sublet_model::limit;

const MARK: &[u8] = b"[log cut here: the limit is reached]\n";

/// Bytes of a finished log whose lines may take `limit`.
pub(super) const fn bytes_max(limit: usize) -> usize {
    limit + MARK.len()
}

pub(super) struct Log {
    bytes: Vec<u8>,
    bytes_limit: usize,
    lines_left: usize,
    is_cut: bool,
}

impl Log {
    pub(super) fn new(bytes_limit: usize) -> Log {
        Log { bytes: Vec::new(), bytes_limit, lines_left: limit::LOG_LINES_MAX, is_cut: false }
    }

    /// Adds a line, or several in one text; what does not fit is cut, and what comes after is dropped.
    pub(super) fn push(&mut self, line: &[u8]) {
        if self.is_cut {
            return;
        }
        let room = self.bytes_limit.saturating_sub(self.bytes.len());
        // The end of the last line that there may be; what there is no room for is not even looked at.
        let head = &line[..line.len().min(room)];
        let lines_end = match self.lines_left.checked_sub(1) {
            Some(breaks) => head.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(breaks).map(|(at, _)| at),
            None => Some(0),
        };
        if line.len() < room && lines_end.is_none() {
            self.lines_left -= 1 + line.iter().filter(|byte| **byte == b'\n').count();
            self.push_text(line);
            return;
        }
        self.is_cut = true;
        if room > 1 && self.lines_left > 0 {
            let end = lines_end.unwrap_or(line.len()).min(room - 1);
            self.push_text(&line[..end]);
        }
        self.bytes.extend_from_slice(MARK);
    }

    /// The guest's text is UTF-8 but for lone surrogates and for a character that the cut went through.
    fn push_text(&mut self, text: &[u8]) {
        for chunk in text.utf8_chunks() {
            self.bytes.extend_from_slice(chunk.valid().as_bytes());
            if !chunk.invalid().is_empty() {
                self.bytes.push(b'?');
            }
        }
        self.bytes.push(b'\n');
    }

    pub(super) fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(limit: usize, lines: &[&[u8]]) -> String {
        let mut log = Log::new(limit);
        for line in lines {
            log.push(line);
        }
        let bytes = log.take();
        assert!(bytes.len() <= bytes_max(limit));
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_log_is_cut_once_with_a_mark() {
        let mark = std::str::from_utf8(MARK).unwrap();
        assert_eq!(logged(10, &[b"one", b"two"]), "one\ntwo\n");
        assert_eq!(logged(10, &[b"one", b"seventeen letters", b"x"]), format!("one\nseven\n{mark}"));
        assert_eq!(logged(4, &[b"one", b"two"]), format!("one\n{mark}"));
        assert_eq!(logged(6, &["äöü".as_bytes()]), format!("äö?\n{mark}"));
        assert_eq!(logged(9, &[b"\xed\xa0\x80"]), "???\n");
    }

    #[test]
    fn lines_are_counted_however_they_are_written() {
        let most = limit::LOG_LINES_MAX;
        let lines: Vec<&[u8]> = vec![b""; most + 5];
        let count = |text: &str| text.lines().count();
        assert_eq!(count(&logged(1 << 20, &lines[..most])), most);
        assert_eq!(count(&logged(1 << 20, &lines)), most + 1);
        let breaks = vec![b'\n'; most + 5];
        assert_eq!(count(&logged(1 << 20, &[b"one", &breaks[..], b"two"])), most + 1);
        assert_eq!(count(&logged(1 << 20, &[&breaks[..most - 1]])), most);
        assert_eq!(count(&logged(1 << 20, &[&breaks[..most - 1], b"x"])), most + 1);
    }
}
