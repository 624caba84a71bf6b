//! A long queue survives a restart.

use std::collections::HashMap;

use sublet_model::{TenantId, Timestamp};
use sublet_store::{Bus, Queue};
use tempfile::TempDir;

use super::support::{START, Source, lease, open};

#[tokio::test]
async fn a_hundred_thousand_waiting_rows_arrive_again_oldest_due_first_per_tenant() {
    const ROWS: usize = 100_000;
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let ownership = store.acquire(1, START).await.unwrap();
    let mut source = Source::new();
    let mut running = Vec::new();
    for part in 0..ROWS / 1_000 {
        let mut events: Vec<_> =
            (0..1_000_i64).map(|index| source.event(TenantId::from_raw(index % 97 + 1), "{}".into())).collect();
        for (index, event) in events.iter_mut().enumerate() {
            // Due in another order than minted.
            event.invocations[0].due = Timestamp::from_millis(START.millis() + (index as i64 * 7_919) % 1_000);
        }
        if part == 0 {
            running.extend(events.iter().take(10).map(|event| (event.invocations[0].tenant, event.invocations[0].id)));
        }
        store.publish(events, source.now).await.unwrap();
    }
    let claims = running.iter().map(|(tenant, id)| source.claim(lease(&ownership, *tenant, *id))).collect();
    assert!(store.claim(claims).await.unwrap().iter().all(Result::is_ok));
    drop(store);

    let store = open(folder.path());
    let ownership = store.acquire(1, source.now).await.unwrap();
    let mut arrivals = store.arrivals(&ownership).await.unwrap();
    let mut seen = HashMap::new();
    let mut last_due: HashMap<TenantId, Timestamp> = HashMap::new();
    while seen.len() < ROWS {
        for waiting in arrivals.recv().await.unwrap() {
            let last = last_due.entry(waiting.tenant).or_insert(waiting.due);
            assert!(*last <= waiting.due);
            *last = waiting.due;
            assert!(seen.insert(waiting.invocation, waiting).is_none(), "once each, when nothing moves");
        }
    }
    for (_, id) in running {
        let rescued = seen[&id];
        assert_eq!((rescued.starts, rescued.crashed), (1, 1), "it ran when its process died");
    }
}
