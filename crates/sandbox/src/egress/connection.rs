//! One connection to one checked address.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::counted::{Count, Counted, Intake};
use super::header::{ANSWER_BYTES_MAX, ANSWER_FIELDS_MAX};
use super::meter::Meters;

/// Ends when it is dropped, whatever is under way on it. Nothing moves on it but while one of its calls is awaited: a task of
/// its own would cost each request several changes between the two.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    count: Arc<Count>,
}

/// What reads and writes; over when it is `None`.
struct Driver(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Driver {
    /// One step. Its errors come out at the request that was under way.
    fn step(&mut self, cx: &mut Context<'_>) {
        if self.0.as_mut().is_some_and(|driver| driver.as_mut().poll(cx).is_ready()) {
            self.0 = None;
        }
    }

    /// Reads and writes until `goal` is reached, which is when the connection has come so far.
    async fn until<T>(&mut self, goal: impl Future<Output = T>) -> T {
        let mut goal = pin!(goal);
        poll_fn(|cx| {
            self.step(cx);
            if let Poll::Ready(reached) = goal.as_mut().poll(cx) {
                return Poll::Ready(reached);
            }
            // What was read already may have waited for somebody to ask for it.
            self.step(cx);
            goal.as_mut().poll(cx)
        })
        .await
    }
}

/// Why nothing was answered.
pub(super) struct Unanswered {
    pub(super) error: hyper::Error,
    /// Nothing of the request went out.
    pub(super) is_unsent: bool,
}

impl Connection {
    /// Connects to exactly this address. `tls`: the configuration, and the name that the certificate must be of.
    pub(super) async fn open(
        address: SocketAddr,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        meters: &Meters,
    ) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        match tls {
            Some((config, name)) => {
                let sealed = TlsConnector::from(config).connect(name, stream).await?;
                Connection::over(sealed, meters).await
            }
            None => Connection::over(stream, meters).await,
        }
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        meters: &Meters,
    ) -> std::io::Result<Connection> {
        let count = Arc::new(Count::default());
        let stream = Counted {
            stream,
            count: Arc::clone(&count),
            bytes_in: meters.bytes_in.clone(),
            bytes_out: meters.bytes_out.clone(),
        };
        let mut builder = Builder::new();
        builder.max_buf_size(ANSWER_BYTES_MAX).max_headers(ANSWER_FIELDS_MAX);
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        let driver = Driver(Some(Box::pin(async move {
            let _ = driver.await;
        })));
        Ok(Connection { sender, driver, count })
    }

    /// Whether another request can be sent. Looks what has come meanwhile, which may be its end.
    pub(super) fn is_usable(&mut self) -> bool {
        self.driver.step(&mut Context::from_waker(Waker::noop()));
        self.sender.is_ready() && !self.sender.is_closed()
    }

    /// Waits until the last answer is wholly behind it. `false`: it is of no more use.
    pub(super) async fn settles(&mut self) -> bool {
        self.driver.until(self.sender.ready()).await.is_ok()
    }

    /// `intake`: what the answer counts among.
    pub(super) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        intake: &Arc<Intake>,
    ) -> Result<Response<Incoming>, Unanswered> {
        self.count.begin(intake);
        let asked = self.driver.until(self.sender.try_send_request(request)).await;
        asked.map_err(|mut failed| {
            let is_unsent = failed.take_message().is_some();
            Unanswered { error: failed.into_error(), is_unsent }
        })
    }

    /// The next piece of the body of an answer that comes on it; `None` behind the last.
    pub(super) async fn next(&mut self, body: &mut Incoming) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        self.driver.until(body.frame()).await
    }

    /// Bytes that came since the request, with all that the library read past.
    pub(super) fn came(&self) -> u64 {
        self.count.came()
    }

    /// It broke off because more came than may.
    pub(super) fn is_over(&self) -> bool {
        self.count.is_over()
    }

    /// It is kept for another request, which may be another attempt's.
    pub(super) fn rest(&self) {
        self.count.rest();
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("is_ended", &self.driver.0.is_none()).finish()
    }
}
