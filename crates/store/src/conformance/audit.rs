//! The audit log: lines are added and ended once, are listed newest first, and outlive what they tell of.

use std::time::Duration;

use sublet_model::{AuditId, ErrorKind, KeyId};

use super::world::{Tenant, World, every_page, first, refusal};
use crate::{AuditEnd, AuditFilter, AuditRecord, KeyRole, KeyScope, NewAudit};

fn line(key: i64, operation: &str, about: Option<&Tenant>) -> NewAudit {
    NewAudit {
        key: KeyId::from_raw(key),
        label: "ops".to_owned(),
        scope: KeyScope::Operator,
        role: KeyRole::Admin,
        operation: operation.to_owned(),
        target: "/v1/tenants/acme".to_owned(),
        tenant: about.map(|tenant| (tenant.id, tenant.name.clone())),
        request: "req_1".to_owned(),
        from: [192, 0, 2, 1].into(),
    }
}

async fn all(world: &World, filter: AuditFilter) -> Vec<AuditRecord> {
    every_page(2, async |page| world.store().audit(filter.clone(), page).await).await
}

fn ids(records: &[AuditRecord]) -> Vec<AuditId> {
    records.iter().map(|record| record.id).collect()
}

pub(super) async fn a_line_is_there_before_its_end_and_after_a_crash(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut given = line(1, "put_rule", Some(&acme));
    given.scope = KeyScope::Tenant(acme.id);
    given.role = KeyRole::Deploy;
    given.from = "2001:db8::1".parse().unwrap();
    let id = world.store().begin_audit(given.clone(), world.now).await.unwrap();
    let begun = AuditRecord { id, at: world.now, line: given, end: None };
    world.restart().await;
    assert_eq!(all(world, AuditFilter::default()).await, std::slice::from_ref(&begun));
    let end = AuditEnd { at: world.now + Duration::from_secs(1), status: 403 };
    world.store().end_audit(id, end.clone(), None).await.unwrap();
    world.restart().await;
    assert_eq!(all(world, AuditFilter::default()).await, [AuditRecord { end: Some(end), ..begun }]);
}

pub(super) async fn a_line_ends_once(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let now = world.now;
    let end = |status| AuditEnd { at: now, status };
    let store = world.store();
    let id = store.begin_audit(line(1, "put_tenant", None), world.now).await.unwrap();
    store.end_audit(id, end(201), Some((acme.id, acme.name.clone()))).await.unwrap();
    let again = store.end_audit(id, end(200), Some((zeta.id, zeta.name.clone()))).await;
    assert_eq!(refusal(again), ErrorKind::Conflict);
    let gone = AuditId::from_raw(1);
    assert_eq!(refusal(store.end_audit(gone, end(200), None).await), ErrorKind::NotFound);
    let kept = all(world, AuditFilter::default()).await;
    assert_eq!((kept.len(), &kept[0].end), (1, &Some(end(201))));
    assert_eq!(kept[0].line.tenant, Some((acme.id, acme.name.clone())), "the tenant that the change made");

    let other = store.begin_audit(line(1, "patch_tenant", Some(&acme)), world.now).await.unwrap();
    store.end_audit(other, end(200), Some((zeta.id, zeta.name.clone()))).await.unwrap();
    assert_eq!(all(world, AuditFilter::default()).await[0].line.tenant, Some((acme.id, acme.name)), "it stays");
}

pub(super) async fn lines_are_found_by_tenant_key_operation_and_time_newest_first(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let mut made = Vec::new();
    for (key, operation, about) in [
        (1, "put_rule", Some(&acme)),
        (2, "put_rule", Some(&zeta)),
        (1, "delete_rule", Some(&acme)),
        (2, "make_key", None),
        (1, "put_rule", Some(&acme)),
    ] {
        world.pass(Duration::from_secs(60));
        made.push(world.store().begin_audit(line(key, operation, about), world.now).await.unwrap());
    }
    let found = async |filter: AuditFilter| ids(&all(world, filter).await);
    let none = AuditFilter::default();
    assert_eq!(found(none.clone()).await, [made[4], made[3], made[2], made[1], made[0]]);
    let of_acme = AuditFilter { tenant: Some(acme.id), ..none.clone() };
    assert_eq!(found(of_acme.clone()).await, [made[4], made[2], made[0]]);
    assert_eq!(found(AuditFilter { key: Some(KeyId::from_raw(2)), ..none.clone() }).await, [made[3], made[1]]);
    let puts = AuditFilter { operation: Some("put_rule".to_owned()), ..none.clone() };
    assert_eq!(found(puts.clone()).await, [made[4], made[1], made[0]]);
    let since = Some(world.now - Duration::from_secs(120));
    assert_eq!(found(AuditFilter { since, ..none }).await, [made[4], made[3], made[2]], "the moment itself included");
    let both = AuditFilter { tenant: of_acme.tenant, since, ..puts };
    assert_eq!(found(both).await, [made[4]]);
    let bad = crate::Page::new(Some("odd".to_owned()), 5);
    assert_eq!(refusal(world.store().audit(AuditFilter::default(), bad).await), ErrorKind::Invalid);
}

pub(super) async fn lines_outlive_their_tenant_and_are_not_its_successors(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = world.store().begin_audit(line(1, "put_rule", Some(&acme)), world.now).await.unwrap();
    world.store().delete_tenant(&acme.name, world.now).await.unwrap();
    let of = |tenant| AuditFilter { tenant: Some(tenant), ..AuditFilter::default() };
    let kept = all(world, of(acme.id)).await;
    assert_eq!((ids(&kept), &kept[0].line.tenant), (vec![id], &Some((acme.id, acme.name.clone()))));
    let anew = world.tenant("acme").await;
    assert!(all(world, of(anew.id)).await.is_empty());
}

pub(super) async fn only_age_removes_a_line(world: &mut World) {
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(world.store().begin_audit(line(1, "put_rule", None), world.now).await.unwrap());
        world.pass(Duration::from_secs(3_600));
    }
    let before = world.now - Duration::from_secs(3_600);
    assert_eq!(world.store().drop_audit(before, 2).await.unwrap(), 2);
    assert_eq!(ids(&all(world, AuditFilter::default()).await), [made[3], made[2]]);
    assert_eq!(world.store().drop_audit(before, 2).await.unwrap(), 1);
    assert_eq!(world.store().drop_audit(before, 2).await.unwrap(), 0, "what is as old as the moment stays");
    let listing = world.store().audit(AuditFilter::default(), first()).await.unwrap();
    assert_eq!((ids(&listing.items), listing.next), (vec![made[3]], None));
}
