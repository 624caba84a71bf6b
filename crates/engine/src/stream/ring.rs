//! A bounded window of what passed, each item under a number that grows by one.

use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Ring<T> {
    items: VecDeque<(Arc<T>, usize)>,
    bytes: usize,
    /// The number of the first item that is still held, counted from 1.
    first: u64,
    items_max: usize,
    bytes_max: usize,
}

impl<T> Ring<T> {
    pub(super) fn new(items_max: usize, bytes_max: usize) -> Ring<T> {
        Ring { items: VecDeque::new(), bytes: 0, first: 1, items_max, bytes_max }
    }

    pub(super) fn push(&mut self, item: T, bytes: usize) {
        self.bytes += bytes;
        self.items.push_back((Arc::new(item), bytes));
        while self.items.len() > self.items_max || self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.items.pop_front() else { break };
            self.bytes -= oldest;
            self.first += 1;
        }
    }

    /// Something passed that is not here: whoever comes back from before it has a gap.
    pub(super) fn skip(&mut self) {
        self.first = self.end() + 1;
        self.items.clear();
        self.bytes = 0;
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next item will have.
    pub(super) fn end(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    pub(super) fn newest(&self) -> Option<&Arc<T>> {
        self.items.back().map(|(item, _)| item)
    }

    /// The number of the first item that `fits`.
    pub(super) fn number_of(&self, fits: impl Fn(&T) -> bool) -> Option<u64> {
        let position = self.items.iter().position(|(item, _)| fits(item))?;
        Some(self.first + position as u64)
    }

    /// Items from a number on, each with its own.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u64, &Arc<T>)> {
        let start = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let first = self.first;
        self.items.iter().enumerate().skip(start).map(move |(at, (item, _))| (first + at as u64, item))
    }
}
