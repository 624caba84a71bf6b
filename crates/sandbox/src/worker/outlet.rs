//! What goes out: messages gathered and sent together, because a write each costs the server more than the attempt.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::net::SendFlags;

use crate::wire::{FromWorker, send};

/// Messages that leave with one write.
const GATHERED_MAX: usize = 8;

pub(super) struct Outlet<'a> {
    socket: BorrowedFd<'a>,
    bytes: Vec<u8>,
    gathered: usize,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(socket: BorrowedFd<'a>) -> Outlet<'a> {
        Outlet { socket, bytes: Vec::new(), gathered: 0 }
    }

    /// Sends at once when enough have gathered; says nothing of whether it did.
    pub(super) fn push(&mut self, message: &FromWorker) -> io::Result<()> {
        message.encode(&mut self.bytes);
        self.gathered += 1;
        if self.gathered >= GATHERED_MAX { self.flush() } else { Ok(()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Blocks until the server has taken everything: it reads without regard to what it has to write.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.bytes.len() {
            match send(self.socket, &self.bytes[sent..], SendFlags::empty()) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.gathered = 0;
        Ok(())
    }
}
