//! The largest bodies that get through the door, many at once.

use bytes::Bytes;
use sublet_model::{Outcome, TenantId, limit};
use sublet_store::{Bus, Next, Published, Queue, Settle};
use tempfile::TempDir;

use super::support::{START, Source, lease, open};

#[tokio::test]
async fn bodies_results_and_logs_of_the_greatest_size_come_back_whole() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let ownership = store.acquire(1, START).await.unwrap();
    let mut source = Source::new();
    let tenant = TenantId::from_raw(7);
    let body = |seed: u8| Bytes::from(vec![seed; limit::EVENT_BYTES_MAX]);
    // 150 × 256 KiB are many batches, and more than the log was given.
    let events: Vec<_> = (0..150_u8).map(|seed| source.event(tenant, body(seed))).collect();
    let publishes = events.iter().map(|event| store.publish(vec![event.clone()], source.now));
    for answer in futures::future::join_all(publishes).await {
        assert_eq!(answer.unwrap(), [Published::Accepted]);
    }
    let settles = events.iter().map(|event| {
        let lease = lease(&ownership, tenant, event.invocations[0].id);
        drop(store.claim(vec![source.claim(lease)]));
        let mut end = source.end();
        end.outcome = Outcome::Failed;
        end.result = None;
        end.failure = Some(Bytes::from(vec![b'f'; limit::RESULT_BYTES_MAX]));
        end.log = Bytes::from(vec![b'l'; limit::LOG_BYTES_MAX]);
        store.settle(Settle { lease, end, next: Next::Succeed, announce: true, message: None })
    });
    for answer in futures::future::join_all(settles).await {
        answer.unwrap();
    }
    drop(store);

    let store = open(folder.path());
    for (seed, event) in (0..150_u8).zip(&events) {
        assert_eq!(store.event(event.id).await.unwrap().unwrap().body, body(seed));
    }
    let attempts = store.attempts(tenant, events[0].invocations[0].id).await.unwrap();
    assert_eq!(attempts[0].end.failure.as_ref().unwrap().len(), limit::RESULT_BYTES_MAX);
    assert_eq!(attempts[0].end.log.len(), limit::LOG_BYTES_MAX);
}

#[tokio::test]
async fn one_call_may_bring_as_much_as_a_request_body_may() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut source = Source::new();
    let count = limit::BATCH_BYTES_MAX / limit::EVENT_BYTES_MAX;
    let events: Vec<_> =
        (0..count).map(|_| source.event(TenantId::from_raw(1), vec![0; limit::EVENT_BYTES_MAX].into())).collect();
    let answers = store.publish(events, source.now).await.unwrap();
    assert_eq!(answers, vec![Published::Accepted; count]);
}
