//! The real server is killed in the middle of its work, again and again, and nothing that it acknowledged is lost,
//! doubled or booked wrongly.

mod load;
mod receiver;
mod verdict;

use std::sync::Arc;

use anyhow::{Context, Result};
use load::Load;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use receiver::Receiver;
use serde_json::{Value, json};
use sublet_testkit::{Home, Http};

use crate::scene::{DEADLINE, rule, serve, settled, tenant};

const TENANTS: [&str; 4] = ["acme", "globex", "initech", "umbrella"];
/// How often the server is killed.
const ROUNDS: u32 = 5;
/// Acknowledged events from a start to the next kill, at most; 0 kills it while it still rescues.
const ACKNOWLEDGED_MAX: u64 = 500;
/// Acknowledged events after the last start, so that a whole run follows every crash.
const ACKNOWLEDGED_LAST: u64 = 200;

/// Most succeed with little work, every tenth fails for good, so that retries and dead letters are in the books too.
const CODE: &str = r"
export const handler = async (event) => {
  const { n } = event.detail;
  if (n % 10 === 7) throw new Error(`will not do ${n}`);
  let sum = 0;
  for (let i = 0; i < (n % 5) * 20_000; i++) sum += i;
  console.log('did', n);
  return { n, sum };
};
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_sigkill_under_load() -> Result<()> {
    let seed = match std::env::var("SUBLET_TEST_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => getrandom::u64()?,
    };
    println!("seed: {seed} (repeat with SUBLET_TEST_SEED={seed})");
    let mut random = SmallRng::seed_from_u64(seed);

    let home = Home::new()?;
    let receiver = Receiver::start().await?;
    let mut server = serve(&home).await?;
    set_up(&server.http()?, receiver.address()).await?;

    let load = Arc::new(Load::start(&TENANTS));
    for _ in 0..ROUNDS {
        load.lead_to(server.http()?);
        load.acknowledged(random.random_range(0..=ACKNOWLEDGED_MAX)).await?;
        server.kill().await?;
        server = serve(&home).await.with_context(|| format!("after SIGKILL, seed {seed}"))?;
    }
    let http = server.http()?;
    let mut news = http.stream("/v1/stream").await?;
    load.lead_to(http.clone());
    load.acknowledged(ACKNOWLEDGED_LAST).await?;
    let published = load.end().await?;

    settled(&http, &TENANTS, &mut news).await?;
    let mut all = verdict::Found::default();
    for tenant in TENANTS {
        let found = verdict::of_tenant(&http, tenant, &published).await.with_context(|| format!("seed {seed}"))?;
        all.invocations += found.invocations;
        all.crashed += found.crashed;
    }
    let results = tokio::time::timeout(DEADLINE, receiver.results(all.invocations)).await;
    let results = results.with_context(|| format!("not every result was delivered, seed {seed}"))?;
    verdict::of_deliveries(&results);
    println!(
        "{ROUNDS} kills: {} events, of them {} published again for want of an answer ({} had been stored); \
         {} invocations with {} attempts cut off, {} deliveries",
        published.len(),
        published.iter().filter(|event| event.tries > 1).count(),
        published.iter().filter(|event| event.repeated).count(),
        all.invocations,
        all.crashed,
        results.values().map(|result| result.deliveries).sum::<u64>(),
    );
    server.stop().await
}

async fn set_up(http: &Http, receiver: std::net::SocketAddr) -> Result<()> {
    let config: Value = json!({"retry": {"attempts": 2, "backoff": "10ms", "backoff_max": "20ms"}});
    for name in TENANTS {
        tenant(http, name, &config, CODE).await?;
    }
    let webhook = json!({"url": format!("http://{receiver}/results"), "allow_private": [receiver.to_string()]});
    http.put("/v1/webhooks/results", &webhook).await?.ok()?;
    let results = json!({"pattern": {"source": ["sublet"]}, "targets": [{"webhook": "results"}]});
    http.put("/v1/rules/results", &results).await?.ok()?;
    rule(http).await
}
