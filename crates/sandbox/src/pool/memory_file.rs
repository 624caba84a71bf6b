//! Memory files that a worker maps: filled once, then sealed, so that nobody (a worker with native code in it included)
//! can change what others run from.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags};

use crate::wire::filled_runs;

/// A file with these bytes, for ever. Pages of zeros are holes and take no memory.
pub(super) fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = create(name)?;
    file.set_len(u64::try_from(bytes.len()).map_err(io::Error::other)?)?;
    for (start, end) in filled_runs(bytes) {
        file.write_all_at(&bytes[start..end], u64::try_from(start).map_err(io::Error::other)?)?;
    }
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file.into())
}

/// A file of a fixed size to write into: a worker's standard error, which a hostile one may fill and no more.
pub(super) fn bounded(name: &str, length: u64) -> io::Result<File> {
    let file = create(name)?;
    file.set_len(length)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file)
}

fn create(name: &str) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag that says "never a program".
    let made = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create(name, flags),
        made => made,
    };
    Ok(File::from(made?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_holds_its_bytes_and_takes_no_others() {
        let mut bytes = vec![0; 3 * 4096 + 7];
        bytes[4096..4100].copy_from_slice(b"data");
        bytes[3 * 4096 + 6] = 1;
        let file = File::from(sealed("test", &bytes).unwrap());
        let mut back = vec![0; bytes.len()];
        file.read_exact_at(&mut back, 0).unwrap();
        assert_eq!(back, bytes);
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(1).is_err());
    }

    #[test]
    fn a_bounded_file_does_not_grow() {
        let file = bounded("test", 4096).unwrap();
        assert!(file.write_at(&[1; 4096], 0).is_ok());
        assert!(file.write_at(b"x", 4096).is_err());
    }
}
