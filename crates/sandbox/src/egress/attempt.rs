//! One attempt's way out: its lists, its secrets, its quotas, and the record of what it asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use sublet_model::{EgressPolicy, Size, TenantId, limit};
use tokio::sync::{Semaphore, mpsc};

use super::call::{self, Stop};
use super::counted::Intake;
use super::gateway::Shared;
use super::meter::Ending;
use super::placeholder::{Placeholder, Tokens};
use super::record::{EgressUsage, FetchRecord, Ledger, Pen};
use super::room::{Room, SetAside};
use super::{Egress, FetchPart, FetchRequest};

/// Bytes that may come to an attempt beside the heads and bodies of its answers, and the part of those that comes on top:
/// for the framing of pieces, heads before the last, and what was read of answers that nobody wanted.
const FRAMING_BYTES: u64 = 128 * 1024;
const FRAMING_PART: u64 = 4;

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
    pub(super) tenant: TenantId,
    pub(super) policy: EgressPolicy,
    pub(super) tokens: Tokens,
    pub(super) at_once: Semaphore,
    /// What comes on its connections, as it comes.
    pub(super) intake: Arc<Intake>,
    ledger: Ledger,
    requests: Room,
    response_bytes: AtomicU64,
}

impl Door {
    pub(super) fn new(gateway: Arc<Shared>, admission: Admission) -> Door {
        let Admission { tenant, policy, placeholders } = admission;
        let (request_bytes, response_bytes) = (gateway.settings.request_bytes, gateway.settings.response_bytes);
        let may_come = response_bytes.saturating_add(response_bytes / FRAMING_PART).saturating_add(FRAMING_BYTES);
        Door {
            gateway,
            tenant,
            policy,
            tokens: Tokens::new(placeholders),
            at_once: Semaphore::new(limit::FETCHES_AT_ONCE_MAX),
            intake: Arc::new(Intake::new(may_come)),
            ledger: Ledger::default(),
            requests: Room::new(request_bytes),
            response_bytes: AtomicU64::new(0),
        }
    }

    /// For a body that waits for its turn.
    pub(super) fn set_aside(&self, bytes: u64) -> Result<SetAside<'_>, Stop> {
        self.requests.set_aside(bytes).ok_or_else(|| self.no_room())
    }

    /// Counts what is about to be sent.
    pub(super) fn send(&self, bytes: u64, aside: &mut SetAside<'_>, pen: &Pen) -> Result<(), Stop> {
        if !aside.spend(bytes) {
            return Err(self.no_room());
        }
        pen.sent(bytes);
        Ok(())
    }

    fn no_room(&self) -> Stop {
        let most = Size(self.gateway.settings.request_bytes);
        Stop::Refused(format!("fetch refused: this attempt's requests would come to more than {most}"))
    }

    /// Counts what came.
    pub(super) fn receive(&self, bytes: u64, pen: &Pen) -> Result<(), Stop> {
        pen.received(bytes);
        let before = self.response_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.check_room(before, bytes)
    }

    /// An answer that says in advance how long it is need not be read to be refused.
    pub(super) fn expect(&self, bytes: u64) -> Result<(), Stop> {
        self.check_room(self.response_bytes.load(Ordering::Relaxed), bytes)
    }

    fn check_room(&self, before: u64, bytes: u64) -> Result<(), Stop> {
        if before.saturating_add(bytes) > self.gateway.settings.response_bytes {
            return Err(self.too_much());
        }
        Ok(())
    }

    pub(super) fn too_much(&self) -> Stop {
        let most = Size(self.gateway.settings.response_bytes);
        Stop::Failed(format!("fetch failed: the answers to this attempt come to more than {most}"))
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
