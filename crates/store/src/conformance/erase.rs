//! Deleting a tenant: what goes, what is emptied, what stays.

use bytes::Bytes;
use sublet_model::{EndReason, ErrorKind, FunctionConfig, InvocationState};

use super::world::{Tenant, World, every_page, first, identity, name, refusal, spec};
use crate::code::ObjectHash;
use crate::{Balance, DeliveryState, KeyScope, NewKey, NewVersion, Next, Published};

async fn delete(world: &World, tenant: &Tenant) {
    world.store().delete_tenant(&tenant.name, world.now).await.unwrap();
}

pub(super) async fn a_deleted_tenant_is_gone_with_what_it_set_up(world: &mut World) {
    let acme = world.tenant("acme").await;
    let version = NewVersion {
        config: FunctionConfig::default(),
        package: ObjectHash::of(b"package"),
        package_bytes: 7,
        image: ObjectHash::of(b"image"),
        engine_hash: "engine".to_owned(),
        layers: Vec::new(),
        make_live: true,
    };
    world.store().publish_version(acme.id, acme.function, version, world.now).await.unwrap();
    let rule = r#"{"pattern": {"source": ["a"]}, "targets": [{"function": {"name": "enrich"}}]}"#;
    let rule = serde_json::from_str(rule).unwrap();
    world.store().put_rule(Some(acme.id), &name("tag"), rule, world.now).await.unwrap();
    let key = NewKey::new(KeyScope::Tenant(acme.id), "ci", [1; 32]);
    world.store().put_key(key, world.now).await.unwrap();
    let operator = NewKey::new(KeyScope::Operator, "ops", [2; 32]);
    world.store().put_key(operator, world.now).await.unwrap();
    delete(world, &acme).await;

    let store = world.store();
    assert_eq!(store.tenant(&acme.name).await.unwrap(), None);
    assert_eq!(store.tenant_by_id(acme.id).await.unwrap(), None);
    assert!(store.tenants(first()).await.unwrap().items.is_empty());
    assert_eq!(store.function(acme.id, &name("enrich")).await.unwrap(), None);
    assert_eq!(store.function_by_id(acme.id, acme.function).await.unwrap(), None);
    assert!(store.functions(acme.id, first()).await.unwrap().items.is_empty());
    assert_eq!(store.version(acme.id, acme.function, 1).await.unwrap(), None);
    assert!(store.aliases(acme.id, acme.function).await.unwrap().is_empty());
    assert!(store.rules(Some(acme.id)).await.unwrap().is_empty());
    assert!(store.all_rules().await.unwrap().is_empty());
    assert_eq!(store.key_by_hash(&[1; 32]).await.unwrap(), None);
    assert!(store.key_by_hash(&[2; 32]).await.unwrap().is_some());
    assert_eq!(refusal(store.delete_tenant(&acme.name, world.now).await), ErrorKind::NotFound);
}

pub(super) async fn bodies_results_and_logs_are_erased_and_the_records_stay(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (succeeded, dead) = (world.succeeded(&acme).await, world.dead(&acme).await);
    let delivered = world.delivered(&acme, "crm");
    world.accept(delivered.clone()).await;
    let records = [world.record(&acme, succeeded).await, world.record(&acme, dead).await];
    delete(world, &acme).await;

    for record in records {
        assert_eq!(world.record(&acme, record.id).await, record, "what ended stays as it ended");
        let attempts = world.store().attempts(acme.id, record.id).await.unwrap();
        assert_eq!(attempts.len(), 1);
        let end = &attempts[0].end;
        assert_eq!((&end.result, &end.failure, &end.fetches), (&None, &None, &None));
        assert!(end.log.is_empty());
        assert_eq!(end.usage.bytes_out, 42, "the ledger line stays");
    }
    for event in every_page(10, async |page| world.store().events(Some(acme.id), page).await).await {
        assert!(event.body.is_empty());
    }
    assert_eq!(world.store().delivery_body(delivered.deliveries[0].id, delivered.id).await.unwrap(), None);
    world.check().await;
}

pub(super) async fn long_bodies_are_erased_like_short_ones(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let long = |letter: u8| Bytes::from(vec![letter; 40_000]);
    let mut made = Vec::new();
    for tenant in [&acme, &zeta] {
        let mut event = world.matched(tenant);
        event.body = long(b'e');
        event.invocations[0].input = Some(long(b'i'));
        world.accept(event.clone()).await;
        let lease = world.claim(tenant, event.invocations[0].id).await;
        let mut settle = world.settlement(lease, Next::Succeed);
        (settle.end.result, settle.end.log) = (Some(long(b'r')), long(b'l'));
        world.store().settle(settle.clone()).await.unwrap();
        made.push((event, settle.end));
    }
    delete(world, &acme).await;
    for _ in ["before a crash", "after it"] {
        let (event, _) = &made[0];
        assert!(world.store().event(event.id).await.unwrap().unwrap().body.is_empty());
        let end = world.store().attempts(acme.id, event.invocations[0].id).await.unwrap().remove(0).end;
        assert_eq!((end.result, end.log.len()), (None, 0));
        let (event, end) = &made[1];
        assert_eq!(world.store().event(event.id).await.unwrap().unwrap().body, event.body, "another tenant's stay");
        let kept = world.store().attempts(zeta.id, event.invocations[0].id).await.unwrap().remove(0).end;
        assert_eq!(kept, *end);
        world.restart().await;
    }
}

pub(super) async fn what_waits_is_cancelled_and_what_runs_is_fenced(world: &mut World) {
    let acme = world.tenant("acme").await;
    let waits = world.waiting(&acme).await;
    let (retries, runs, invoke) = (world.running(&acme).await, world.running(&acme).await, world.invoking(&acme).await);
    world.settle(retries, Next::Retry { due: world.now, spent: true }).await;
    delete(world, &acme).await;

    for id in [waits, retries.invocation, runs.invocation, invoke.invocation] {
        let record = world.record(&acme, id).await;
        assert_eq!((record.state, record.reason), (InvocationState::Cancelled, Some(EndReason::TenantDeleted)));
        assert_eq!(record.ended, Some(world.now));
        assert_eq!(world.store().work(acme.id, id).await.unwrap(), None);
    }
    let balance = world.store().balance(acme.id).await.unwrap();
    assert_eq!(balance, Balance { accepted: 3, cancelled: 3, ..Balance::default() });
    let photo = world.photograph().await;
    for lease in [runs, invoke] {
        assert_eq!(refusal(world.try_settle(lease, Next::Succeed).await), ErrorKind::Fenced);
    }
    world.acquire().await;
    assert_eq!(world.photograph().await, photo, "and there is nothing left to rescue");
    assert!(world.store().attempts(acme.id, runs.invocation).await.unwrap().is_empty());
}

pub(super) async fn outbox_lines_and_pending_deliveries_go(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    world.succeeded(&acme).await;
    let kept = world.succeeded(&zeta).await;
    let (gone, stays) = (world.delivered(&acme, "crm"), world.delivered(&zeta, "crm"));
    let ids = [gone.deliveries[0].id, stays.deliveries[0].id];
    world.publish(vec![gone, stays]).await;
    let lines = world.outbox().await;
    delete(world, &acme).await;
    let left = world.outbox().await;
    assert_eq!(left.iter().map(|line| line.invocation.id).collect::<Vec<_>>(), [kept]);
    let states = [DeliveryState::Failed, DeliveryState::Pending];
    for (id, state) in ids.into_iter().zip(states) {
        assert_eq!(world.store().delivery(id).await.unwrap().unwrap().state, state);
    }
    // The engine may have read the line before: its event comes too late.
    let mut late = world.event(Some(acme.id));
    late.consumes = Some(lines[0].id);
    assert_eq!(world.publish(vec![late]).await, [Published::Consumed]);
}

pub(super) async fn the_ledger_stays(world: &mut World) {
    let acme = world.tenant("acme").await;
    world.succeeded(&acme).await;
    world.dead(&acme).await;
    let usage = world.usage().await;
    assert_eq!(usage[0].sum.attempts, 2);
    delete(world, &acme).await;
    assert_eq!(world.usage().await, usage);
    world.restart().await;
    assert_eq!(world.usage().await, usage);
    world.check().await;
}

pub(super) async fn identities_are_free_again(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let [mut of_acme, mut of_zeta] = [world.matched(&acme), world.matched(&zeta)];
    of_acme.identity = Some(identity(1, 1));
    of_zeta.identity = Some(identity(2, 2));
    world.publish(vec![of_acme, of_zeta]).await;
    delete(world, &acme).await;
    for crash in [false, true] {
        if crash {
            world.restart().await;
        }
        assert_eq!(world.store().event_by_identity([1; 16]).await.unwrap(), None);
        assert!(world.store().event_by_identity([2; 16]).await.unwrap().is_some());
    }
    let anew = world.tenant("acme").await;
    let mut event = world.matched(&anew);
    event.identity = Some(identity(1, 9));
    world.accept(event).await;
}

pub(super) async fn another_tenant_keeps_everything(world: &mut World) {
    let zeta = world.tenant("zeta").await;
    world.waiting(&zeta).await;
    world.succeeded(&zeta).await;
    world.dead(&zeta).await;
    let lease = world.running(&zeta).await;
    let event = world.delivered(&zeta, "crm");
    world.accept(event).await;
    let photo = world.photograph().await;
    let (acme, _) = world.store().put_tenant(&name("acme"), spec(), world.now).await.unwrap();
    world.store().delete_tenant(&acme.name, world.now).await.unwrap();
    assert_eq!(world.photograph().await, photo);
    world.settle(lease, Next::Succeed).await;
    assert!(world.store().function(zeta.id, &name("enrich")).await.unwrap().is_some());
}

pub(super) async fn the_name_is_free_for_another_tenant(world: &mut World) {
    let former = world.tenant("acme").await;
    world.succeeded(&former).await;
    delete(world, &former).await;
    let anew = world.tenant("acme").await;
    assert!(anew.id > former.id && anew.function > former.function);
    assert_eq!(world.store().balance(anew.id).await.unwrap(), Balance::default());
    assert!(world.store().events(Some(anew.id), first()).await.unwrap().items.is_empty());
    world.succeeded(&anew).await;
    assert_eq!(world.store().balance(former.id).await.unwrap().accepted, 1);
}

pub(super) async fn an_erased_tenant_stays_erased_after_a_crash(world: &mut World) {
    let acme = world.tenant("acme").await;
    world.waiting(&acme).await;
    world.running(&acme).await;
    world.succeeded(&acme).await;
    let event = world.delivered(&acme, "crm");
    world.accept(event).await;
    delete(world, &acme).await;
    let photo = world.photograph().await;
    world.restart().await;
    assert_eq!(world.photograph().await, photo);
    assert_eq!(world.store().tenant(&acme.name).await.unwrap(), None);

    let zeta = world.tenant("zeta").await;
    let mut inbox = world.arrivals().await;
    let last = world.waiting(&zeta).await;
    let came = inbox.until(|waiting| waiting.invocation == last).await;
    assert_eq!(came.len(), 1, "nothing of it waits: {came:?}");
}

pub(super) async fn inputs_are_erased_wherever_they_went(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let mut event = world.delivered(&acme, "crm");
    event.deliveries[0].input = Some(Bytes::from_static(b"1"));
    let mut foreign = world.invocation(&zeta, Some(event.id));
    foreign.input = Some(Bytes::from_static(b"2"));
    event.invocations.push(foreign);
    world.accept(event.clone()).await;
    let mut kept = world.matched(&zeta);
    kept.invocations[0].input = Some(Bytes::from_static(b"3"));
    world.accept(kept.clone()).await;
    delete(world, &acme).await;

    for _ in 0..2 {
        let store = world.store();
        assert_eq!(store.delivery_body(event.deliveries[0].id, event.id).await.unwrap(), None);
        let work = store.work(zeta.id, event.invocations[0].id).await.unwrap();
        assert!(work.is_none_or(|work| work.body.is_empty()), "nothing of the tenant's is left in another's queue");
        let work = store.work(zeta.id, kept.invocations[0].id).await.unwrap().unwrap();
        assert_eq!(work.body, Bytes::from_static(b"3"));
        world.restart().await;
    }
}
