//! Rollouts of layers: there, in steps, and back.

use sublet_model::{ErrorKind, FunctionConfig, Name};

use super::world::{Tenant, World, every_page, first, name, refusal};
use crate::code::ObjectHash;
use crate::rollout::ROLLOUTS_KEPT;
use crate::{LayerRecord, LiveUse, NewVersion, Quarantine, QuarantineCause, RolloutRecord, RolloutState, StepEnd};

fn lib() -> Name {
    name("lib")
}

fn new_version(content: &str, layers: &[(&str, u32)]) -> NewVersion {
    NewVersion {
        config: FunctionConfig::default(),
        package: ObjectHash::of(content.as_bytes()),
        package_bytes: 1,
        image: ObjectHash::of(b"image"),
        engine_hash: "engine-1".to_owned(),
        layers: layers.iter().map(|(layer, number)| (name(layer), *number)).collect(),
        make_live: true,
    }
}

async fn deploy(world: &World, tenant: &Tenant, layers: &[(&str, u32)]) -> u32 {
    let new = new_version("code", layers);
    world.store().publish_version(tenant.id, tenant.function, new, world.now).await.unwrap().number
}

async fn publish(world: &World, rolls_out: bool) -> LayerRecord {
    world.store().publish_layer(&lib(), ObjectHash::of(b"layer"), rolls_out, world.now).await.unwrap()
}

async fn pending(world: &World, version: u32) -> Vec<LiveUse> {
    world.store().rollout_pending(&lib(), version, None, 100).await.unwrap()
}

async fn step(world: &World, version: u32, of: LiveUse) -> StepEnd {
    let new = Ok(new_version("code", &[("lib", version)]));
    world.store().step_rollout(&lib(), version, of, new, world.now).await.unwrap()
}

async fn rollout(world: &World) -> RolloutRecord {
    world.store().rollout(&lib(), None).await.unwrap().unwrap()
}

async fn live(world: &World, tenant: &Tenant) -> Option<u32> {
    world.store().function_by_id(tenant.id, tenant.function).await.unwrap().unwrap().live
}

/// Tenants whose function uses version 1 of the layer, the first of two.
async fn three(world: &mut World) -> [Tenant; 3] {
    publish(world, false).await;
    let tenants = [world.tenant("acme").await, world.tenant("beta").await, world.tenant("zeta").await];
    for tenant in &tenants {
        deploy(world, tenant, &[("lib", 1), ("other", 7)]).await;
    }
    tenants
}

pub(super) async fn a_rollout_begins_with_its_version_and_knows_whom_it_is_for(world: &mut World) {
    let [acme, beta, zeta] = three(world).await;
    assert_eq!(world.store().rollout(&lib(), None).await.unwrap(), None, "version 1 was not rolled out");
    // One that uses another layer, and one whose live version has none.
    deploy(world, &beta, &[("other", 7)]).await;
    let idle = world.function(zeta.id, "idle").await;
    let made = world.store().publish_version(zeta.id, idle, new_version("x", &[]), world.now).await.unwrap();
    assert_eq!(made.number, 1);
    let before = world.store().revision();
    let second = publish(world, true).await;
    assert!(second.is_current && world.store().revision() > before);
    let begun = rollout(world).await;
    assert_eq!((begun.version, begun.state, begun.total), (2, RolloutState::Running, 2));
    assert_eq!((begun.made, begun.failed, begun.passed_over, begun.ended), (0, 0, 0, None));
    assert_eq!(world.store().unfinished_rollouts().await.unwrap(), [begun]);
    let uses = [&acme, &zeta].map(|tenant| LiveUse { tenant: tenant.id, function: tenant.function, live: 1 });
    assert_eq!(pending(world, 2).await, uses);
    let rest = world.store().rollout_pending(&lib(), 2, Some(acme.function), 100).await.unwrap();
    assert_eq!(rest, uses[1..]);
    assert_eq!(world.store().rollout_pending(&lib(), 2, None, 1).await.unwrap(), uses[..1]);
    assert_eq!(world.store().rollout(&name("other"), None).await.unwrap(), None);
}

pub(super) async fn a_step_makes_a_version_and_puts_it_live_in_one_commit(world: &mut World) {
    let [acme, ..] = three(world).await;
    publish(world, true).await;
    let why = Quarantine {
        reason: "crashes".to_owned(),
        cause: QuarantineCause::Crashes,
        count: 3,
        of: 3,
        first: None,
        last: None,
        at: world.now,
    };
    world.store().quarantine_function(acme.id, acme.function, Some(why)).await.unwrap();
    let (of, before) = (pending(world, 2).await[0], world.store().revision());
    assert_eq!(step(world, 2, of).await, StepEnd::Made(2));
    assert!(world.store().revision() > before);
    world.restart().await;
    let function = world.store().function_by_id(acme.id, acme.function).await.unwrap().unwrap();
    assert_eq!((function.live, function.quarantined), (Some(2), None));
    let version = world.store().version(acme.id, acme.function, 2).await.unwrap().unwrap();
    assert_eq!(version.layers, [(lib(), 2)]);
    assert_eq!(rollout(world).await.made, 1);
    assert_eq!(pending(world, 2).await.len(), 2);
}

pub(super) async fn a_function_whose_live_version_moved_is_passed_over(world: &mut World) {
    let [acme, beta, zeta] = three(world).await;
    publish(world, true).await;
    let uses = pending(world, 2).await;
    deploy(world, &acme, &[("lib", 1)]).await;
    world.store().delete_function(beta.id, &name("enrich")).await.unwrap();
    assert_eq!(step(world, 2, uses[0]).await, StepEnd::PassedOver);
    assert_eq!(step(world, 2, uses[1]).await, StepEnd::PassedOver);
    assert_eq!(live(world, &acme).await, Some(2), "what was deployed meanwhile");
    assert_eq!(world.store().version(acme.id, acme.function, 3).await.unwrap(), None, "nothing was made");
    let error = Err("does not build".to_owned());
    deploy(world, &zeta, &[("lib", 2)]).await;
    let end = world.store().step_rollout(&lib(), 2, uses[2], error, world.now).await.unwrap();
    assert_eq!(end, StepEnd::PassedOver, "nobody runs what did not build");
    let ended = world.store().end_rollout(&lib(), 2, world.now).await.unwrap();
    assert_eq!((ended.state, ended.total, ended.passed_over), (RolloutState::Done, 3, 3));
}

pub(super) async fn each_function_has_one_step_and_only_while_the_rollout_runs(world: &mut World) {
    let [acme, ..] = three(world).await;
    publish(world, true).await;
    let of = pending(world, 2).await[0];
    step(world, 2, of).await;
    let again = async |world: &World, of, version| {
        let new = Ok(new_version("again", &[("lib", version)]));
        world.store().step_rollout(&lib(), version, of, new, world.now).await
    };
    let moved = LiveUse { live: 2, ..of };
    assert_eq!(refusal(again(world, of, 2).await), ErrorKind::Conflict);
    assert_eq!(refusal(again(world, moved, 2).await), ErrorKind::Conflict);
    assert_eq!(refusal(again(world, moved, 9).await), ErrorKind::Conflict);
    let other = pending(world, 2).await[0];
    world.store().end_rollout(&lib(), 2, world.now).await.unwrap();
    assert_eq!(refusal(again(world, other, 2).await), ErrorKind::Conflict);
    assert_eq!(refusal(world.store().end_rollout(&lib(), 2, world.now).await), ErrorKind::Conflict);
    assert_eq!(live(world, &acme).await, Some(2));
    assert_eq!(world.store().version(acme.id, acme.function, 3).await.unwrap(), None);
}

pub(super) async fn a_rollout_ends_as_done_or_as_failed_with_what_did_not_build(world: &mut World) {
    let [acme, beta, zeta] = three(world).await;
    publish(world, true).await;
    let uses = pending(world, 2).await;
    step(world, 2, uses[1]).await;
    for of in [uses[0], uses[2]] {
        let error = format!("SyntaxError: {}", of.function);
        let end = world.store().step_rollout(&lib(), 2, of, Err(error.clone()), world.now).await.unwrap();
        assert_eq!(end, StepEnd::Failed(error));
    }
    assert_eq!((live(world, &acme).await, live(world, &beta).await), (Some(1), Some(2)));
    let ended = world.store().end_rollout(&lib(), 2, world.now).await.unwrap();
    assert_eq!((ended.state, ended.made, ended.failed, ended.total), (RolloutState::Failed, 1, 2, 3));
    assert_eq!(ended.ended, Some(world.now));
    world.restart().await;
    assert_eq!(rollout(world).await, ended);
    assert_eq!(world.store().unfinished_rollouts().await.unwrap(), []);
    let failures = every_page(1, async |page| world.store().rollout_failures(&lib(), 2, page).await).await;
    let told: Vec<_> = failures.iter().map(|one| (one.tenant, one.function, one.error.as_str())).collect();
    let text = |tenant: &Tenant| format!("SyntaxError: {}", tenant.function);
    assert_eq!(told, [(acme.id, acme.function, text(&acme).as_str()), (zeta.id, zeta.function, text(&zeta).as_str())]);
    assert_eq!(world.store().rollout_failures(&lib(), 1, first()).await.unwrap().items, []);
}

pub(super) async fn a_rollout_goes_on_after_a_crash_with_what_has_no_step(world: &mut World) {
    three(world).await;
    publish(world, true).await;
    let uses = pending(world, 2).await;
    step(world, 2, uses[0]).await;
    let error = Err("does not build".to_owned());
    world.store().step_rollout(&lib(), 2, uses[1], error, world.now).await.unwrap();
    world.crash().await;
    world.restart().await;
    let open = world.store().unfinished_rollouts().await.unwrap();
    assert_eq!((open.len(), open[0].made, open[0].failed), (1, 1, 1));
    assert_eq!(pending(world, 2).await, uses[2..], "one that failed is not tried again");
}

pub(super) async fn a_newer_version_supersedes_the_rollout_that_runs(world: &mut World) {
    three(world).await;
    publish(world, true).await;
    let uses = pending(world, 2).await;
    step(world, 2, uses[0]).await;
    publish(world, false).await;
    let former = world.store().rollout(&lib(), Some(2)).await.unwrap().unwrap();
    assert_eq!((former.state, former.ended), (RolloutState::Superseded, Some(world.now)));
    let new = Ok(new_version("late", &[("lib", 2)]));
    assert_eq!(
        refusal(world.store().step_rollout(&lib(), 2, uses[1], new, world.now).await),
        ErrorKind::Conflict,
        "what was being built for it is let go"
    );
    publish(world, true).await;
    assert_eq!(rollout(world).await.total, 3, "those of version 1 and that of version 2");
}

pub(super) async fn what_is_taken_back_is_what_the_rollout_made_and_is_still_live(world: &mut World) {
    let [acme, beta, zeta] = three(world).await;
    publish(world, true).await;
    let uses = pending(world, 2).await;
    step(world, 2, uses[0]).await;
    step(world, 2, uses[1]).await;
    deploy(world, &beta, &[("lib", 2)]).await;
    let current = world.store().take_back_layer(&lib(), world.now).await.unwrap();
    assert_eq!((current.number, current.is_current), (1, true));
    assert_eq!(world.store().layer(&lib(), None).await.unwrap(), Some(current));
    let new = Ok(new_version("late", &[("lib", 2)]));
    assert_eq!(refusal(world.store().step_rollout(&lib(), 2, uses[2], new, world.now).await), ErrorKind::Conflict);

    let back = world.store().steps_back(&lib(), 2, 100, world.now).await.unwrap();
    assert_eq!((back.restored, back.is_partial), (vec![(acme.id, acme.function)], false));
    let live = [live(world, &acme).await, live(world, &beta).await, live(world, &zeta).await];
    assert_eq!(live, [Some(1), Some(3), Some(1)], "taken back, deployed since, never reached");
    let taken = rollout(world).await;
    assert_eq!((taken.state, taken.restored, taken.kept), (RolloutState::TakenBack, 1, 1));
    assert_eq!(taken.ended, Some(world.now));
    let again = world.store().steps_back(&lib(), 2, 100, world.now).await.unwrap();
    assert_eq!((again.restored, again.is_partial), (vec![], false), "each goes back once");
}

pub(super) async fn what_made_nothing_is_taken_back_at_once(world: &mut World) {
    three(world).await;
    publish(world, true).await;
    let of = pending(world, 2).await[0];
    let error = Err("does not build".to_owned());
    world.store().step_rollout(&lib(), 2, of, error, world.now).await.unwrap();
    world.store().take_back_layer(&lib(), world.now).await.unwrap();
    world.restart().await;
    let taken = rollout(world).await;
    assert_eq!((taken.state, taken.failed, taken.ended), (RolloutState::TakenBack, 1, Some(world.now)));
    assert_eq!(world.store().unfinished_rollouts().await.unwrap(), []);
}

pub(super) async fn a_way_back_goes_on_after_a_crash(world: &mut World) {
    let tenants = three(world).await;
    publish(world, true).await;
    for of in pending(world, 2).await {
        step(world, 2, of).await;
    }
    world.store().end_rollout(&lib(), 2, world.now).await.unwrap();
    assert_eq!(refusal(world.store().steps_back(&lib(), 2, 2, world.now).await), ErrorKind::Conflict);
    world.store().take_back_layer(&lib(), world.now).await.unwrap();
    let back = world.store().steps_back(&lib(), 2, 2, world.now).await.unwrap();
    assert_eq!((back.restored.len(), back.is_partial), (2, true));
    world.crash().await;
    world.restart().await;
    let open = world.store().unfinished_rollouts().await.unwrap();
    assert_eq!((open.len(), open[0].state, open[0].restored), (1, RolloutState::TakenBack, 2));
    let back = world.store().steps_back(&lib(), 2, 2, world.now).await.unwrap();
    assert_eq!((back.restored.len(), back.is_partial), (1, false));
    for tenant in &tenants {
        assert_eq!(live(world, tenant).await, Some(1));
    }
    assert_eq!(world.store().unfinished_rollouts().await.unwrap(), []);
}

pub(super) async fn a_layer_goes_back_version_by_version_and_on_again(world: &mut World) {
    let none = world.store().take_back_layer(&lib(), world.now).await;
    assert_eq!(refusal(none), ErrorKind::NotFound);
    for _ in 0..3 {
        publish(world, true).await;
    }
    let back = async |world: &World| world.store().take_back_layer(&lib(), world.now).await.map(|layer| layer.number);
    assert_eq!(back(world).await.unwrap(), 2);
    assert_eq!(back(world).await.unwrap(), 1);
    assert_eq!(refusal(back(world).await), ErrorKind::Conflict, "nothing came before the first");
    assert_eq!(publish(world, true).await.number, 4, "numbers go on");
    assert_eq!(back(world).await.unwrap(), 1, "what was current before it, not the number before it");
    world.restart().await;
    let versions = world.store().layer_versions(&lib(), first()).await.unwrap().items;
    let told: Vec<_> = versions.iter().map(|layer| (layer.number, layer.is_current)).collect();
    assert_eq!(told, [(4, false), (3, false), (2, false), (1, true)]);
    assert_eq!(world.store().layers().await.unwrap()[0].number, 1);
}

pub(super) async fn only_the_latest_rollouts_are_kept(world: &mut World) {
    for _ in 0..=ROLLOUTS_KEPT {
        publish(world, true).await;
    }
    assert_eq!(world.store().rollout(&lib(), Some(1)).await.unwrap(), None);
    assert!(world.store().rollout(&lib(), Some(2)).await.unwrap().is_some());
}

pub(super) async fn a_deleted_tenants_steps_go_with_it(world: &mut World) {
    let [acme, ..] = three(world).await;
    publish(world, true).await;
    let of = pending(world, 2).await[0];
    let error = Err("secret source text".to_owned());
    world.store().step_rollout(&lib(), 2, of, error, world.now).await.unwrap();
    world.store().delete_tenant(&acme.name, world.now).await.unwrap();
    world.restart().await;
    assert_eq!(world.store().rollout_failures(&lib(), 2, first()).await.unwrap().items, []);
    assert_eq!(rollout(world).await.failed, 0);
}
