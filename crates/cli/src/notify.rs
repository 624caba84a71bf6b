//! Tells the service manager that started this process how far it is, as systemd's `sd_notify(3)` describes: one
//! datagram to the socket that `NOTIFY_SOCKET` names. Without one, nothing happens.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Requests are answered from now on.
pub(crate) const READY: &str = "READY=1";
/// The process is about to end by itself.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// A manager that does not listen is no reason to fail: it will say that it waited in vain.
pub(crate) fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&socket, state) {
        tracing::warn!("cannot tell the service manager {state}: {error}");
    }
}

fn send(socket: &OsString, state: &str) -> std::io::Result<()> {
    let address = match socket.as_bytes().split_first() {
        // An abstract name, which has no path.
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_gets_the_state_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("@sublet-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        let cases = [
            (path.clone().into_os_string(), UnixDatagram::bind(&path).unwrap()),
            (name.into(), UnixDatagram::bind_addr(&abstract_address).unwrap()),
        ];
        for (socket, manager) in cases {
            send(&socket, READY).unwrap();
            let mut told = [0; 64];
            let length = manager.recv(&mut told).unwrap();
            assert_eq!(&told[..length], READY.as_bytes());
        }
    }
}
