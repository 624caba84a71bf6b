//! Bytes and descriptors over a Unix stream socket. Always `recvmsg`: a plain read would lose descriptors.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use super::codec::WireError;
use super::frame::FrameBuffer;

/// Bytes of one read from a socket.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;
/// Descriptors that may wait for their frames.
const FILES_WAITING_MAX: usize = 64;

/// The server's end: bytes only; a descriptor that a worker sends is dropped by the kernel. Returns how many bytes came:
/// 0 when the worker is gone.
pub(crate) fn receive(socket: impl AsFd, chunk: &mut [u8]) -> io::Result<usize> {
    let mut none = RecvAncillaryBuffer::default();
    let got = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(chunk)], &mut none, RecvFlags::DONTWAIT)?;
    Ok(got.bytes)
}

/// Sends what the socket takes. A peer that is gone is an error, not a signal.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], flags: SendFlags) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, flags | SendFlags::NOSIGNAL)?)
}

/// Sends what the socket takes of `bytes`, with `file` riding on the first of them.
pub(crate) fn send_with_file(
    socket: impl AsFd,
    bytes: &[u8],
    file: BorrowedFd<'_>,
    flags: SendFlags,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [file];
    if !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags | SendFlags::NOSIGNAL)?)
}

/// The worker's end of what comes in: frames, and the descriptors that ride with them.
pub(crate) struct Inlet {
    frames: FrameBuffer,
    files: VecDeque<OwnedFd>,
    chunk: Box<[u8]>,
}

/// What one look at the socket brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    Bytes,
    Nothing,
    /// The server closed its end or died.
    End,
}

impl Inlet {
    pub(crate) fn new() -> Inlet {
        Inlet { frames: FrameBuffer::default(), files: VecDeque::new(), chunk: vec![0; CHUNK_BYTES].into_boxed_slice() }
    }

    /// One `recvmsg`; with `wait`, blocks until something comes or a signal does.
    pub(crate) fn fill(&mut self, socket: impl AsFd, wait: bool) -> io::Result<Arrival> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | if wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
        let got = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut self.chunk)], &mut control, flags);
        let length = match got {
            Ok(got) => got.bytes,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(Arrival::Nothing),
            Err(error) => return Err(error.into()),
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                self.files.extend(files);
            }
        }
        if self.files.len() > FILES_WAITING_MAX {
            return Err(io::Error::other("more files than messages"));
        }
        if length == 0 {
            return Ok(Arrival::End);
        }
        self.frames.push(&self.chunk[..length]);
        Ok(Arrival::Bytes)
    }

    pub(crate) fn next_frame(&mut self, most: usize) -> Result<Option<bytes::Bytes>, WireError> {
        self.frames.next(most)
    }

    /// The descriptor of the message just taken: they come in the order of their messages.
    pub(crate) fn take_file(&mut self) -> Result<OwnedFd, WireError> {
        self.files.pop_front().ok_or(WireError::Files)
    }
}
