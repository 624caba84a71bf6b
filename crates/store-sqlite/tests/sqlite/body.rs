//! Long bodies are files beside the database: there whenever a row refers to them, gone when none does.

use bytes::Bytes;
use sublet_model::{ErrorKind, EventId, Name, TenantId};
use sublet_store::{Bus, Identity, NewEvent, Next, Published, Queue, Registry, Settle, Store, TenantSpec};
use sublet_store_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

use super::support::{HOUR, START, Source, files_of_bodies, lease, open, options, photograph};

const LONG: usize = 200 << 10;

fn long_event(source: &mut Source, tenant: i64) -> NewEvent {
    source.event(TenantId::from_raw(tenant), Bytes::from(vec![b'x'; LONG]))
}

async fn body_of(store: &SqliteStore, id: EventId) -> Bytes {
    store.event(id).await.unwrap().unwrap().body
}

#[tokio::test]
async fn a_long_body_is_a_file_and_a_short_one_is_not() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut source = Source::new();
    source.publish(&store, TenantId::from_raw(7)).await;
    assert!(files_of_bodies(folder.path()).is_empty());
    let events: Vec<NewEvent> = (0..8).map(|_| long_event(&mut source, 7)).collect();
    store.publish(events, source.now).await.unwrap();
    assert_eq!(files_of_bodies(folder.path()).len(), 8);
    store.close().await.unwrap();
    let database = std::fs::metadata(folder.path().join("sublet.db")).unwrap().len();
    assert!(database < 4 * LONG as u64, "{database}: they are not in the database as well");
}

/// The machine loses power at any moment: between any two steps a photograph is taken and opened.
#[tokio::test]
async fn in_a_photograph_of_the_disk_every_body_that_was_acknowledged_is_whole() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let ownership = store.acquire(1, START).await.unwrap();
    let mut source = Source::new();
    let tenant = TenantId::from_raw(7);
    let (mut events, mut settled) = (Vec::new(), Vec::new());
    for round in 0..6 {
        let event = long_event(&mut source, 7);
        let invocation = event.invocations[0].id;
        store.publish(vec![event.clone()], source.now).await.unwrap();
        events.push(event);
        if round % 2 == 0 {
            let lease = lease(&ownership, tenant, invocation);
            drop(store.claim(vec![source.claim(lease)]));
            let mut end = source.end();
            end.result = Some(Bytes::from(vec![b'r'; LONG]));
            store
                .settle(Settle { lease, end: end.clone(), next: Next::Succeed, message: None, announce: true })
                .await
                .unwrap();
            settled.push((invocation, end));
        }
        let copy = TempDir::new().unwrap();
        photograph(folder.path(), copy.path());
        // What a crash left of a publish that was never committed.
        std::fs::write(copy.path().join("bodies/7fffffff00000000"), b"half of a bo").unwrap();
        let after = open(copy.path());
        for event in &events {
            assert_eq!(body_of(&after, event.id).await, event.body);
        }
        for (invocation, end) in &settled {
            assert_eq!(after.attempts(tenant, *invocation).await.unwrap()[0].end, *end);
        }
        assert_eq!(files_of_bodies(copy.path()).len(), events.len() + settled.len(), "the orphan is swept");
    }
}

#[tokio::test]
async fn what_is_not_committed_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut source = Source::new();
    let identity = Some(Identity { key: [1; 16], body: [2; 8] });
    let first = NewEvent { identity, ..long_event(&mut source, 7) };
    let repeat = NewEvent { identity, ..long_event(&mut source, 7) };
    let unasked = long_event(&mut source, 7);
    assert_eq!(store.publish(vec![first.clone()], source.now).await.unwrap(), [Published::Accepted]);
    let answers = store.publish(vec![repeat, unasked.clone()], source.now).await.unwrap();
    assert!(matches!(answers[..], [Published::Repeated { .. }, Published::Accepted]));
    store.flush().await.unwrap();
    assert_eq!(files_of_bodies(folder.path()).len(), 2, "the repeat's is gone");

    let again = NewEvent { identity: None, ..first.clone() };
    let refused = store.publish(vec![again, long_event(&mut source, 7)], source.now).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    store.flush().await.unwrap();
    assert_eq!(files_of_bodies(folder.path()).len(), 2, "a call that is refused as a whole leaves none");
    for event in [&first, &unasked] {
        assert_eq!(body_of(&store, event.id).await, event.body);
    }
    store.close().await.unwrap();
    assert_eq!(
        store.publish(vec![long_event(&mut source, 7)], source.now).await.unwrap_err().kind,
        ErrorKind::Unavailable
    );
    drop(store);
    open(folder.path());
    assert_eq!(files_of_bodies(folder.path()).len(), 2);
}

#[tokio::test]
async fn a_file_that_was_changed_or_lost_is_told_and_not_handed_out() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut source = Source::new();
    let event = long_event(&mut source, 7);
    store.publish(vec![event.clone()], source.now).await.unwrap();
    let path = folder.path().join("bodies").join(&files_of_bodies(folder.path())[0]);
    for damaged in [vec![b'x'; LONG - 1], vec![b'y'; LONG]] {
        std::fs::write(&path, damaged).unwrap();
        let error = store.event(event.id).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal);
        assert!(error.source_text.unwrap().contains("its content is not what was written"));
    }
    std::fs::remove_file(&path).unwrap();
    let error = store.event(event.id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.ends_with("was just erased, or is missing"), "{}", error.message);
}

#[tokio::test]
async fn files_go_with_their_hour_and_with_their_tenant() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut source = Source::new();
    let spec = TenantSpec::default();
    let name: Name = "acme".parse().unwrap();
    let acme = store.put_tenant(&name, spec, START).await.unwrap().0.id;
    for _ in 0..3 {
        let mut old = long_event(&mut source, 7);
        old.invocations.clear();
        store.publish(vec![old], source.now).await.unwrap();
    }
    source.now = source.now + HOUR * 3;
    let (own, other) = (long_event(&mut source, acme.raw()), long_event(&mut source, 8));
    store.publish(vec![own.clone(), other.clone()], source.now).await.unwrap();
    assert_eq!(files_of_bodies(folder.path()).len(), 5);

    store.maintain(source.now, source.now - HOUR).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(files_of_bodies(folder.path()).len(), 2, "the old hour's are gone");
    store.delete_tenant(&name, source.now).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(files_of_bodies(folder.path()).len(), 1, "the tenant's are gone");
    assert_eq!(body_of(&store, other.id).await, other.body);
    assert!(body_of(&store, own.id).await.is_empty());
}

#[tokio::test]
async fn a_long_body_does_not_touch_the_disks_reserve() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path(), SqliteOptions { reserve_bytes: u64::MAX, ..options() }).unwrap();
    let mut source = Source::new();
    let refused = store.publish(vec![long_event(&mut source, 7)], source.now).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert!(files_of_bodies(folder.path()).is_empty());
}
