//! Who may open a directory, and what of it.

use std::time::Duration;

use sublet_model::{DeliveryId, ErrorKind, TenantId};
use sublet_store::{
    Deliveries, Disabled, DisabledReason, Ledger, Next, Queue, Registry, Settle, Store, UsageQuery, WebhookSpec,
};
use sublet_store_sqlite::{SCHEMA_VERSION, SqliteOptions, SqliteStore};
use tempfile::TempDir;

use super::support::{START, Source, lease, open, options};

#[tokio::test]
async fn a_second_open_of_a_held_directory_is_refused_until_it_is_let_go() {
    let folder = TempDir::new().unwrap();
    let first = open(folder.path());
    let refused = SqliteStore::open(folder.path(), options()).err().unwrap();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert_eq!(refused.message, format!("another sublet process holds {}", folder.path().display()));

    first.close().await.unwrap();
    // Closed is enough: the handle may still be held by those who read.
    let second = open(folder.path());
    assert!(SqliteStore::open(folder.path(), options()).is_err());
    drop(second);
    open(folder.path());
    drop(first);
}

#[test]
fn a_database_of_a_newer_program_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()));
    let file = folder.path().join("sublet.db");
    let newer = SCHEMA_VERSION + 4;
    let conn = rusqlite::Connection::open(&file).unwrap();
    conn.pragma_update(None, "user_version", newer).unwrap();
    drop(conn);

    let refused = SqliteStore::open(folder.path(), options()).err().unwrap();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    let expected =
        format!("database has schema {newer}, this program knows up to {SCHEMA_VERSION}: run a newer sublet");
    assert_eq!(refused.message, expected);
    let conn = rusqlite::Connection::open(&file).unwrap();
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(found, newer);
}

#[tokio::test]
async fn an_hour_of_an_earlier_program_gets_the_tables_it_lacks() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut source = Source::new();
    let invocation = source.publish(&store, TenantId::from_raw(7)).await;
    store.close().await.unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("sublet.db")).unwrap();
    conn.execute_batch(&format!("DROP TABLE input_{}", START.millis() / 3_600_000)).unwrap();
    drop(conn);
    let store = open(folder.path());
    let work = store.work(TenantId::from_raw(7), invocation).await.unwrap().unwrap();
    assert_eq!((&work.body[..], work.envelope), (&b"{}"[..], None));
}

#[tokio::test]
async fn attempts_of_an_earlier_program_are_read_and_stand_beside_new_ones() {
    let folder = TempDir::new().unwrap();
    let tenant = TenantId::from_raw(7);
    let mut source = Source::new();
    let store = open(folder.path());
    let ownership = store.acquire(1, source.now).await.unwrap();
    let old = source.publish(&store, tenant).await;
    source.run(&store, lease(&ownership, tenant, old)).await;
    store.close().await.unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("sublet.db")).unwrap();
    for column in ["fetches", "egress_bytes", "instructions", "fetch_log"] {
        let hour = START.millis() / 3_600_000;
        conn.execute_batch(&format!("ALTER TABLE attempt_{hour} DROP COLUMN {column}")).unwrap();
    }
    drop(conn);

    let store = open(folder.path());
    let ownership = store.acquire(1, source.now).await.unwrap();
    let attempts = store.attempts(tenant, old).await.unwrap();
    assert_eq!((attempts[0].end.usage.fetches, &attempts[0].end.fetches), (0, &None));
    let new = source.publish(&store, tenant).await;
    let lease = lease(&ownership, tenant, new);
    drop(store.claim(vec![source.claim(lease)]));
    let mut end = source.end();
    end.fetches = Some(r#"[{"url":"https://a.test/"}]"#.into());
    (end.usage.fetches, end.usage.egress_bytes, end.usage.instructions) = (1, 900, Some(70));
    let settle = Settle { lease, end: end.clone(), next: Next::Succeed, announce: false, message: None };
    store.settle(settle).await.unwrap();
    assert_eq!(store.attempts(tenant, new).await.unwrap()[0].end, end);
    let query =
        UsageQuery { tenant: Some(tenant), function: None, from: START.hour(), to: START + Duration::from_secs(3_600) };
    for rows in [store.usage(query).await.unwrap(), store.usage_recount(query).await.unwrap()] {
        assert_eq!(rows.iter().map(|row| (row.sum.attempts, row.sum.egress_bytes)).collect::<Vec<_>>(), [(2, 900)]);
    }
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("sublet.db"), "not a database, but longer than one page's header is").unwrap();
    assert!(SqliteStore::open(folder.path(), options()).is_err());
}

#[tokio::test]
async fn the_log_has_its_length_from_the_start_and_keeps_it() {
    let folder = TempDir::new().unwrap();
    let length = || std::fs::metadata(folder.path().join("sublet.db-wal")).unwrap().len();
    let store = open(folder.path());
    assert_eq!(length(), 1 << 20);
    store.close().await.unwrap();
    drop(store);
    assert_eq!(length(), 1 << 20, "closing does not delete it");
    let longer = SqliteOptions { wal_bytes: 3 << 20, ..options() };
    let store = SqliteStore::open(folder.path(), longer).unwrap();
    assert_eq!(length(), 3 << 20);
    drop(store);
}

#[tokio::test]
async fn publishing_is_refused_when_the_disks_reserve_is_reached_and_the_rest_goes_on() {
    use super::support::Source;
    use sublet_model::{TenantId, Timestamp};
    use sublet_store::{Bus, Queue};

    let folder = TempDir::new().unwrap();
    let all_of_it = SqliteOptions { reserve_bytes: u64::MAX, ..options() };
    let store = SqliteStore::open(folder.path(), all_of_it).unwrap();
    let mut source = Source::new();
    let event = source.event(TenantId::from_raw(1), "{}".into());
    let id = event.id;
    let refused = store.publish(vec![event], source.now).await.unwrap_err();
    assert!(refused.is_storage_full(), "{refused}");
    assert_eq!(store.event(id).await.unwrap(), None);
    store.acquire(1, Timestamp::from_millis(1)).await.unwrap();
}

#[tokio::test]
async fn webhooks_and_deliveries_of_an_earlier_program_are_understood() {
    let folder = TempDir::new().unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("sublet.db")).unwrap();
    for migration in [include_str!("../../src/schema/0001.sql"), include_str!("../../src/schema/0002.sql")] {
        conn.execute_batch(migration).unwrap();
    }
    let at = START.millis();
    let tries = r#"[{"at":"2026-01-31T09:30:00Z","status":500,"error":"answered 500","latency_ms":7}]"#;
    conn.execute_batch(&format!(
        r#"INSERT INTO webhook VALUES ('on', '{{"url":"https://a.test","allow_private":[],"enabled":true}}',
               '["whsec_2","whsec_1"]', {at});
           INSERT INTO webhook VALUES ('off', '{{"url":"https://b.test","allow_private":["h:1"],"enabled":false}}',
               '["whsec_3"]', {at});
           INSERT INTO delivery VALUES (5, 'on', 4, NULL, {at}, '{tries}');
           PRAGMA user_version = 2;"#
    ))
    .unwrap();
    drop(conn);

    let store = open(folder.path());
    let webhooks = store.webhooks().await.unwrap();
    let disabled = Disabled { reason: DisabledReason::Operator, at: START };
    assert_eq!(webhooks.iter().map(|webhook| webhook.disabled).collect::<Vec<_>>(), [Some(disabled), None]);
    let secrets: Vec<_> = webhooks[1].signing(START).map(|secret| (secret.text.as_str(), secret.created)).collect();
    assert_eq!(secrets, [("whsec_2", START), ("whsec_1", START)]);
    assert_eq!(
        webhooks[0].spec,
        WebhookSpec { allow_private: vec!["h:1".to_owned()], ..WebhookSpec::to("https://b.test") }
    );
    let delivery = store.delivery(DeliveryId::from_raw(5)).await.unwrap().unwrap();
    assert_eq!((delivery.attempts.len(), delivery.attempts[0].status, delivery.replays), (1, Some(500), 0));
    let mut arrivals = store.delivery_arrivals().await.unwrap();
    assert_eq!(arrivals.recv().await.unwrap()[0].attempts, 1);
}
