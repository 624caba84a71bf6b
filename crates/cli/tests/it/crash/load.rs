//! Publishers that go on and on: each names its events itself, remembers what was acknowledged, and after a crash
//! publishes again what was not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sublet_testkit::Http;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::scene::{DEADLINE, event};

const PUBLISHERS_PER_TENANT: usize = 4;

/// An event that was acknowledged in the end.
#[derive(Debug, Clone)]
pub(super) struct PublishedEvent {
    pub(super) tenant: String,
    /// The publisher's own.
    pub(super) id: String,
    /// Sublet's.
    pub(super) event: String,
    pub(super) tries: u32,
    /// A try without an answer had been stored nevertheless.
    pub(super) repeated: bool,
}

pub(super) struct Load {
    /// Where the server is now.
    server: watch::Sender<Option<Http>>,
    acknowledged: watch::Sender<u64>,
    ends: Arc<AtomicBool>,
    publishers: Mutex<JoinSet<Result<Vec<PublishedEvent>>>>,
}

impl Load {
    pub(super) fn start(tenants: &[&str]) -> Load {
        let (server, acknowledged) = (watch::Sender::new(None), watch::Sender::new(0));
        let ends = Arc::new(AtomicBool::new(false));
        let mut publishers = JoinSet::new();
        for tenant in tenants {
            for number in 0..PUBLISHERS_PER_TENANT {
                publishers.spawn(
                    Publisher {
                        tenant: (*tenant).to_owned(),
                        name: format!("{tenant}-{number}"),
                        server: server.subscribe(),
                        acknowledged: acknowledged.clone(),
                        ends: Arc::clone(&ends),
                    }
                    .publish(),
                );
            }
        }
        Load { server, acknowledged, ends, publishers: Mutex::new(publishers) }
    }

    /// The server has (re)started there.
    pub(super) fn lead_to(&self, http: Http) {
        self.server.send_replace(Some(http));
    }

    /// Waits for `more` acknowledgements from now on.
    pub(super) async fn acknowledged(&self, more: u64) -> Result<()> {
        let mut seen = self.acknowledged.subscribe();
        let goal = *seen.borrow() + more;
        let reached = tokio::time::timeout(DEADLINE, seen.wait_for(|count| *count >= goal)).await;
        reached.context("the load came to a stop")??;
        Ok(())
    }

    /// Lets every publisher bring its last event home.
    pub(super) async fn end(&self) -> Result<Vec<PublishedEvent>> {
        self.ends.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(done) = self.publishers.lock().await.join_next().await {
            all.extend(done??);
        }
        Ok(all)
    }
}

struct Publisher {
    tenant: String,
    name: String,
    server: watch::Receiver<Option<Http>>,
    acknowledged: watch::Sender<u64>,
    ends: Arc<AtomicBool>,
}

impl Publisher {
    async fn publish(mut self) -> Result<Vec<PublishedEvent>> {
        let mut done = Vec::new();
        for n in 0_u64.. {
            if self.ends.load(Ordering::Relaxed) {
                break;
            }
            let id = format!("{}-{n}", self.name);
            let event = event(&self.tenant, &id, &json!({"n": n}));
            let (answer, tries) = self.until_acknowledged(&event).await?;
            let name = answer["id"].as_str().with_context(|| format!("no id in {answer}"))?.to_owned();
            let repeated = answer["repeated"] == true;
            if repeated && tries == 1 {
                bail!("{id} was published for the first time, and the answer is {answer}");
            }
            done.push(PublishedEvent { tenant: self.tenant.clone(), id, event: name, tries, repeated });
            self.acknowledged.send_modify(|count| *count += 1);
        }
        Ok(done)
    }

    /// No answer means that the server was killed: the same event is published again where it has restarted.
    async fn until_acknowledged(&mut self, event: &Value) -> Result<(Value, u32)> {
        for tries in 1.. {
            let there = tokio::time::timeout(DEADLINE, self.server.wait_for(Option::is_some)).await;
            let Some(http) = there.context("the server is nowhere")??.clone() else { continue };
            match http.post("/v1/events", event).await {
                Ok(answer) => return Ok((answer.ok()?, tries)),
                Err(_) => tokio::time::timeout(DEADLINE, self.server.changed()).await.context("no restart")??,
            }
        }
        bail!("never acknowledged")
    }
}
