//! The order of one named queue: who goes out next, whose lease is over, who was received too often. Pure; the shell is
//! in `mod.rs`.
//!
//! It holds what the store says waits or is in flight, some hundred bytes a message and never bodies. A row that is
//! behind the store does no harm: the store refuses what does not fit, and the row is read anew.

use std::collections::{BTreeMap, BTreeSet};

use sublet_model::{MessageId, MessageLease, Timestamp};
use sublet_store::PendingMessage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Due at its due time.
    Ready,
    /// In flight until its due time.
    Leased,
    /// Being handed out.
    Taken,
    /// Received as often as may be: to be buried.
    Spent,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    due: Timestamp,
    receives: u32,
    tries: u32,
    place: Place,
}

#[derive(Debug, Default)]
pub(crate) struct Line {
    /// In the order they were put.
    rows: BTreeMap<MessageId, Row>,
    ready: BTreeSet<(Timestamp, MessageId)>,
    leased: BTreeSet<(Timestamp, MessageId)>,
    spent: BTreeSet<MessageId>,
}

impl Line {
    /// What the store says. One that says less than is known by now came late.
    pub(crate) fn arrive(&mut self, message: &PendingMessage, receives_max: u32) {
        if let Some(row) = self.rows.get(&message.id)
            && (row.receives > message.receives || row.place == Place::Taken)
        {
            return;
        }
        self.set(message, receives_max);
    }

    /// The same, read on purpose: whatever was known.
    pub(crate) fn set(&mut self, message: &PendingMessage, receives_max: u32) {
        self.remove(message.id);
        let place = match message.is_leased {
            true => Place::Leased,
            false if message.tries >= receives_max => Place::Spent,
            false => Place::Ready,
        };
        let row = Row { due: message.due, receives: message.receives, tries: message.tries, place };
        self.insert(message.id, row);
    }

    fn insert(&mut self, id: MessageId, row: Row) {
        match row.place {
            Place::Ready => drop(self.ready.insert((row.due, id))),
            Place::Leased => drop(self.leased.insert((row.due, id))),
            Place::Spent => drop(self.spent.insert(id)),
            Place::Taken => {}
        }
        self.rows.insert(id, row);
    }

    /// It ended, or is not here any more.
    pub(crate) fn remove(&mut self, id: MessageId) {
        let Some(row) = self.rows.remove(&id) else { return };
        match row.place {
            Place::Ready => drop(self.ready.remove(&(row.due, id))),
            Place::Leased => drop(self.leased.remove(&(row.due, id))),
            Place::Spent => drop(self.spent.remove(&id)),
            Place::Taken => {}
        }
    }

    fn change(&mut self, id: MessageId, change: impl FnOnce(&mut Row)) {
        let Some(mut row) = self.rows.get(&id).copied() else { return };
        self.remove(id);
        change(&mut row);
        self.insert(id, row);
    }

    /// Leases that are over by now.
    fn advance(&mut self, now: Timestamp, receives_max: u32) {
        while let Some((due, id)) = self.leased.first().copied().filter(|(due, _)| *due <= now) {
            self.leased.remove(&(due, id));
            if let Some(row) = self.rows.get_mut(&id) {
                row.place = if row.tries >= receives_max { Place::Spent } else { Place::Ready };
                match row.place {
                    Place::Spent => drop(self.spent.insert(id)),
                    _ => drop(self.ready.insert((due, id))),
                }
            }
        }
    }

    /// The leases under which at most `max` messages go out now; each is then `received`, `set` or `remove`d.
    pub(crate) fn take(&mut self, now: Timestamp, max: usize, receives_max: u32) -> Vec<MessageLease> {
        self.advance(now, receives_max);
        let mut taken = Vec::new();
        while taken.len() < max
            && let Some((due, message)) = self.ready.first().copied().filter(|(due, _)| *due <= now)
        {
            self.ready.remove(&(due, message));
            let Some(row) = self.rows.get_mut(&message) else { continue };
            if row.tries >= receives_max {
                row.place = Place::Spent;
                self.spent.insert(message);
                continue;
            }
            row.place = Place::Taken;
            taken.push(MessageLease { message, receive: row.receives.saturating_add(1) });
        }
        taken
    }

    /// Nothing came of handing it out.
    pub(crate) fn give_back(&mut self, id: MessageId) {
        self.change(id, |row| row.place = Place::Ready);
    }

    pub(crate) fn received(&mut self, lease: MessageLease, until: Timestamp) {
        self.change(lease.message, |row| {
            *row = Row { due: until, receives: lease.receive, tries: row.tries + 1, place: Place::Leased };
        });
    }

    pub(crate) fn extended(&mut self, lease: MessageLease, until: Timestamp) {
        self.change(lease.message, |row| {
            if row.receives == lease.receive && row.place == Place::Leased {
                row.due = until;
            }
        });
    }

    /// When something may go out next, if nothing else happens.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let first = |set: &BTreeSet<(Timestamp, MessageId)>| set.first().map(|(due, _)| *due);
        match (first(&self.ready), first(&self.leased)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// What was received too often, at most `max`: to be buried.
    pub(crate) fn spent(&mut self, now: Timestamp, max: usize, receives_max: u32) -> Vec<MessageLease> {
        self.advance(now, receives_max);
        self.spent.iter().take(max).filter_map(|id| self.lease_of(*id)).collect()
    }

    /// What was put before `before` and is not in flight, at most `max`: to expire.
    pub(crate) fn older_than(&self, before: Timestamp, max: usize) -> Vec<MessageLease> {
        let old = self.rows.iter().take_while(|(id, _)| id.minted_at() < before);
        let still = old.filter(|(_, row)| matches!(row.place, Place::Ready | Place::Spent));
        still.take(max).map(|(id, row)| MessageLease { message: *id, receive: row.receives }).collect()
    }

    fn lease_of(&self, message: MessageId) -> Option<MessageLease> {
        self.rows.get(&message).map(|row| MessageLease { message, receive: row.receives })
    }

    /// Everything here: what waits and what is in flight.
    pub(crate) fn depth(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Waiting and in flight at `now`.
    pub(crate) fn counts(&mut self, now: Timestamp, receives_max: u32) -> (u64, u64) {
        self.advance(now, receives_max);
        let in_flight = self.leased.len() as u64;
        (self.depth() - in_flight, in_flight)
    }

    /// When the oldest was put.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.rows.first_key_value().map(|(id, _)| id.minted_at())
    }
}

#[cfg(test)]
mod tests {
    use sublet_model::{EventId, QueueId};

    use super::*;

    const MAX: u32 = 2;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn waiting(id: i64, due: i64) -> PendingMessage {
        PendingMessage {
            id: MessageId::from_raw(id),
            queue: QueueId::from_raw(1),
            event: EventId::from_raw(1),
            due: at(due),
            receives: 0,
            tries: 0,
            is_leased: false,
        }
    }

    fn taken(line: &mut Line, now: i64, max: usize) -> Vec<(i64, u32)> {
        line.take(at(now), max, MAX).into_iter().map(|lease| (lease.message.raw(), lease.receive)).collect()
    }

    fn lease(id: i64, receive: u32) -> MessageLease {
        MessageLease { message: MessageId::from_raw(id), receive }
    }

    #[test]
    fn what_is_due_goes_out_by_due_time_and_nothing_goes_out_twice() {
        let mut line = Line::default();
        for (id, due) in [(1, 30), (2, 10), (3, 20), (4, 99)] {
            line.arrive(&waiting(id, due), MAX);
        }
        assert_eq!(taken(&mut line, 50, 2), [(2, 1), (3, 1)]);
        assert_eq!(taken(&mut line, 50, 9), [(1, 1)]);
        assert_eq!(taken(&mut line, 50, 9), []);
        assert_eq!(line.next_due(), Some(at(99)));
        assert_eq!(line.depth(), 4);
    }

    #[test]
    fn a_lease_that_is_over_lets_it_out_again_until_it_is_spent() {
        let mut line = Line::default();
        line.arrive(&waiting(1, 0), MAX);
        for receive in 1..=MAX {
            let now = i64::from(receive) * 100;
            assert_eq!(taken(&mut line, now, 9), [(1, receive)]);
            line.received(lease(1, receive), at(now + 50));
            assert_eq!(line.counts(at(now + 49), MAX), (0, 1));
            line.extended(lease(1, receive + 7), at(now + 5_000));
            line.extended(lease(1, receive), at(now + 60));
            assert_eq!(taken(&mut line, now + 59, 9), []);
        }
        assert_eq!(line.spent(at(259), 9, MAX), []);
        assert_eq!(taken(&mut line, 300, 9), []);
        assert_eq!(line.spent(at(300), 9, MAX), [lease(1, 2)]);
        line.remove(MessageId::from_raw(1));
        assert_eq!((line.depth(), line.spent(at(300), 9, MAX).len()), (0, 0));
    }

    #[test]
    fn an_arrival_that_comes_late_says_nothing_new() {
        let mut line = Line::default();
        line.arrive(&waiting(1, 0), MAX);
        assert_eq!(taken(&mut line, 1, 9), [(1, 1)]);
        line.arrive(&waiting(1, 0), MAX);
        assert_eq!(taken(&mut line, 1, 9), [], "it is being handed out");
        line.received(lease(1, 1), at(100));
        line.arrive(&waiting(1, 0), MAX);
        assert_eq!(taken(&mut line, 1, 9), [], "it is in flight");
        line.arrive(&PendingMessage { receives: 1, tries: 1, ..waiting(1, 5) }, MAX);
        assert_eq!(taken(&mut line, 6, 9), [(1, 2)], "it was given back");
    }

    #[test]
    fn what_was_released_after_its_last_receive_is_spent_and_what_is_old_expires() {
        let mut line = Line::default();
        line.arrive(&PendingMessage { receives: 2, tries: 2, ..waiting(1, 0) }, MAX);
        assert_eq!(taken(&mut line, 1, 9), []);
        assert_eq!(line.spent(at(1), 9, MAX), [lease(1, 2)]);
        line.arrive(&waiting(2, 0), MAX);
        line.arrive(&PendingMessage { receives: 1, tries: 1, is_leased: true, ..waiting(3, 100) }, MAX);
        let after = MessageId::from_raw(1).minted_at();
        assert_eq!(line.older_than(after, 9), []);
        let later = at(after.millis() + 1);
        assert_eq!(line.older_than(later, 9), [lease(1, 2), lease(2, 0)], "not what is in flight");
        assert_eq!(line.oldest(), Some(after));
    }
}
