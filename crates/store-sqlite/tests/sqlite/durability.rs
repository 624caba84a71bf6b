//! What was acknowledged is there after a loss of power: the files are photographed while the store is open, and the
//! photograph is opened.

use std::collections::BTreeSet;

use sublet_model::{InvocationState, Outcome, TenantId};
use sublet_store::{Bus, Ledger, Next, Page, Published, Queue, Settle, Store};
use tempfile::TempDir;

use super::support::{ALL_USAGE, HOUR, Source, lease, open, photograph};

#[tokio::test]
async fn what_was_acknowledged_is_in_a_photograph_of_the_disk() {
    let (folder, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(folder.path());
    let ownership = store.acquire(1, super::support::START).await.unwrap();
    let mut source = Source::new();
    let tenant = TenantId::from_raw(7);
    let (mut settled, mut waiting) = (Vec::new(), BTreeSet::new());
    for round in 0..40 {
        let invocation = source.publish(&store, tenant).await;
        if round % 2 == 0 {
            settled.push((invocation, source.run(&store, lease(&ownership, tenant, invocation)).await.attempt));
        } else {
            waiting.insert(invocation);
        }
    }
    photograph(folder.path(), copy.path());
    // The original goes on; the photograph knows nothing of it.
    source.publish(&store, tenant).await;

    let after = open(copy.path());
    for (invocation, attempt) in settled {
        let record = after.invocation(tenant, invocation).await.unwrap().unwrap();
        assert_eq!(record.state, InvocationState::Succeeded);
        let attempts = after.attempts(tenant, invocation).await.unwrap();
        assert_eq!(attempts.iter().map(|attempt| attempt.id).collect::<Vec<_>>(), [attempt]);
        assert_eq!(attempts[0].end, source.end());
    }
    let now_owned = after.acquire(1, source.now).await.unwrap();
    let mut arrivals = after.arrivals(&now_owned).await.unwrap();
    let found: BTreeSet<_> = arrivals.recv().await.unwrap().iter().map(|waiting| waiting.invocation).collect();
    assert_eq!(found, waiting);
    let balance = after.balance(tenant).await.unwrap();
    assert!(balance.holds());
    assert_eq!((balance.accepted, balance.waiting), (40, 20));
    assert_eq!(after.usage(ALL_USAGE).await.unwrap(), after.usage_recount(ALL_USAGE).await.unwrap());
    assert_eq!(after.usage(ALL_USAGE).await.unwrap()[0].sum.attempts, 20);
}

/// Sums are written in slices that commit one by one; a crash between any two of them neither loses nor doubles a line.
#[tokio::test]
async fn the_ledger_equals_the_attempts_in_a_photograph_between_any_two_slices() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let ownership = store.acquire(1, super::support::START).await.unwrap();
    let mut source = Source::new();
    // 1,200 tenants are three slices.
    let mut events = Vec::new();
    for tenant in 1..=1_200 {
        events.push(source.event(TenantId::from_raw(tenant), "{}".into()));
    }
    let invocations: Vec<_> = events.iter().map(|event| event.invocations[0].clone()).collect();
    for part in events.chunks(600) {
        store.publish(part.to_vec(), source.now).await.unwrap();
    }
    for one in &invocations {
        let lease = lease(&ownership, one.tenant, one.id);
        drop(store.claim(vec![source.claim(lease)]));
        let next = Next::Retry { due: source.now, spent: true };
        let mut end = source.end();
        end.outcome = Outcome::Failed;
        store.settle(Settle { lease, end, next, announce: false, message: None }).await.unwrap();
    }
    // Upkeep writes the slices while these go on: each second attempt ends in the next hour.
    source.now = source.now + HOUR;
    let upkeep = {
        let store = store.clone();
        let now = source.now;
        tokio::spawn(async move { store.maintain(now, super::support::START).await.unwrap() })
    };
    for (index, one) in invocations.iter().enumerate() {
        let lease = sublet_store::Lease { token: 2, ..lease(&ownership, one.tenant, one.id) };
        source.run(&store, lease).await;
        if index % 240 == 0 {
            let copy = TempDir::new().unwrap();
            store.flush().await.unwrap();
            photograph(folder.path(), copy.path());
            let after = open(copy.path());
            let sums = after.usage(ALL_USAGE).await.unwrap();
            assert_eq!(sums, after.usage_recount(ALL_USAGE).await.unwrap());
            let attempts: u64 = sums.iter().map(|row| row.sum.attempts).sum();
            assert!(attempts >= 1_200 + index as u64, "{attempts}");
        }
    }
    upkeep.await.unwrap();
    let sums = store.usage(ALL_USAGE).await.unwrap();
    assert_eq!(sums, store.usage_recount(ALL_USAGE).await.unwrap());
    assert_eq!(sums.len(), 2_400, "a row per tenant and hour");
    assert_eq!(sums.iter().map(|row| row.sum.attempts).sum::<u64>(), 2_400);
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.usage(ALL_USAGE).await.unwrap(), sums);
}

#[tokio::test]
async fn a_handle_that_is_dropped_carries_out_what_was_handed_over() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut source = Source::new();
    let event = source.event(TenantId::from_raw(1), "{}".into());
    let id = event.id;
    // Polled once, so that it is handed over; the answer is never awaited.
    let mut publish = Box::pin(store.publish(vec![event], source.now));
    assert!(futures::poll!(&mut publish).is_pending());
    drop(publish);
    drop(store);
    let store = open(folder.path());
    assert!(store.event(id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_write_that_breaks_its_transaction_takes_no_other_with_it() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut source = Source::new();
    let tenant = TenantId::from_raw(1);
    let known = source.event(tenant, "{}".into());
    store.publish(vec![known.clone()], source.now).await.unwrap();
    // All handed over before the first is answered, so that they share transactions.
    let mut publishes = Vec::new();
    for index in 0..20 {
        let event = if index == 7 { known.clone() } else { source.event(tenant, "{}".into()) };
        publishes.push(store.publish(vec![event], source.now));
    }
    for (index, answer) in futures::future::join_all(publishes).await.into_iter().enumerate() {
        if index == 7 {
            assert_eq!(answer.unwrap_err().kind, sublet_model::ErrorKind::Conflict);
        } else {
            assert_eq!(answer.unwrap(), [Published::Accepted]);
        }
    }
    assert_eq!(store.events(None, Page::default()).await.unwrap().items.len(), 20);
}
