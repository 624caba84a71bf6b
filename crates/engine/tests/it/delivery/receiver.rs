//! A webhook's receiver: takes requests over a real socket and answers each by a script.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sublet_store::WebhookSpec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Far longer than anything here takes: only to end a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(crate) struct Request {
    head: String,
    pub(super) body: String,
}

impl Request {
    pub(crate) fn header(&self, wanted: &str) -> String {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{wanted}:")));
        line.unwrap().split_once(':').unwrap().1.trim().to_owned()
    }
}

/// What the receiver says, as it goes over the wire.
pub(super) enum Reply {
    Text(String),
    /// Keeps the connection and never answers.
    Hangs,
    /// Closes the connection without a word.
    Closes,
}

/// An answer without a body.
pub(super) fn status(line: &str) -> Reply {
    with(line, "", "")
}

/// `headers`: lines, each with its end.
pub(super) fn with(line: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Text(format!("HTTP/1.1 {line}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"))
}

pub(super) struct Receiver {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Request>,
}

impl Receiver {
    /// `script` gets the number of the request, from 0.
    pub(super) async fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let script = Arc::new(script);
        tokio::spawn(async move {
            for number in 0.. {
                let (socket, _) = listener.accept().await.unwrap();
                let (sender, script) = (sender.clone(), Arc::clone(&script));
                tokio::spawn(async move { serve(socket, &sender, script(number)).await });
            }
        });
        Receiver { address, requests }
    }

    /// The webhook that leads here.
    pub(super) fn spec(&self) -> WebhookSpec {
        hook(self.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has come already.
    pub(super) fn try_next(&mut self) -> Option<Request> {
        self.requests.try_recv().ok()
    }

    pub(super) async fn next(&mut self) -> Request {
        tokio::time::timeout(PATIENCE, self.requests.recv()).await.unwrap().unwrap()
    }
}

async fn serve(mut socket: TcpStream, requests: &mpsc::UnboundedSender<Request>, reply: Reply) {
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 4096];
    let request = loop {
        let Ok(count @ 1..) = socket.read(&mut chunk).await else { return };
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let request = Request { head: head.to_owned(), body: body.to_owned() };
        if request.header("content-length").parse::<usize>().unwrap() == body.len() {
            break request;
        }
    };
    // Nobody listens where a test counts nothing.
    let _ = requests.send(request);
    match reply {
        Reply::Text(text) => drop(socket.write_all(text.as_bytes()).await),
        Reply::Hangs => drop(socket.read(&mut chunk).await),
        Reply::Closes => {}
    }
}

/// Takes one request and answers it, for a test that holds the listener itself.
pub(crate) async fn receive(listener: &TcpListener, line: &str) -> Request {
    let (socket, _) = listener.accept().await.unwrap();
    let (sender, mut requests) = mpsc::unbounded_channel();
    serve(socket, &sender, status(line)).await;
    requests.try_recv().unwrap()
}

/// The webhook that leads to such a listener.
pub(crate) fn hook(address: SocketAddr) -> WebhookSpec {
    WebhookSpec { allow_private: vec![address.to_string()], ..WebhookSpec::to(format!("http://{address}/hook")) }
}
