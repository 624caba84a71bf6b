//! Accepting events: check, find the tenant, match, dispatch, write; durable before the answer.

use sublet_model::{Error, EventId, EventInput};
use sublet_store::EventStatus;

use crate::core::Core;

/// The answer to one published event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    pub id: EventId,
    pub status: EventStatus,
    /// The same event was published before, within the window; `id` and `status` are the first one's.
    pub repeated: bool,
}

impl Core {
    pub(crate) async fn publish(&self, _inputs: Vec<EventInput>) -> Result<Vec<Result<Receipt, Error>>, Error> {
        Err(Error::unavailable("not yet"))
    }
}
