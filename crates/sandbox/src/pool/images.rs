//! Functions' images as sealed memory files, kept for those that run most recently. A worker maps such a file, so that
//! all of them share its pages.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory_file;
use crate::Code;

/// Images kept at once, and their bytes.
const IMAGES_MAX: usize = 512;
const IMAGES_BYTES_MAX: usize = 256 << 20;

/// One image; its number is what workers know it by, and never used for another.
#[derive(Debug)]
pub(super) struct SealedImage {
    pub(super) number: u64,
    pub(super) file: Arc<OwnedFd>,
}

#[derive(Default)]
pub(super) struct Images {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<Arc<str>, Entry>,
    bytes: usize,
    clock: u64,
    last_number: u64,
}

struct Entry {
    image: Arc<SealedImage>,
    bytes: usize,
    last_used: u64,
}

impl Images {
    /// Makes the file on first use, some 0.1 ms for a usual image.
    pub(super) fn get(&self, code: &Code) -> io::Result<Arc<SealedImage>> {
        if let Some(image) = self.lock().find(&code.key) {
            return Ok(image);
        }
        // Outside the lock. Of two that make the same one, the second is dropped.
        let file = Arc::new(memory_file::sealed("sublet-image", &code.image.bytes)?);
        let mut kept = self.lock();
        if let Some(image) = kept.find(&code.key) {
            return Ok(image);
        }
        Ok(kept.insert(Arc::clone(&code.key), file, code.image.bytes.len()))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn find(&mut self, key: &str) -> Option<Arc<SealedImage>> {
        self.clock += 1;
        let entry = self.by_key.get_mut(key)?;
        entry.last_used = self.clock;
        Some(Arc::clone(&entry.image))
    }

    fn insert(&mut self, key: Arc<str>, file: Arc<OwnedFd>, bytes: usize) -> Arc<SealedImage> {
        while self.by_key.len() >= IMAGES_MAX || (self.bytes + bytes > IMAGES_BYTES_MAX && !self.by_key.is_empty()) {
            // A look at 512 entries, once per image that is not there yet.
            let oldest = self.by_key.iter().min_by_key(|(_, entry)| entry.last_used).map(|(key, _)| Arc::clone(key));
            let Some(entry) = oldest.and_then(|key| self.by_key.remove(&key)) else { break };
            self.bytes -= entry.bytes;
        }
        self.clock += 1;
        self.last_number += 1;
        let image = Arc::new(SealedImage { number: self.last_number, file });
        let entry = Entry { image: Arc::clone(&image), bytes, last_used: self.clock };
        self.bytes += bytes;
        self.by_key.insert(key, entry);
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Image;
    use bytes::Bytes;

    fn code(key: usize) -> Code {
        Code { key: key.to_string().into(), image: Image { bytes: Bytes::from_static(b"image") } }
    }

    #[test]
    fn an_image_keeps_its_number_while_it_is_kept_and_the_least_used_leaves_first() {
        let images = Images::default();
        let first = images.get(&code(0)).unwrap().number;
        let second = images.get(&code(1)).unwrap().number;
        for key in 2..=IMAGES_MAX {
            assert_eq!(images.get(&code(0)).unwrap().number, first);
            images.get(&code(key)).unwrap();
        }
        assert_eq!(images.lock().by_key.len(), IMAGES_MAX);
        assert_eq!(images.get(&code(0)).unwrap().number, first);
        assert_ne!(images.get(&code(1)).unwrap().number, second, "it was the least used");
    }
}
