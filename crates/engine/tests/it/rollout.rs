//! Layers into functions that use them, and back.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use sublet_engine::{DeployError, PackageKind};
use sublet_model::{Clock, ErrorKind, FunctionConfig, Quota};
use sublet_store::{
    CodeStore, MemoryStore, ObjectHash, Registry, RolloutRecord, RolloutState, Rollouts, TenantRecord, TenantSpec,
};

use crate::harness::*;

fn zip(content: &str) -> Bytes {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("index.mjs", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(content.as_bytes()).unwrap();
    archive.finish().unwrap().into_inner().into()
}

async fn publish(house: &House, content: &str, rolls_out: bool) -> u32 {
    house.engine.publish_layer(&name("lib"), zip(content), rolls_out).await.unwrap().number
}

/// Tenants with a function each that uses the layer's version 1.
async fn tenants(house: &House, count: usize) -> Vec<Arc<TenantRecord>> {
    publish(house, "one", false).await;
    let mut tenants = Vec::new();
    for number in 0..count {
        let tenant = house.tenant(&format!("t{number}"), Quota::default()).await;
        house.configured(&tenant, "enrich", "ok", uses_lib()).await;
        tenants.push(tenant);
    }
    tenants
}

fn uses_lib() -> FunctionConfig {
    FunctionConfig { layers: vec![name("lib")], ..FunctionConfig::default() }
}

async fn live(house: &House, tenant: &TenantRecord) -> (u32, Vec<(String, u32)>) {
    let registry = house.engine.registry();
    let function = registry.function(tenant.id, &name("enrich")).await.unwrap().unwrap();
    let number = function.live.unwrap();
    let version = registry.version(tenant.id, function.id, number).await.unwrap().unwrap();
    (number, version.layers.iter().map(|(layer, number)| (layer.to_string(), *number)).collect())
}

async fn ended(house: &House, version: u32) -> RolloutRecord {
    loop {
        let rollout = house.store.rollout(&name("lib"), Some(version)).await.unwrap().unwrap();
        if rollout.ended.is_some() {
            return rollout;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn lib(number: u32) -> Vec<(String, u32)> {
    vec![("lib".to_owned(), number)]
}

#[tokio::test(start_paused = true)]
async fn publishing_a_layer_rebuilds_what_uses_it_and_one_call_takes_it_back() {
    let house = House::new().await;
    let tenants = tenants(&house, 3).await;
    let without = house.tenant("without", Quota::default()).await;
    house.function(&without, "enrich", "ok").await;
    let builds = house.sandbox.builds.load(Ordering::SeqCst);

    assert_eq!(publish(&house, "two", true).await, 2);
    let rollout = ended(&house, 2).await;
    assert_eq!((rollout.state, rollout.total, rollout.made), (RolloutState::Done, 3, 3));
    assert_eq!(house.sandbox.builds.load(Ordering::SeqCst), builds + 3, "each once");
    assert_eq!(*house.sandbox.layers.lock().unwrap(), [("lib".to_owned(), "two".to_owned())]);
    for tenant in &tenants {
        assert_eq!(live(&house, tenant).await, (2, lib(2)));
    }
    assert_eq!(live(&house, &without).await, (1, Vec::new()));
    let version = async |number| {
        let function = house.engine.registry().function(tenants[0].id, &name("enrich")).await.unwrap().unwrap();
        house.store.version(tenants[0].id, function.id, number).await.unwrap().unwrap()
    };
    let (one, two) = (version(1).await, version(2).await);
    assert_eq!((one.package, &one.config), (two.package, &two.config), "the same code, configured as it was");

    // One of them is deployed since, with the new layer.
    house.configured(&tenants[1], "enrich", "ok", uses_lib()).await;
    let (current, rollout) = house.engine.take_back_layer(&name("lib")).await.unwrap();
    let rollout = rollout.unwrap();
    assert_eq!((current.number, rollout.state), (1, RolloutState::TakenBack));
    assert_eq!((rollout.restored, rollout.kept), (2, 1));
    assert_eq!(live(&house, &tenants[0]).await, (1, lib(1)));
    assert_eq!(live(&house, &tenants[1]).await, (3, lib(2)), "deployed since: left alone");
    house.configured(&tenants[2], "enrich", "ok", uses_lib()).await;
    assert_eq!(live(&house, &tenants[2]).await, (3, lib(1)), "new deploys take the former version");
    assert_eq!(house.engine.take_back_layer(&name("lib")).await.unwrap_err().kind, ErrorKind::Conflict);

    assert_eq!(publish(&house, "three", true).await, 3);
    ended(&house, 3).await;
    for tenant in &tenants {
        assert_eq!(live(&house, tenant).await.1, lib(3));
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_build_keeps_its_live_version_and_is_listed_with_the_error() {
    let house = House::new().await;
    let tenants = tenants(&house, 2).await;
    house.configured(&tenants[0], "enrich", "refuses this layer", uses_lib()).await;
    publish(&house, "refuses", true).await;
    let rollout = ended(&house, 2).await;
    assert_eq!((rollout.state, rollout.made, rollout.failed), (RolloutState::Failed, 1, 1));
    let failures = house.store.rollout_failures(&name("lib"), 2, Default::default()).await.unwrap().items;
    assert_eq!((failures[0].tenant, failures[0].error.as_str()), (tenants[0].id, "Error: top level threw"));
    assert_eq!(live(&house, &tenants[0]).await, (2, lib(1)));
    assert_eq!(live(&house, &tenants[1]).await, (2, lib(2)));
}

#[tokio::test(start_paused = true)]
async fn a_package_that_cannot_be_read_is_one_functions_failure_and_the_rollout_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (store, sandbox) = (MemoryStore::new(), Scripted::new(by_name));
    let code = CodeStore::in_folder(folder.path()).unwrap();
    let clock: Arc<dyn Clock> = RuntimeClock::new();
    let engine = start(&store, &sandbox, &code, &clock, 0).await;
    let house = House { engine, store, sandbox, code, clock };
    let tenants = tenants(&house, 2).await;
    house.configured(&tenants[0], "enrich", "will be damaged", uses_lib()).await;
    let damaged = folder.path().join(ObjectHash::of(b"will be damaged").path());
    assert!(damaged.exists());
    std::fs::write(damaged, "something else").unwrap();
    publish(&house, "two", true).await;
    let rollout = tokio::time::timeout(Duration::from_secs(600), ended(&house, 2)).await.unwrap();
    assert_eq!((rollout.state, rollout.made, rollout.failed), (RolloutState::Failed, 1, 1));
    let failures = house.store.rollout_failures(&name("lib"), 2, Default::default()).await.unwrap().items;
    assert_eq!(failures[0].tenant, tenants[0].id);
    assert_eq!(failures[0].error, "its package cannot be read: internal error", "the rest is for the log");
    assert_eq!(live(&house, &tenants[0]).await, (2, lib(1)));
    assert_eq!(live(&house, &tenants[1]).await, (2, lib(2)));
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_something_hinders_holds_up_no_other_layers() {
    let house = House::new().await;
    let tenants = tenants(&house, 1).await;
    house.engine.publish_layer(&name("audit"), zip("audit"), false).await.unwrap();
    let other = house.tenant("other", Quota::default()).await;
    let audited = FunctionConfig { layers: vec![name("audit")], ..FunctionConfig::default() };
    house.configured(&other, "enrich", "ok", audited).await;
    publish(&house, "hinders", true).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    house.engine.publish_layer(&name("audit"), zip("two"), true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let rollout = async |layer: &str| house.store.rollout(&name(layer), Some(2)).await.unwrap().unwrap();
    assert_eq!(rollout("audit").await.state, RolloutState::Done);
    assert_eq!(live(&house, &other).await, (2, vec![("audit".to_owned(), 2)]));
    assert_eq!(rollout("lib").await.state, RolloutState::Running, "it is tried again and again");
    assert_eq!(live(&house, &tenants[0]).await, (1, lib(1)));
}

#[tokio::test(start_paused = true)]
async fn a_deploy_under_way_goes_live_with_the_layers_that_are_current_by_then() {
    let house = House::new().await;
    let tenants = tenants(&house, 1).await;
    let deploys = || {
        let (engine, tenant) = (house.engine.clone(), Arc::clone(&tenants[0]));
        tokio::spawn(async move {
            let package = Bytes::from_static(b"takes long to build");
            engine.deploy(&tenant, &name("enrich"), package, PackageKind::JavaScript, true).await
        })
    };
    let half_a_build = || tokio::time::sleep(BUILD_TAKES / 2);
    let deploy = deploys();
    half_a_build().await;
    publish(&house, "two", true).await;
    assert_eq!(ended(&house, 2).await.state, RolloutState::Done);
    assert_eq!(live(&house, &tenants[0]).await, (2, lib(2)));
    deploy.await.unwrap().unwrap();
    assert_eq!(live(&house, &tenants[0]).await, (3, lib(2)), "not with what it froze before the rollout");

    let deploy = deploys();
    half_a_build().await;
    house.engine.take_back_layer(&name("lib")).await.unwrap();
    deploy.await.unwrap().unwrap();
    assert_eq!(live(&house, &tenants[0]).await, (4, lib(1)), "nor with what was taken back");

    let deploy = deploys();
    for content in ["three", "four", "five"] {
        half_a_build().await;
        publish(&house, content, false).await;
        half_a_build().await;
    }
    let DeployError::Error(refused) = deploy.await.unwrap().unwrap_err() else { panic!("it was built") };
    assert_eq!((refused.kind, refused.message.contains("layer lib changed")), (ErrorKind::Conflict, true));
    assert_eq!(live(&house, &tenants[0]).await, (4, lib(1)));
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_is_not_wanted_changes_nothing_that_is_live() {
    let house = House::new().await;
    let tenants = tenants(&house, 1).await;
    publish(&house, "two", false).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(live(&house, &tenants[0]).await, (1, lib(1)));
    assert_eq!(house.store.rollout(&name("lib"), None).await.unwrap(), None);
    house.configured(&tenants[0], "enrich", "ok", uses_lib()).await;
    assert_eq!(live(&house, &tenants[0]).await, (2, lib(2)));
    let (current, rollout) = house.engine.take_back_layer(&name("lib")).await.unwrap();
    assert_eq!((current.number, rollout), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_rollout_goes_on_after_a_restart_and_does_nothing_twice() {
    let House { engine, store, sandbox, code, clock } = House::new().await;
    let house =
        House { engine, store: store.clone(), sandbox: sandbox.clone(), code: code.clone(), clock: clock.clone() };
    let tenants = tenants(&house, 4).await;
    // As far as it came before the process died: two of four.
    let package = code.put(zip("two")).await.unwrap();
    let version = house.store.publish_layer(&name("lib"), package, true, clock.now()).await.unwrap().number;
    for of in house.store.rollout_pending(&name("lib"), version, None, 2).await.unwrap() {
        let live = house.store.version(of.tenant, of.function, of.live).await.unwrap().unwrap();
        let new = sublet_store::NewVersion {
            config: live.config,
            package: live.package,
            package_bytes: live.package_bytes,
            image: live.image,
            engine_hash: live.engine_hash,
            layers: vec![(name("lib"), version)],
            make_live: true,
        };
        house.store.step_rollout(&name("lib"), version, of, Ok(new), clock.now()).await.unwrap();
    }
    drop(house);
    let builds = sandbox.builds.load(Ordering::SeqCst);
    let store = store.reopen();
    let engine = start(&store, &sandbox, &code, &clock, 1).await;
    let house = House { engine, store, sandbox, code, clock };
    let rollout = ended(&house, version).await;
    assert_eq!((rollout.state, rollout.made), (RolloutState::Done, 4));
    assert_eq!(house.sandbox.builds.load(Ordering::SeqCst), builds + 2);
    for tenant in &tenants {
        assert_eq!(live(&house, tenant).await, (2, lib(2)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenants_wrappers_come_before_a_functions_own_layers_from_its_next_version_on() {
    let house = House::new().await;
    let tenants = tenants(&house, 1).await;
    house.engine.publish_layer(&name("audit"), zip("audit"), true).await.unwrap();
    let spec = TenantSpec { wrappers: vec![name("audit")], ..tenants[0].spec.clone() };
    let acme = house.engine.registry().put_tenant(&tenants[0].name, spec).await.unwrap().0;
    assert_eq!(live(&house, &acme).await, (1, lib(1)), "nothing changes by itself");
    let package = Bytes::from_static(b"ok");
    house.engine.deploy(&acme, &name("enrich"), package, PackageKind::JavaScript, true).await.unwrap();
    let both = |number| vec![("audit".to_owned(), 1), ("lib".to_owned(), number)];
    assert_eq!(live(&house, &acme).await, (2, both(1)));
    publish(&house, "two", true).await;
    ended(&house, 2).await;
    assert_eq!(live(&house, &acme).await, (3, both(2)));
    let nameless = TenantSpec { wrappers: vec![name("nobody")], ..acme.spec.clone() };
    let refused = house.engine.registry().put_tenant(&acme.name, nameless).await.unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("wrappers")));
}
