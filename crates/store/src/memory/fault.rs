//! Faults that a simulation puts into the store: a write that is refused, and a write that is done and whose answer is
//! lost. What a disk or a network does to a caller, without either.

use std::fmt;

/// The verbs that write; those of the registry are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Register,
    Publish,
    Acquire,
    Claim,
    Begin,
    Extend,
    Settle,
    Finish,
    Rescue,
    Redrive,
    Cancel,
    SettleDelivery,
    Audit,
    Receive,
    Ack,
    ExtendMessages,
    Release,
    BuryMessages,
    RedriveMessages,
    ReplayDelivery,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Verb::Register => "register",
            Verb::Publish => "publish",
            Verb::Acquire => "acquire",
            Verb::Claim => "claim",
            Verb::Begin => "begin",
            Verb::Extend => "extend",
            Verb::Settle => "settle",
            Verb::Finish => "finish",
            Verb::Rescue => "rescue",
            Verb::Redrive => "redrive",
            Verb::Cancel => "cancel",
            Verb::SettleDelivery => "settle_delivery",
            Verb::Audit => "audit",
            Verb::Receive => "receive",
            Verb::Ack => "ack",
            Verb::ExtendMessages => "extend_messages",
            Verb::Release => "release",
            Verb::BuryMessages => "bury_messages",
            Verb::RedriveMessages => "redrive_messages",
            Verb::ReplayDelivery => "replay_delivery",
        };
        f.write_str(name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// `Unavailable`; nothing changed.
    BeforeCommit,
    /// Changed; the answer is `Internal` (a verb that fails by itself answers as it would).
    AfterCommit,
    /// Changed; the answer never comes. The caller waits until it is dropped, as in a process that is about to die.
    NeverAnswered,
}

/// Decides for each write in turn. Called outside the store's lock; keep it deterministic (a seed, a script).
pub trait Faults: Send + Sync + 'static {
    fn decide(&self, verb: Verb) -> Fault;
}

/// Every write succeeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn decide(&self, _verb: Verb) -> Fault {
        Fault::None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sublet_model::{ErrorKind, Timestamp};

    use super::*;
    use crate::{MemoryStore, Queue, Registry, TenantSpec};

    struct Always(Fault);

    impl Faults for Always {
        fn decide(&self, _verb: Verb) -> Fault {
            self.0
        }
    }

    fn spec() -> TenantSpec {
        TenantSpec::default()
    }

    #[tokio::test]
    async fn a_refused_write_changed_nothing_and_a_lost_answer_changed_all() {
        let name = "acme".parse().unwrap();
        for (fault, kind, there) in
            [(Fault::BeforeCommit, ErrorKind::Unavailable, false), (Fault::AfterCommit, ErrorKind::Internal, true)]
        {
            let store = MemoryStore::with_faults(Arc::new(Always(fault)));
            let answer = store.put_tenant(&name, spec(), Timestamp::from_millis(1)).await;
            assert_eq!(answer.unwrap_err().kind, kind);
            assert_eq!(store.tenant(&name).await.unwrap().is_some(), there);
            assert_eq!(store.revision(), u64::from(there));
        }
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_belongs_to_a_write_that_was_made() {
        let store = MemoryStore::with_faults(Arc::new(Always(Fault::NeverAnswered)));
        let name = "acme".parse().unwrap();
        let (mut call, mut claim) = (store.put_tenant(&name, spec(), Timestamp::from_millis(1)), store.claim(vec![]));
        assert!(futures::poll!(&mut call).is_pending());
        drop(call);
        assert!(store.tenant(&name).await.unwrap().is_some());
        assert!(claim.try_recv().is_err_and(|e| e == tokio::sync::oneshot::error::TryRecvError::Empty));
    }
}
