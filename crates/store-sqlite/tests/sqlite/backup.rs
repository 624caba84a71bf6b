//! A backup is one moment, whole and checked, and what is restored from it goes on where it was.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use sublet_model::{ErrorKind, EventId, FunctionConfig, InvocationState, Name, TenantId};
use sublet_store::{Bus, CodeStore, Ledger, NewVersion, Queue, Registry, SHARDS, TenantSpec, code::FOLDER};
use sublet_store_sqlite::SqliteStore;
use sublet_store_sqlite::backup::{Progress, restore, take, verify};
use tempfile::TempDir;

use super::support::{ALL_USAGE, HOUR, START, Source, lease, open};

const LONG: usize = 50_000;

fn nobody(_: Progress) {}

/// A store with a deployed function, and events of both lengths of which some ran.
async fn filled(data: &Path, source: &mut Source) -> (Arc<SqliteStore>, Vec<EventId>, TenantId) {
    let store = open(data);
    let ownership = store.acquire(1, START).await.unwrap();
    let spec = TenantSpec::default();
    let (acme, work): (Name, Name) = ("acme".parse().unwrap(), "work".parse().unwrap());
    let tenant = store.put_tenant(&acme, spec, START).await.unwrap().0.id;
    let function = store.put_function(tenant, &work, FunctionConfig::default(), START).await.unwrap().0;
    let objects = CodeStore::in_folder(&data.join(FOLDER)).unwrap();
    let version = NewVersion {
        config: function.config,
        package: objects.put(Bytes::from_static(b"export const handler = () => 1")).await.unwrap(),
        package_bytes: 30,
        image: objects.put(Bytes::from(vec![7; 100_000])).await.unwrap(),
        engine_hash: "engine".to_owned(),
        layers: Vec::new(),
        make_live: true,
    };
    store.publish_version(tenant, function.id, version, START).await.unwrap();
    let mut events = Vec::new();
    for round in 0..20 {
        let body = if round % 2 == 0 { LONG } else { 100 };
        let event = source.event(tenant, vec![b'a' + u8::try_from(round).unwrap(); body].into());
        let invocation = event.invocations[0].id;
        events.push(event.id);
        store.publish(vec![event], source.now).await.unwrap();
        if round % 3 == 0 {
            source.run(&store, lease(&ownership, tenant, invocation)).await;
        }
    }
    (store, events, tenant)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_what_was_acknowledged_before_it_began_and_balances() {
    let folder = TempDir::new().unwrap();
    let (data, to, back) = (folder.path().join("data"), folder.path().join("backup"), folder.path().join("restored"));
    let mut source = Source::new();
    let (store, before, tenant) = filled(&data, &mut source).await;
    let (ends, publishing) = (Arc::new(AtomicBool::new(false)), tokio::sync::Notify::new());
    let load = async {
        let mut during = 0;
        while !ends.load(Ordering::Relaxed) {
            let event = source.event(tenant, vec![b'z'; if during % 2 == 0 { LONG } else { 100 }].into());
            store.publish(vec![event], source.now).await.unwrap();
            during += 1;
            publishing.notify_one();
        }
        during
    };
    let backup = async {
        publishing.notified().await;
        let (data, to) = (data.clone(), to.clone());
        let taken = tokio::task::spawn_blocking(move || take(&data, &to, START, &mut nobody)).await.unwrap();
        // At least one after it, so that the two are not the same.
        publishing.notified().await;
        publishing.notified().await;
        ends.store(true, Ordering::Relaxed);
        taken.unwrap()
    };
    let (during, manifest) = futures::future::join(load, backup).await;
    let published = before.len() as u64 + during;
    assert!(manifest.live < published && manifest.tenants == 1, "{manifest:?}");
    assert!(manifest.bodies.count >= 10 && manifest.code.count == 2, "{manifest:?}");
    assert!(!folder.path().join("backup.partial").exists());
    drop(store);

    assert_eq!(verify(&to, &mut nobody).unwrap(), manifest);
    assert_eq!(restore(&to, &back, &mut nobody).unwrap(), manifest);
    let store = open(&back);
    for (round, id) in before.iter().enumerate() {
        let body = store.event(*id).await.unwrap().unwrap().body;
        assert_eq!(body[0], b'a' + u8::try_from(round).unwrap());
        assert_eq!(body.len(), if round % 2 == 0 { LONG } else { 100 });
    }
    let balance = store.balance(tenant).await.unwrap();
    assert!(balance.holds(), "{balance:?}");
    assert_eq!((balance.succeeded, balance.waiting), (7, manifest.live));
    assert!(balance.accepted >= 21 && balance.accepted <= published, "{balance:?} of {published}");
    assert_eq!(store.usage(ALL_USAGE).await.unwrap(), store.usage_recount(ALL_USAGE).await.unwrap());
    let ownership = store.acquire(1, source.now).await.unwrap();
    assert_eq!(ownership.shards().count(), usize::from(SHARDS));
    let mut arrivals = store.arrivals(&ownership).await.unwrap();
    assert_eq!(arrivals.recv().await.unwrap().len() as u64, balance.waiting);
    let invocation = source.publish(&store, tenant).await;
    source.run(&store, lease(&ownership, tenant, invocation)).await;
    assert_eq!(store.invocation(tenant, invocation).await.unwrap().unwrap().state, InvocationState::Succeeded);
    let function = store.function(tenant, &"work".parse().unwrap()).await.unwrap().unwrap();
    let version = store.version(tenant, function.id, 1).await.unwrap().unwrap();
    let objects = CodeStore::in_folder(&back.join(FOLDER)).unwrap();
    assert_eq!(objects.get(&version.image).await.unwrap().len(), 100_000);
}

#[tokio::test]
async fn a_backup_stays_whole_when_what_it_holds_is_erased() {
    let folder = TempDir::new().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backup"));
    let mut source = Source::new();
    let (store, ..) = filled(&data, &mut source).await;
    let manifest = take(&data, &to, START, &mut nobody).unwrap();
    store.delete_tenant(&"acme".parse().unwrap(), source.now + HOUR).await.unwrap();
    sublet_store::Store::flush(store.as_ref()).await.unwrap();
    assert_eq!(verify(&to, &mut nobody).unwrap(), manifest);
    // Of a store that nobody has opened, the same.
    drop(store);
    let again = take(&data, &folder.path().join("again"), START, &mut nobody).unwrap();
    assert_eq!((again.tenants, again.bodies.count), (0, 0));
}

/// The first file below `folder`.
fn first_of(folder: PathBuf) -> PathBuf {
    let path = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    if path.is_dir() { first_of(path) } else { path }
}

#[tokio::test]
async fn a_damaged_backup_is_refused_with_the_files_name() {
    let folder = TempDir::new().unwrap();
    let (data, to, back) = (folder.path().join("data"), folder.path().join("backup"), folder.path().join("restored"));
    let (store, ..) = filled(&data, &mut Source::new()).await;
    take(&data, &to, START, &mut nobody).unwrap();
    drop(store);
    let files =
        [first_of(to.join("bodies")), first_of(to.join("code")), to.join("sublet.db"), to.join("manifest.json")];
    for file in files {
        let name = file.strip_prefix(&to).unwrap().display().to_string();
        let whole = std::fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        // A changed digit of the manifest's time is no damage that anything could tell.
        let flipped = (name != "manifest.json").then_some(Some(flipped));
        for damage in flipped.into_iter().chain([Some(whole[..middle].to_vec()), None]) {
            // A new file: the old one is linked to the data folder's.
            std::fs::remove_file(&file).unwrap();
            if let Some(content) = &damage {
                std::fs::write(&file, content).unwrap();
            }
            let error = restore(&to, &back, &mut nobody).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
            assert!(error.message.starts_with(&format!("{name} in ")), "{error}");
            assert!(!back.exists(), "nothing was made of it");
            if damage.is_some() {
                std::fs::remove_file(&file).unwrap();
            }
            std::fs::write(&file, &whole).unwrap();
        }
    }
    restore(&to, &back, &mut nobody).unwrap();
}

#[tokio::test]
async fn nothing_is_written_into_a_folder_that_holds_something() {
    let folder = TempDir::new().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backup"));
    let (store, ..) = filled(&data, &mut Source::new()).await;
    let refused = take(&data, &data, START, &mut nobody).unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("to")));
    std::fs::create_dir(&to).unwrap();
    take(&data, &to, START, &mut nobody).unwrap();
    let refused = restore(&to, &data, &mut nobody).unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("data")));
    let nothing = take(&folder.path().join("nowhere"), &folder.path().join("x"), START, &mut nobody).unwrap_err();
    assert_eq!(nothing.kind, ErrorKind::NotFound);
    drop(store);
}
