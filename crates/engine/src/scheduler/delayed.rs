//! What waits for its due time, in one heap for all tenants: the next one is found without looking at any tenant.

use sublet_model::Timestamp;
use sublet_store::Waiting;

/// A delayed invocation, ordered by due time alone; the number keeps equals in the order they came.
#[derive(Debug)]
pub(super) struct Delayed {
    pub(super) due: Timestamp,
    pub(super) number: u64,
    pub(super) waiting: Waiting,
}

impl PartialEq for Delayed {
    fn eq(&self, other: &Delayed) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl Eq for Delayed {}

impl PartialOrd for Delayed {
    fn partial_cmp(&self, other: &Delayed) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Delayed {
    fn cmp(&self, other: &Delayed) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}
