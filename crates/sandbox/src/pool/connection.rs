//! One worker process with its socket, from the handshake on: frames in, frames out, nothing of what they mean.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::net::SendFlags;
use sublet_jail::{Layer, Need, Report, Status};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::process::{Process, Spawner};
use crate::wire::{
    CHUNK_BYTES, FROM_WORKER_BYTES_MAX, FrameBuffer, FromWorker, PROTOCOL, Role, ToWorker, WireError, receive, send,
    send_with_file,
};
use crate::worker::Orders;

/// From the start of the process to its `Ready`; 5 ms on an idle machine.
const READY_WITHIN: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("{0}")]
    Unfit(String),
    #[error("it broke the protocol: {0}")]
    Wire(#[from] WireError),
    #[error("it broke the protocol: {0}")]
    Unexpected(&'static str),
    #[error("it went past a limit: {0}")]
    Overstepped(&'static str),
    #[error("its socket failed: {0}")]
    Io(#[from] io::Error),
    #[error("it ended")]
    Ended,
    #[error("it was not ready within {} seconds", READY_WITHIN.as_secs())]
    Late,
}

pub(super) struct Connection {
    pub(super) process: Process,
    pub(super) socket: UnixStream,
    frames: FrameBuffer,
    chunk: Box<[u8]>,
    pub(super) layers: Report,
}

/// What a process is to run, as sealed memory files.
pub(super) struct Code {
    pub(super) engine: Arc<OwnedFd>,
    /// The memory that it starts from.
    pub(super) base: Arc<OwnedFd>,
}

/// Frames on their way out. A file rides on the first byte of its parcel.
#[derive(Default)]
pub(super) struct Outbox {
    parcels: VecDeque<Parcel>,
    /// Bytes of them that wait to be sent.
    bytes: usize,
}

#[derive(Default)]
struct Parcel {
    bytes: Vec<u8>,
    sent: usize,
    file: Option<Arc<OwnedFd>>,
}

impl Outbox {
    pub(super) fn push(&mut self, message: &ToWorker) {
        if self.parcels.is_empty() {
            self.parcels.push_back(Parcel::default());
        }
        if let Some(parcel) = self.parcels.back_mut() {
            let before = parcel.bytes.len();
            message.encode(&mut parcel.bytes);
            self.bytes += parcel.bytes.len() - before;
        }
    }

    pub(super) fn push_with_file(&mut self, message: &ToWorker, file: Arc<OwnedFd>) {
        let mut parcel = Parcel { file: Some(file), ..Parcel::default() };
        message.encode(&mut parcel.bytes);
        self.bytes += parcel.bytes.len();
        self.parcels.push_back(parcel);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Bytes that wait to be sent.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn append(&mut self, other: &mut Outbox) {
        self.parcels.append(&mut other.parcels);
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Sends until all is gone or the socket is full. Returns whether all is gone.
    fn send(&mut self, socket: &UnixStream) -> io::Result<bool> {
        while let Some(parcel) = self.parcels.front_mut() {
            let rest = &parcel.bytes[parcel.sent..];
            let sent = socket.try_io(Interest::WRITABLE, || match &parcel.file {
                Some(file) => send_with_file(socket.as_fd(), rest, file.as_fd(), SendFlags::DONTWAIT),
                None => send(socket.as_fd(), rest, SendFlags::DONTWAIT),
            });
            match sent {
                Ok(length) => {
                    parcel.file = None;
                    parcel.sent += length;
                    self.bytes -= length;
                    if parcel.sent == parcel.bytes.len() {
                        self.parcels.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Connection {
    /// Starts a process, hands it the engine and waits until it says that it is locked.
    pub(super) async fn open(
        spawner: &Spawner,
        orders: &Orders,
        role: Role,
        code: Code,
    ) -> Result<Connection, ConnectionError> {
        let text = serde_json::to_string(orders).map_err(io::Error::other)?;
        let (process, socket) = spawner.spawn(text).await?;
        let mut connection = Connection {
            process,
            socket: UnixStream::from_std(socket)?,
            frames: FrameBuffer::default(),
            chunk: vec![0; CHUNK_BYTES].into_boxed_slice(),
            layers: Report { layers: Vec::new() },
        };
        let mut outbox = Outbox::default();
        outbox.push_with_file(&ToWorker::Hello { protocol: PROTOCOL, role }, code.engine);
        outbox.push_with_file(&ToWorker::Base, code.base);
        let greeted = tokio::time::timeout(READY_WITHIN, connection.greet(&mut outbox)).await;
        connection.layers = greeted.map_err(|_| ConnectionError::Late)??;
        check_layers(&connection.layers, &orders.plan.leave_out)?;
        Ok(connection)
    }

    async fn greet(&mut self, outbox: &mut Outbox) -> Result<Report, ConnectionError> {
        // One that could not even begin says why before it has read anything; its word counts, not the broken pipe.
        let sent = self.send_all(outbox).await;
        match self.next(FROM_WORKER_BYTES_MAX).await {
            Ok(FromWorker::Ready { layers }) => {
                serde_json::from_slice(&layers).map_err(|_| ConnectionError::Unexpected("no report of layers"))
            }
            Ok(FromWorker::Unfit { reason }) => Err(ConnectionError::Unfit(reason)),
            Ok(_) => Err(ConnectionError::Unexpected("no greeting")),
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    }

    pub(super) async fn send_all(&mut self, outbox: &mut Outbox) -> Result<(), ConnectionError> {
        while !outbox.send(&self.socket)? {
            self.socket.writable().await?;
        }
        Ok(())
    }

    /// Sends what the socket takes now.
    pub(super) fn send_some(&mut self, outbox: &mut Outbox) -> Result<(), ConnectionError> {
        outbox.send(&self.socket)?;
        Ok(())
    }

    /// Waits for the next message.
    pub(super) async fn next(&mut self, most: usize) -> Result<FromWorker, ConnectionError> {
        loop {
            if let Some(message) = self.take(most)? {
                return Ok(message);
            }
            self.socket.readable().await?;
            self.fill()?;
        }
    }

    /// The next message that has come whole.
    pub(super) fn take(&mut self, most: usize) -> Result<Option<FromWorker>, ConnectionError> {
        let frame: Option<Bytes> = self.frames.next(most)?;
        Ok(frame.map(FromWorker::decode).transpose()?)
    }

    /// One read. Returns whether there may be more.
    pub(super) fn fill(&mut self) -> Result<bool, ConnectionError> {
        let socket = &self.socket;
        let chunk = &mut self.chunk;
        let mut got = None;
        let tried = socket.try_io(Interest::READABLE, || {
            let length = receive(socket.as_fd(), chunk)?;
            got = Some(length);
            // A stream that gave less than was asked for is empty. Saying so saves the read that would find it out.
            if 0 < length && length < CHUNK_BYTES { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match (got, tried) {
            (Some(0), _) => Err(ConnectionError::Ended),
            (Some(length), _) => {
                self.frames.push(&self.chunk[..length]);
                Ok(length == CHUNK_BYTES)
            }
            (None, Err(error)) => match error.kind() {
                io::ErrorKind::WouldBlock => Ok(false),
                io::ErrorKind::Interrupted => Ok(true),
                io::ErrorKind::ConnectionReset => Err(ConnectionError::Ended),
                _ => Err(error.into()),
            },
            (None, Ok(())) => Ok(false),
        }
    }
}

/// The worker checks itself; a second look costs nothing. Only what the operator left out may be absent.
fn check_layers(report: &Report, left_out: &[Layer]) -> Result<(), ConnectionError> {
    for layer in Layer::ALL {
        let is_needed = layer.need() == Need::Required && !left_out.contains(&layer);
        let is_there = report.of(layer).is_some_and(|line| line.status == Status::InForce);
        if is_needed && !is_there {
            return Err(ConnectionError::Unfit(format!("layer `{layer}` is missing from the worker's report")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_without_a_required_layer_is_refused_by_name() {
        let error = check_layers(&Report { layers: Vec::new() }, &[]).unwrap_err();
        assert_eq!(error.to_string(), "layer `death signal` is missing from the worker's report");
        assert!(check_layers(&Report { layers: Vec::new() }, &Layer::ALL).is_ok());
    }
}
