//! What comes and goes on a connection, counted byte for byte beneath the HTTP library: it reads past heads before the
//! last (`103 Early Hints`) and past the framing of pieces without a word, and without an end.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use metrics::Counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What has come to one attempt on all its connections, of what may.
#[derive(Debug)]
pub(super) struct Intake {
    bytes: AtomicU64,
    bytes_max: u64,
}

impl Intake {
    pub(super) fn new(bytes_max: u64) -> Intake {
        Intake { bytes: AtomicU64::new(0), bytes_max }
    }

    /// Whether it may still be so many.
    fn takes(&self, bytes: u64) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.bytes_max
    }
}

/// The count of one connection.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Since its last request.
    came: AtomicU64,
    is_over: AtomicBool,
    /// Whose request that is.
    intake: Mutex<Option<Arc<Intake>>>,
}

impl Count {
    /// What comes from here on is the answer to a request of this attempt's.
    pub(super) fn begin(&self, intake: &Arc<Intake>) {
        self.came.store(0, Ordering::Relaxed);
        *self.lock() = Some(Arc::clone(intake));
    }

    /// The connection is nobody's for a while.
    pub(super) fn rest(&self) {
        *self.lock() = None;
    }

    /// Bytes since the request began.
    pub(super) fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    /// It ended because more came than may.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn takes(&self, bytes: u64) -> bool {
        self.came.fetch_add(bytes, Ordering::Relaxed);
        let takes = self.lock().as_ref().is_none_or(|intake| intake.takes(bytes));
        if !takes {
            self.is_over.store(true, Ordering::Relaxed);
        }
        takes
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Intake>>> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that counts, and fails once more has come than may.
pub(super) struct Counted<S> {
    pub(super) stream: S,
    pub(super) count: Arc<Count>,
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
}

impl<S> Counted<S> {
    fn sent(&self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = polled {
            self.bytes_out.increment(*bytes as u64);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let came = (buffer.filled().len() - before) as u64;
        if came == 0 {
            return polled;
        }
        this.bytes_in.increment(came);
        if this.count.takes(came) { polled } else { Poll::Ready(Err(io::Error::other("more than may come"))) }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.sent(&polled);
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, pieces);
        this.sent(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
