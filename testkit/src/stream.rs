//! Reading server-sent events: just what a page's `EventSource` would see.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Bytes of one event; a longer one is a mistake.
const EVENT_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    pub id: Option<String>,
    pub event: Option<String>,
    pub data: String,
}

impl Line {
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.data).with_context(|| format!("not JSON: {}", self.data))
    }
}

#[derive(Debug)]
pub struct Stream {
    response: reqwest::Response,
    buffer: Vec<u8>,
    /// Bytes at the buffer's head that were handed out already.
    taken: usize,
}

impl Stream {
    pub(crate) fn new(response: reqwest::Response) -> Stream {
        Stream { response, buffer: Vec::new(), taken: 0 }
    }

    /// The next event that carries data; `None` when the server has closed the stream. Comments are passed over.
    pub async fn next(&mut self) -> Result<Option<Line>> {
        loop {
            while let Some(block) = self.block() {
                if let Some(line) = parse(&block) {
                    return Ok(Some(line));
                }
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            if self.buffer.len() > EVENT_BYTES_MAX {
                bail!("an event is longer than {EVENT_BYTES_MAX} bytes");
            }
            match self.response.chunk().await.context("the stream broke off")? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }

    /// The first event that `wanted` takes; the others before it are passed over. Fails after `within`.
    pub async fn find(&mut self, within: Duration, mut wanted: impl FnMut(&Value) -> bool) -> Result<Value> {
        let search = async {
            while let Some(line) = self.next().await? {
                let value = line.json()?;
                if wanted(&value) {
                    return Ok(value);
                }
            }
            bail!("the stream ended before it came")
        };
        tokio::time::timeout(within, search).await.with_context(|| format!("it did not come within {within:?}"))?
    }

    /// The text up to the next empty line.
    fn block(&mut self) -> Option<String> {
        let rest = &self.buffer[self.taken..];
        let end = rest.windows(2).position(|pair| pair == b"\n\n")?;
        let block = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.taken += end + 2;
        Some(block)
    }
}

fn parse(block: &str) -> Option<Line> {
    let mut line = Line::default();
    let mut data: Option<String> = None;
    for field in block.lines() {
        let (name, value) = field.split_once(':').unwrap_or((field, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => line.id = Some(value.to_owned()),
            "event" => line.event = Some(value.to_owned()),
            "data" => match &mut data {
                Some(text) => {
                    text.push('\n');
                    text.push_str(value);
                }
                None => data = Some(value.to_owned()),
            },
            _ => {}
        }
    }
    line.data = data?;
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_as_a_page_would_read_it() {
        let line = parse("id: 7\nevent: result\ndata: {\"a\":\ndata: 1}").unwrap();
        assert_eq!(line, Line { id: Some("7".into()), event: Some("result".into()), data: "{\"a\":\n1}".into() });
        assert_eq!(parse(": keep-alive"), None);
        assert_eq!(parse("retry: 1000"), None);
    }
}
