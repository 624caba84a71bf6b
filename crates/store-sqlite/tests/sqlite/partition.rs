//! Hours: sealed when they are over, dropped when they are too old, kept while something needs them.

use std::time::Duration;

use rusqlite::Connection;
use sublet_model::{EndReason, InvocationState, TenantId};
use sublet_store::{Bus, Finish, InvocationFilter, Ledger, Page, Queue, Store};
use tempfile::TempDir;

use super::support::{ALL_USAGE, HOUR, START, Source, lease, open};

/// The store's tables and indexes of the hour `START` is in plus `hours`, as their names begin.
fn of_hour(folder: &TempDir, hours: i64, kind: &str) -> i64 {
    let conn = Connection::open(folder.path().join("sublet.db")).unwrap();
    let hour = START.millis() / 3_600_000 + hours;
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = ? AND tbl_name LIKE ?";
    conn.query_row(sql, (kind, format!("%_{hour}")), |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn an_hour_is_sealed_when_it_is_over_and_answers_the_same() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let ownership = store.acquire(1, START).await.unwrap();
    let mut source = Source::new();
    let (tenant, other) = (TenantId::from_raw(7), TenantId::from_raw(8));
    for _ in 0..30 {
        let invocation = source.publish(&store, tenant).await;
        source.run(&store, lease(&ownership, tenant, invocation)).await;
        source.publish(&store, other).await;
    }
    let page = || Page::new(None, 20);
    let before = (
        store.events(Some(tenant), page()).await.unwrap(),
        store.invocations(tenant, InvocationFilter::default(), page()).await.unwrap(),
        store.balance(tenant).await.unwrap(),
    );
    assert_eq!(before.0.items.len(), 20);

    store.maintain(START, START - HOUR).await.unwrap();
    assert_eq!(of_hour(&folder, 0, "index"), 1, "the hour is not over: only the delivery log has its index");
    store.maintain(START + HOUR, START - HOUR).await.unwrap();
    assert_eq!(of_hour(&folder, 0, "index"), 4);
    let after = (
        store.events(Some(tenant), page()).await.unwrap(),
        store.invocations(tenant, InvocationFilter::default(), page()).await.unwrap(),
        store.balance(tenant).await.unwrap(),
    );
    assert_eq!(before, after);
    // Again changes nothing.
    store.maintain(START + HOUR, START - HOUR).await.unwrap();
    assert_eq!(of_hour(&folder, 0, "index"), 4);
}

#[tokio::test]
async fn an_hour_that_is_too_old_goes_and_the_sums_stay() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let ownership = store.acquire(1, START).await.unwrap();
    let mut source = Source::new();
    let tenant = TenantId::from_raw(7);
    let old = source.publish(&store, tenant).await;
    source.run(&store, lease(&ownership, tenant, old)).await;
    let dead = source.publish(&store, tenant).await;
    let finish = Finish {
        invocation: dead,
        tenant,
        epoch: ownership.epoch_of(tenant).unwrap(),
        state: InvocationState::DeadLettered,
        reason: EndReason::NoFunction,
        at: source.now,
        announce: false,
        message: None,
    };
    store.finish(finish).await.unwrap();
    source.now = source.now + 5 * HOUR;
    let new = source.publish(&store, tenant).await;
    let sums = store.usage(ALL_USAGE).await.unwrap();

    store.maintain(source.now, START - HOUR).await.unwrap();
    assert!(store.invocation(tenant, old).await.unwrap().is_some(), "not too old yet");
    store.maintain(source.now, source.now - HOUR).await.unwrap();
    assert_eq!(of_hour(&folder, 0, "table"), 0);
    assert_eq!(store.invocation(tenant, old).await.unwrap(), None);
    assert_eq!(store.attempts(tenant, old).await.unwrap(), []);
    assert_eq!(store.dead_letters(tenant, Page::default()).await.unwrap().items, [], "its event is gone");
    assert!(store.invocation(tenant, new).await.unwrap().is_some());
    assert_eq!(store.events(None, Page::default()).await.unwrap().items.len(), 1);
    assert_eq!(store.usage(ALL_USAGE).await.unwrap(), sums);
    let balance = store.balance(tenant).await.unwrap();
    assert!(balance.holds());
    assert_eq!((balance.accepted, balance.waiting), (1, 1));
}

#[tokio::test]
async fn an_hour_is_kept_while_something_in_it_waits() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let ownership = store.acquire(1, START).await.unwrap();
    let mut source = Source::new();
    let tenant = TenantId::from_raw(7);
    let waiting = source.publish(&store, tenant).await;
    source.now = source.now + 5 * HOUR;
    store.maintain(source.now, source.now).await.unwrap();
    assert!(store.work(tenant, waiting).await.unwrap().is_some());

    source.run(&store, lease(&ownership, tenant, waiting)).await;
    store.maintain(source.now, source.now).await.unwrap();
    assert_eq!(store.invocation(tenant, waiting).await.unwrap(), None);
}

#[tokio::test]
async fn the_balance_holds_when_an_event_and_its_invocation_fall_into_two_hours() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let ownership = store.acquire(1, START).await.unwrap();
    let mut source = Source::new();
    let tenant = TenantId::from_raw(7);
    // The last millisecond of the hour for the event, the first of the next for its invocation.
    source.now = START.hour() + HOUR - Duration::from_millis(1);
    let mut event = source.event(tenant, "{}".into());
    source.now = source.now + Duration::from_millis(1);
    event.invocations[0].id = sublet_model::InvocationId::from_raw(source.mint.next(source.now));
    let invocation = event.invocations[0].id;
    store.publish(vec![event], source.now).await.unwrap();
    source.run(&store, lease(&ownership, tenant, invocation)).await;
    assert!(store.balance(tenant).await.unwrap().holds());

    // Retention takes the first hour, and with it what the second knows of its event.
    let later = START + 3 * HOUR;
    store.maintain(later, START + HOUR).await.unwrap();
    let balance = store.balance(tenant).await.unwrap();
    assert!(balance.holds(), "{balance:?}");
    assert_eq!(balance.accepted, 0);
}

#[tokio::test]
async fn a_listing_without_an_index_comes_to_its_end_in_bounded_pages() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut source = Source::new();
    let (quiet, noisy) = (TenantId::from_raw(7), TenantId::from_raw(8));
    let wanted = source.publish(&store, quiet).await;
    // More than a page looks at.
    for _ in 0..25 {
        let events: Vec<_> = (0..1_000).map(|_| source.event(noisy, "{}".into())).collect();
        store.publish(events, source.now).await.unwrap();
    }
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = Page::new(cursor, 50);
        let listing = store.invocations(quiet, InvocationFilter::default(), page).await.unwrap();
        found.extend(listing.items.into_iter().map(|record| record.id));
        pages += 1;
        cursor = listing.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, [wanted]);
    assert!(pages > 1, "25,001 rows are more than one page looks at");
}
