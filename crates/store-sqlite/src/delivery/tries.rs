//! The column `tries`: what was tried, and what is counted beside it, as JSON.
//!
//! One that was only ever tried in its first round is the plain list of its tries; so is what an earlier program wrote.

use serde::{Deserialize, Serialize};
use sublet_store::DeliveryAttempt;

use crate::fail::Outcome;

#[derive(Debug, Default)]
pub(super) struct Tries {
    pub(super) list: Vec<DeliveryAttempt>,
    pub(super) replays: u32,
    /// Tries since it was accepted or last replayed.
    pub(super) round: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Column {
    Plain(Vec<DeliveryAttempt>),
    Counted { replays: u32, round: u32, tries: Vec<DeliveryAttempt> },
}

impl Tries {
    pub(super) fn read(text: &str) -> Outcome<Tries> {
        Ok(match serde_json::from_str(text)? {
            Column::Plain(list) => {
                let round = u32::try_from(list.len()).unwrap_or(u32::MAX);
                Tries { list, replays: 0, round }
            }
            Column::Counted { replays, round, tries } => Tries { list: tries, replays, round },
        })
    }

    pub(super) fn write(self) -> Outcome<String> {
        let is_plain = self.replays == 0 && usize::try_from(self.round) == Ok(self.list.len());
        let Tries { list, replays, round } = self;
        let column = if is_plain { Column::Plain(list) } else { Column::Counted { replays, round, tries: list } };
        Ok(serde_json::to_string(&column)?)
    }
}
