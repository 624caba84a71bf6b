//! Functions, versions and aliases.

use std::time::Duration;

use sublet_model::{ErrorKind, FunctionConfig, FunctionId, Millis};

use super::world::{World, first, name, refusal};
use crate::code::ObjectHash;
use crate::{NewVersion, Quarantine, QuarantineCause, Stop, StoppedBy, VersionRecord};

fn new_version(content: &str, make_live: bool) -> NewVersion {
    NewVersion {
        config: FunctionConfig { handler: format!("{content}.handler"), ..FunctionConfig::default() },
        package: ObjectHash::of(content.as_bytes()),
        package_bytes: content.len() as u64,
        image: ObjectHash::of(format!("image of {content}").as_bytes()),
        engine_hash: "engine-1".to_owned(),
        layers: vec![(name("lib"), 3)],
        make_live,
    }
}

fn quarantine_for(reason: &str, world: &World) -> Quarantine {
    let reason = reason.to_owned();
    Quarantine { reason, cause: QuarantineCause::Crashes, count: 3, of: 3, first: None, last: None, at: world.now }
}

async fn publish(world: &World, tenant: &super::world::Tenant, content: &str, live: bool) -> VersionRecord {
    let new = new_version(content, live);
    world.store().publish_version(tenant.id, tenant.function, new, world.now).await.unwrap()
}

pub(super) async fn a_function_is_made_and_replaced_under_one_id(world: &mut World) {
    let acme = world.tenant("acme").await;
    let score = name("score");
    let config = FunctionConfig { timeout: Millis(1_500), ..FunctionConfig::default() };
    let (made, new) = world.store().put_function(acme.id, &score, config.clone(), world.now).await.unwrap();
    assert!(new);
    assert_eq!((made.tenant, &made.name, &made.config, made.created), (acme.id, &score, &config, world.now));
    assert_eq!((made.live, &made.quarantined), (None, &None));

    let new_live = new_version("a", true);
    world.store().publish_version(acme.id, made.id, new_live, world.now).await.unwrap();
    world.store().quarantine_function(acme.id, made.id, Some(quarantine_for("crashes", world))).await.unwrap();
    world.pass(Duration::from_secs(1));
    let other = FunctionConfig { timeout: Millis(2_500), ..FunctionConfig::default() };
    let (replaced, new) = world.store().put_function(acme.id, &score, other.clone(), world.now).await.unwrap();
    assert!(!new);
    assert_eq!((replaced.id, replaced.created, &replaced.config), (made.id, made.created, &other));
    let quarantined = replaced.quarantined.as_ref().map(|why| why.reason.as_str());
    assert_eq!((replaced.live, quarantined), (Some(1), Some("crashes")), "what stays");
    assert_eq!(world.store().function(acme.id, &score).await.unwrap(), Some(replaced.clone()));
    assert_eq!(world.store().function_by_id(acme.id, made.id).await.unwrap(), Some(replaced));
    let frozen = world.store().version(acme.id, made.id, 1).await.unwrap().unwrap();
    assert_eq!(frozen.config.handler, "a.handler", "a version does not follow the function");
}

pub(super) async fn versions_count_up_and_never_change(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut made = Vec::new();
    for (number, content) in (1..).zip(["a", "b", "a"]) {
        let version = publish(world, &acme, content, false).await;
        let new = new_version(content, false);
        assert_eq!((version.number, version.function, version.created), (number, acme.function, world.now));
        assert_eq!((&version.config, &version.layers), (&new.config, &new.layers));
        assert_eq!((version.package, version.package_bytes), (new.package, new.package_bytes));
        assert_eq!((version.image, &version.engine_hash), (new.image, &new.engine_hash));
        made.push(version);
        world.pass(Duration::from_secs(1));
    }
    for version in &made {
        let kept = world.store().version(acme.id, acme.function, version.number).await.unwrap();
        assert_eq!(kept.as_ref(), Some(version));
    }
    assert_eq!(world.store().version(acme.id, acme.function, 4).await.unwrap(), None);
    assert_eq!(world.store().version(acme.id, acme.function, 0).await.unwrap(), None);
    made.reverse();
    assert_eq!(world.store().versions(acme.id, acme.function, first()).await.unwrap().items, made);
}

pub(super) async fn a_version_goes_live_when_asked(world: &mut World) {
    let acme = world.tenant("acme").await;
    let live = async |world: &World| world.store().function_by_id(acme.id, acme.function).await.unwrap().unwrap().live;
    publish(world, &acme, "a", false).await;
    assert_eq!(live(world).await, None);
    publish(world, &acme, "b", true).await;
    assert_eq!(live(world).await, Some(2));
    publish(world, &acme, "c", false).await;
    assert_eq!(live(world).await, Some(2));
    assert_eq!(world.store().function(acme.id, &name("enrich")).await.unwrap().unwrap().live, Some(2));
}

pub(super) async fn live_is_an_alias_like_any_other(world: &mut World) {
    let acme = world.tenant("acme").await;
    for content in ["a", "b", "c"] {
        publish(world, &acme, content, true).await;
    }
    let put = async |world: &World, alias: &str, version| {
        world.store().put_alias(acme.id, acme.function, &name(alias), version).await.unwrap();
    };
    put(world, "stable", 1).await;
    put(world, "beta", 3).await;
    put(world, "live", 2).await;
    put(world, "stable", 2).await;
    world.restart().await;
    let aliases = world.store().aliases(acme.id, acme.function).await.unwrap();
    assert_eq!(aliases, [(name("beta"), 3), (name("live"), 2), (name("stable"), 2)], "by name");
    let function = world.store().function_by_id(acme.id, acme.function).await.unwrap().unwrap();
    assert_eq!(function.live, Some(2), "rolled back");
}

pub(super) async fn an_alias_to_a_missing_version_is_not_found(world: &mut World) {
    let acme = world.tenant("acme").await;
    publish(world, &acme, "a", true).await;
    let unknown = FunctionId::from_raw(world.raw());
    for (function, alias, version) in [(acme.function, "live", 2), (acme.function, "beta", 0), (unknown, "live", 1)] {
        let answer = world.store().put_alias(acme.id, function, &name(alias), version).await;
        assert_eq!(refusal(answer), ErrorKind::NotFound);
    }
    assert_eq!(world.store().aliases(acme.id, acme.function).await.unwrap(), [(name("live"), 1)]);
    let new = new_version("a", true);
    let answer = world.store().publish_version(acme.id, unknown, new, world.now).await;
    assert_eq!(refusal(answer), ErrorKind::NotFound);
    let answer = world.store().quarantine_function(acme.id, unknown, None).await;
    assert_eq!(refusal(answer), ErrorKind::NotFound);
}

pub(super) async fn a_quarantine_is_lifted_by_the_next_live_version(world: &mut World) {
    let acme = world.tenant("acme").await;
    let reason =
        async |world: &World| world.store().function_by_id(acme.id, acme.function).await.unwrap().unwrap().quarantined;
    let quarantine = async |world: &World, why: Option<&str>| {
        world
            .store()
            .quarantine_function(acme.id, acme.function, why.map(|why| quarantine_for(why, world)))
            .await
            .unwrap();
    };
    publish(world, &acme, "a", true).await;
    quarantine(world, Some("crashed alone three times")).await;
    world.restart().await;
    assert_eq!(reason(world).await, Some(quarantine_for("crashed alone three times", world)));
    publish(world, &acme, "b", false).await;
    assert!(reason(world).await.is_some(), "a version that is not live changes nothing");
    publish(world, &acme, "c", true).await;
    assert_eq!(reason(world).await, None);
    quarantine(world, Some("again")).await;
    quarantine(world, None).await;
    assert_eq!(reason(world).await, None, "lifted by hand");
    quarantine(world, Some("once more")).await;
    world.store().put_alias(acme.id, acme.function, &name("beta"), 1).await.unwrap();
    assert!(reason(world).await.is_some(), "another alias changes nothing");
    world.store().put_alias(acme.id, acme.function, &name("live"), 1).await.unwrap();
    assert_eq!(reason(world).await, None, "lifted by a rollback");
}

pub(super) async fn a_stop_stays_until_it_is_lifted_whatever_goes_live(world: &mut World) {
    let acme = world.tenant("acme").await;
    let stopped =
        async |world: &World| world.store().function_by_id(acme.id, acme.function).await.unwrap().unwrap().stopped;
    let stop = Stop { reason: "it floods the mail server".to_owned(), by: StoppedBy::Tenant, at: world.now };
    world.store().stop_function(acme.id, acme.function, Some(stop.clone())).await.unwrap();
    world.restart().await;
    publish(world, &acme, "a", true).await;
    let config = FunctionConfig { timeout: Millis(2_500), ..FunctionConfig::default() };
    world.store().put_function(acme.id, &name("enrich"), config, world.now).await.unwrap();
    assert_eq!(stopped(world).await, Some(stop));
    world.store().stop_function(acme.id, acme.function, None).await.unwrap();
    assert_eq!(stopped(world).await, None);
    let unknown = FunctionId::from_raw(world.raw());
    assert_eq!(refusal(world.store().stop_function(acme.id, unknown, None).await), ErrorKind::NotFound);
}

pub(super) async fn an_image_is_replaced_and_nothing_else(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (one, two) = (publish(world, &acme, "a", true).await, publish(world, &acme, "b", true).await);
    let (image, engine) = (ObjectHash::of(b"rebuilt"), "engine-2".to_owned());
    world.store().replace_image(acme.id, acme.function, 1, image, engine.clone()).await.unwrap();
    world.restart().await;
    let rebuilt = VersionRecord { image, engine_hash: engine.clone(), ..one };
    assert_eq!(world.store().version(acme.id, acme.function, 1).await.unwrap(), Some(rebuilt));
    assert_eq!(world.store().version(acme.id, acme.function, 2).await.unwrap(), Some(two));
    let answer = world.store().replace_image(acme.id, acme.function, 3, image, engine).await;
    assert_eq!(refusal(answer), ErrorKind::NotFound);
}

pub(super) async fn a_deleted_function_takes_its_versions_and_aliases_along(world: &mut World) {
    let acme = world.tenant("acme").await;
    publish(world, &acme, "a", true).await;
    let waits = world.waiting(&acme).await;
    let other = world.function(acme.id, "score").await;
    world.store().delete_function(acme.id, &name("enrich")).await.unwrap();

    let store = world.store();
    assert_eq!(store.function(acme.id, &name("enrich")).await.unwrap(), None);
    assert_eq!(store.function_by_id(acme.id, acme.function).await.unwrap(), None);
    assert_eq!(store.version(acme.id, acme.function, 1).await.unwrap(), None);
    assert!(store.versions(acme.id, acme.function, first()).await.unwrap().items.is_empty());
    assert!(store.aliases(acme.id, acme.function).await.unwrap().is_empty());
    assert_eq!(store.functions(acme.id, first()).await.unwrap().items[0].id, other);
    // Its queue is ended by the scheduler, at each one's turn.
    assert!(world.record(&acme, waits).await.state.is_waiting());
    assert!(store.work(acme.id, waits).await.unwrap().is_some());
}

pub(super) async fn a_function_made_anew_is_another_one(world: &mut World) {
    let acme = world.tenant("acme").await;
    publish(world, &acme, "a", true).await;
    world.store().delete_function(acme.id, &name("enrich")).await.unwrap();
    let anew = super::world::Tenant { function: world.function(acme.id, "enrich").await, ..acme.clone() };
    assert!(anew.function > acme.function);
    let record = world.store().function_by_id(acme.id, anew.function).await.unwrap().unwrap();
    assert_eq!((record.live, record.quarantined), (None, None));
    assert_eq!(publish(world, &anew, "b", true).await.number, 1);
    assert_eq!(world.store().function_by_id(acme.id, acme.function).await.unwrap(), None);
}

pub(super) async fn functions_are_there_after_a_crash(world: &mut World) {
    let acme = world.tenant("acme").await;
    publish(world, &acme, "a", true).await;
    let version = publish(world, &acme, "b", true).await;
    let function = world.store().function_by_id(acme.id, acme.function).await.unwrap();
    world.restart().await;
    assert_eq!(world.store().function_by_id(acme.id, acme.function).await.unwrap(), function);
    assert_eq!(world.store().function(acme.id, &name("enrich")).await.unwrap(), function);
    assert_eq!(world.store().version(acme.id, acme.function, 2).await.unwrap(), Some(version));
    assert_eq!(publish(world, &acme, "c", false).await.number, 3);
}
