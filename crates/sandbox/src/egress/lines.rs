//! The heads of requests and answers as the guest has them: lines of text, which cost it a third of what JSON does. Pure.
//!
//! The prelude's web/fetch.js writes and reads the same. What it wrote may be anything; that the texts of an answer have
//! no line break in them is seen to here.

use bytes::Bytes;

use super::{FetchHead, FetchRequest, Redirect};

impl FetchRequest {
    /// Method, URL, redirect, then a name and a value for each header. `None`: nobody can read it.
    pub(crate) fn from_lines(head: &[u8], body: Bytes) -> Option<FetchRequest> {
        let mut lines = std::str::from_utf8(head).ok()?.split('\n');
        let (method, url) = (lines.next()?.to_owned(), lines.next()?.to_owned());
        let redirect = match lines.next()? {
            "follow" => Redirect::Follow,
            "error" => Redirect::Error,
            "manual" => Redirect::Manual,
            _ => return None,
        };
        let mut headers = Vec::new();
        while let Some(name) = lines.next() {
            headers.push((name.to_owned(), lines.next()?.to_owned()));
        }
        Some(FetchRequest { method, url, headers, redirect, body })
    }
}

impl FetchHead {
    /// Status, its text, URL, whether it was redirected, then a name and a value for each header.
    pub(crate) fn lines(&self) -> String {
        let mut text = self.status.to_string();
        let redirected = if self.redirected { "true" } else { "false" };
        let headers = self.headers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        for line in [self.status_text.as_str(), self.url.as_str(), redirected].into_iter().chain(headers) {
            text.push('\n');
            text.extend(line.chars().map(|c| if c == '\n' { ' ' } else { c }));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_line_by_line() {
        let read = |head: &str| FetchRequest::from_lines(head.as_bytes(), Bytes::from_static(b"body"));
        let request = read("POST\nhttps://a.test/?q\nmanual\nx-a\n1\nx-empty\n").unwrap();
        assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://a.test/?q"));
        assert_eq!((request.redirect, &request.body[..]), (Redirect::Manual, &b"body"[..]));
        assert_eq!(request.headers, [("x-a".into(), "1".into()), ("x-empty".into(), String::new())]);
        assert_eq!(read("GET\nhttps://a.test/\nfollow").unwrap().headers, []);
    }

    #[test]
    fn what_is_no_request_is_not_read() {
        for head in ["", "GET", "GET\nhttps://a.test/", "GET\nhttps://a.test/\nsideways", "GET\n\nfollow\nname", "{}"] {
            assert_eq!(FetchRequest::from_lines(head.as_bytes(), Bytes::new()), None, "{head:?}");
        }
        assert_eq!(FetchRequest::from_lines(b"GET\n\xff\nfollow", Bytes::new()), None);
    }

    #[test]
    fn no_text_of_an_answer_passes_for_two_lines() {
        let head = FetchHead {
            status: 200,
            status_text: "All\nright".to_owned(),
            url: "https://a.test/".to_owned(),
            redirected: true,
            headers: vec![("x".to_owned(), "1\n2".to_owned()), ("y".to_owned(), String::new())],
        };
        assert_eq!(head.lines(), "200\nAll right\nhttps://a.test/\ntrue\nx\n1 2\ny\n");
    }
}
