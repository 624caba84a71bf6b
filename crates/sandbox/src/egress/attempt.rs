//! One attempt's way out: its lists, its secrets, its quotas, and the record of what it asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use sublet_model::{EgressPolicy, Size, TenantId, limit};
use tokio::sync::{Semaphore, mpsc};

use super::call::{self, Stop};
use super::gateway::Shared;
use super::meter::Ending;
use super::placeholder::Placeholder;
use super::record::{EgressUsage, FetchRecord, Ledger, Pen};
use super::{Egress, FetchPart, FetchRequest};

/// Whose requests they are, and what they may do.
#[derive(Debug, Clone)]
pub struct Admission {
    pub tenant: TenantId,
    pub policy: EgressPolicy,
    pub placeholders: Arc<[Placeholder]>,
}

#[derive(Debug)]
pub(super) struct Door {
    pub(super) gateway: Arc<Shared>,
    pub(super) admission: Admission,
    pub(super) at_once: Semaphore,
    ledger: Ledger,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
}

impl Door {
    pub(super) fn new(gateway: Arc<Shared>, admission: Admission) -> Door {
        Door {
            gateway,
            admission,
            at_once: Semaphore::new(limit::FETCHES_AT_ONCE_MAX),
            ledger: Ledger::default(),
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
        }
    }

    /// Counts what is about to be sent.
    pub(super) fn send(&self, bytes: u64, pen: &Pen) -> Result<(), Stop> {
        let most = self.gateway.settings.request_bytes;
        let before = self.request_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > most {
            let most = Size(most);
            return Err(Stop::Refused(format!(
                "fetch refused: this attempt's requests would come to more than {most}"
            )));
        }
        pen.sent(bytes);
        self.gateway.meters.bytes_out.increment(bytes);
        Ok(())
    }

    /// Counts what came.
    pub(super) fn receive(&self, bytes: u64, pen: &Pen) -> Result<(), Stop> {
        pen.received(bytes);
        self.gateway.meters.bytes_in.increment(bytes);
        let before = self.response_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.check_room(before, bytes)
    }

    /// An answer that says in advance how long it is need not be read to be refused.
    pub(super) fn expect(&self, bytes: u64) -> Result<(), Stop> {
        self.check_room(self.response_bytes.load(Ordering::Relaxed), bytes)
    }

    fn check_room(&self, before: u64, bytes: u64) -> Result<(), Stop> {
        let most = self.gateway.settings.response_bytes;
        if before.saturating_add(bytes) > most {
            let most = Size(most);
            return Err(Stop::Failed(format!("fetch failed: the answers to this attempt come to more than {most}")));
        }
        Ok(())
    }

    async fn run(&self, request: FetchRequest, parts: &mpsc::Sender<FetchPart>, pen: &Pen) -> Result<(), Stop> {
        let most = self.gateway.settings.fetches;
        if self.ledger.count() > u64::from(most) {
            return Err(Stop::Refused(format!("fetch refused: this attempt has used up its {most} requests")));
        }
        call::run(self, request, parts, pen).await
    }
}

/// Counts a request as under way, and as given up unless it ends before.
struct UnderWay<'a> {
    door: &'a Door,
    begun: Instant,
    ending: Ending,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let meters = &self.door.gateway.meters;
        meters.in_flight.decrement(1.0);
        meters.ended(self.ending, self.begun.elapsed());
    }
}

#[async_trait]
impl Egress for Door {
    async fn fetch(&self, request: FetchRequest, parts: mpsc::Sender<FetchPart>) {
        let pen = self.ledger.begin(&request.method, &request.url);
        self.gateway.meters.in_flight.increment(1.0);
        let mut under_way = UnderWay { door: self, begun: Instant::now(), ending: Ending::GivenUp };
        let ended = tokio::select! {
            ended = self.run(request, &parts, &pen) => ended,
            () = parts.closed() => Err(Stop::Unheard),
        };
        let last = match ended {
            Ok(()) => {
                under_way.ending = Ending::Answered;
                pen.done();
                FetchPart::End
            }
            Err(Stop::Refused(why)) => {
                under_way.ending = Ending::Refused;
                pen.failed(&why, true);
                FetchPart::Failed(why)
            }
            Err(Stop::Failed(why)) => {
                under_way.ending = Ending::Failed;
                pen.failed(&why, false);
                FetchPart::Failed(why)
            }
            Err(Stop::Unheard) => return,
        };
        // Whoever asked may be gone by now.
        let _ = parts.send(last).await;
    }

    fn records(&self) -> Vec<FetchRecord> {
        self.ledger.records()
    }

    fn used(&self) -> EgressUsage {
        self.ledger.used()
    }
}
