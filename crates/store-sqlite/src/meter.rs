//! The writer's histograms, in docs/metrics.md: what a commit takes, and how much it carries.

use std::time::Duration;

use metrics::{Histogram, histogram};

pub(crate) struct Meters {
    commit_seconds: Histogram,
    batch_commands: Histogram,
    ledger_flush_seconds: Histogram,
    pub(crate) checkpoint_seconds: Histogram,
}

impl Meters {
    pub(crate) fn new() -> Meters {
        Meters {
            commit_seconds: histogram!("sublet_store_commit_seconds"),
            batch_commands: histogram!("sublet_store_batch_commands"),
            ledger_flush_seconds: histogram!("sublet_ledger_flush_seconds"),
            checkpoint_seconds: histogram!("sublet_store_checkpoint_seconds"),
        }
    }

    /// One transaction, from its begin to the end of its commit.
    pub(crate) fn committed(&self, commands: usize, is_ledger_flushed: bool, took: Duration) {
        if commands > 0 {
            self.commit_seconds.record(took.as_secs_f64());
            self.batch_commands.record(commands as f64);
        }
        if is_ledger_flushed {
            self.ledger_flush_seconds.record(took.as_secs_f64());
        }
    }
}
