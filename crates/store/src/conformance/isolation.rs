//! Every verb that is handed a tenant, handed another's: it finds nothing and changes nothing.

use std::time::Duration;

use sublet_model::{EndReason, ErrorKind, FunctionConfig, InvocationId, InvocationState};

use super::world::{LEASE, Tenant, World, every_page, everything, first, name, refusal};
use crate::code::ObjectHash;
use crate::{Finish, InvocationFilter, KeyScope, Lease, NewKey, NewVersion, Next, Page, Selection, UsageQuery};

fn new_version() -> NewVersion {
    NewVersion {
        config: FunctionConfig::default(),
        package: ObjectHash::of(b"package"),
        package_bytes: 7,
        image: ObjectHash::of(b"image"),
        engine_hash: "engine".to_owned(),
        layers: Vec::new(),
        make_live: true,
    }
}

/// A tenant with something of everything.
async fn furnished(world: &mut World, text: &str) -> Tenant {
    let tenant = world.tenant(text).await;
    world.store().publish_version(tenant.id, tenant.function, new_version(), world.now).await.unwrap();
    let rule = r#"{"pattern": {"source": ["a"]}, "targets": [{"function": {"name": "enrich"}}]}"#;
    let rule = serde_json::from_str(rule).unwrap();
    world.store().put_rule(Some(tenant.id), &name("tag"), rule, world.now).await.unwrap();
    world.waiting(&tenant).await;
    world.succeeded(&tenant).await;
    world.dead(&tenant).await;
    tenant
}

pub(super) async fn reads_with_another_tenants_id_find_nothing(world: &mut World) {
    let (acme, zeta) = (furnished(world, "acme").await, furnished(world, "zeta").await);
    let (waits, ended) = (world.waiting(&acme).await, world.succeeded(&acme).await);
    let store = world.store();
    for id in [waits, ended] {
        assert_eq!(store.invocation(zeta.id, id).await.unwrap(), None);
        assert!(store.attempts(zeta.id, id).await.unwrap().is_empty());
        assert_eq!(store.work(zeta.id, id).await.unwrap(), None);
    }
    assert_eq!(store.function_by_id(zeta.id, acme.function).await.unwrap(), None);
    assert_eq!(store.version(zeta.id, acme.function, 1).await.unwrap(), None);
    assert!(store.versions(zeta.id, acme.function, first()).await.unwrap().items.is_empty());
    assert!(store.aliases(zeta.id, acme.function).await.unwrap().is_empty());
    let query = UsageQuery { tenant: Some(zeta.id), function: Some(acme.function), ..everything() };
    assert!(store.usage(query).await.unwrap().is_empty());
    let balance = store.balance(zeta.id).await.unwrap();
    assert_eq!((balance.accepted, balance.waiting, balance.succeeded), (3, 1, 1));
}

pub(super) async fn queue_writes_with_another_tenants_id_change_nothing(world: &mut World) {
    let (acme, zeta) = (furnished(world, "acme").await, furnished(world, "zeta").await);
    let (waits, dead) = (world.waiting(&acme).await, world.dead(&acme).await);
    let runs = world.running(&acme).await;
    let of_zeta = |invocation: InvocationId, token| world.lease(&zeta, invocation, token);
    let photo = world.photograph().await;

    assert_eq!(refusal(world.try_claim(of_zeta(waits, 1)).await), ErrorKind::Conflict);
    let stolen = of_zeta(runs.invocation, runs.token);
    assert_eq!(refusal(world.try_settle(stolen, Next::Succeed).await), ErrorKind::Fenced);
    let mixed = Lease { epoch: runs.epoch, ..stolen };
    assert_eq!(refusal(world.try_settle(mixed, Next::Succeed).await), ErrorKind::Fenced);
    let extended = world.store().extend(vec![stolen], world.now + LEASE * 9).await.unwrap();
    assert_eq!(refusal(extended.into_iter().next().unwrap()), ErrorKind::Fenced);
    let finish = Finish {
        invocation: waits,
        tenant: zeta.id,
        epoch: stolen.epoch,
        state: InvocationState::Cancelled,
        reason: EndReason::CancelledByRequest,
        at: world.now,
        announce: true,
        message: None,
    };
    assert_eq!(refusal(world.store().finish(finish).await), ErrorKind::Conflict);
    assert_eq!(world.photograph().await, photo, "nothing changed");

    let ids = Selection::Ids(vec![waits, dead, runs.invocation]);
    let reason = EndReason::CancelledByRequest;
    assert_eq!(world.store().redrive(zeta.id, ids.clone(), world.now).await.unwrap(), 0);
    assert_eq!(world.store().cancel(zeta.id, ids, reason, world.now).await.unwrap(), 0);
    assert_eq!(world.photograph().await, photo, "nothing changed");
    // All of one tenant's is nothing of another's.
    assert_eq!(world.store().cancel(zeta.id, Selection::All, reason, world.now).await.unwrap(), 1);
    assert_eq!(world.store().redrive(zeta.id, Selection::All, world.now).await.unwrap(), 1);
    assert_eq!(world.state(&acme, waits).await, InvocationState::Queued);
    assert_eq!(world.state(&acme, dead).await, InvocationState::DeadLettered);
    world.pass(Duration::from_secs(1));
    world.settle(runs, Next::Succeed).await;
}

pub(super) async fn registry_writes_with_another_tenants_id_change_nothing(world: &mut World) {
    let (acme, zeta) = (furnished(world, "acme").await, furnished(world, "zeta").await);
    world.function(acme.id, "only-acme").await;
    let store = world.store();
    let (before, revision) = (store.function_by_id(acme.id, acme.function).await.unwrap(), store.revision());
    let version = store.version(acme.id, acme.function, 1).await.unwrap();

    let published = store.publish_version(zeta.id, acme.function, new_version(), world.now).await;
    assert_eq!(refusal(published), ErrorKind::NotFound);
    let quarantined = store.quarantine_function(zeta.id, acme.function, None).await;
    assert_eq!(refusal(quarantined), ErrorKind::NotFound);
    assert_eq!(refusal(store.stop_function(zeta.id, acme.function, None).await), ErrorKind::NotFound);
    let image = ObjectHash::of(b"other");
    let replaced = store.replace_image(zeta.id, acme.function, 1, image, "other".to_owned()).await;
    assert_eq!(refusal(replaced), ErrorKind::NotFound);
    assert_eq!(refusal(store.put_alias(zeta.id, acme.function, &name("live"), 1).await), ErrorKind::NotFound);
    assert_eq!(refusal(store.delete_function(zeta.id, &name("only-acme")).await), ErrorKind::NotFound);
    assert_eq!(store.revision(), revision, "nothing changed");
    assert_eq!(store.function_by_id(acme.id, acme.function).await.unwrap(), before);
    assert_eq!(store.version(acme.id, acme.function, 1).await.unwrap(), version);

    // The same names in the other tenant are other things.
    store.delete_rule(Some(zeta.id), &name("tag")).await.unwrap();
    store.delete_function(zeta.id, &name("enrich")).await.unwrap();
    assert!(store.rule(Some(acme.id), &name("tag")).await.unwrap().is_some());
    assert_eq!(store.function(acme.id, &name("enrich")).await.unwrap(), before);
}

pub(super) async fn listings_never_show_another_tenants_rows(world: &mut World) {
    let (acme, zeta) = (furnished(world, "acme").await, furnished(world, "zeta").await);
    for _ in 0..5 {
        world.dead(&acme).await;
        world.dead(&zeta).await;
    }
    let key = |tenant: &Tenant, hash| NewKey::new(KeyScope::Tenant(tenant.id), "ci", [hash; 32]);
    world.store().put_key(key(&acme, 1), world.now).await.unwrap();
    world.store().put_key(key(&zeta, 2), world.now).await.unwrap();
    let (store, all) = (world.store(), InvocationFilter::default());
    // Cursors of the other tenant's listings, too.
    let page = Page::new(None, 2);
    let cursors = [
        None,
        store.invocations(acme.id, all, page.clone()).await.unwrap().next,
        store.dead_letters(acme.id, page).await.unwrap().next,
    ];
    for cursor in cursors {
        let page = || Page::new(cursor.clone(), 100);
        let invocations = store.invocations(zeta.id, all, page()).await.unwrap().items;
        assert!(!invocations.is_empty() && invocations.iter().all(|record| record.tenant == zeta.id));
        let dead = store.dead_letters(zeta.id, page()).await.unwrap().items;
        assert!(!dead.is_empty() && dead.iter().all(|record| record.tenant == zeta.id));
    }
    let events = every_page(3, async |page| store.events(Some(zeta.id), page).await).await;
    assert!(events.len() == 8 && events.iter().all(|event| event.tenant == Some(zeta.id)));
    let functions = store.functions(zeta.id, first()).await.unwrap().items;
    assert!(functions.len() == 1 && functions[0].tenant == zeta.id);
    let rules = store.rules(Some(zeta.id)).await.unwrap();
    assert!(rules.len() == 1 && rules[0].owner == Some(zeta.id));
    let keys = store.keys(Some(KeyScope::Tenant(zeta.id))).await.unwrap();
    assert!(keys.len() == 1 && keys[0].hash == [2; 32]);
    let usage = store.usage(UsageQuery { tenant: Some(zeta.id), ..everything() }).await.unwrap();
    assert!(usage.len() == 1 && usage[0].tenant == zeta.id);
}
