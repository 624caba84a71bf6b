//! Tenants, rules, webhooks, layers and keys; functions have their own file.

use std::time::Duration;

use sublet_model::{ErrorKind, FunctionConfig, Isolation, KeyId, Millis, RuleSpec, TenantId, Timestamp};

use super::world::{World, every_page, first, name, refusal, spec};
use crate::code::ObjectHash;
use crate::{
    Disabled, DisabledReason, KeyScope, NewKey, RuleRecord, TenantSpec, TenantStatus, WebhookSecret, WebhookSpec,
};

fn rule_spec(source: &str) -> RuleSpec {
    let text = format!(r#"{{"pattern": {{"source": ["{source}"]}}, "targets": [{{"tenant": "enrich"}}]}}"#);
    serde_json::from_str(&text).unwrap()
}

/// What a rule says, in a form that compares.
fn told(rule: &RuleRecord) -> (Option<TenantId>, String, String) {
    (rule.owner, rule.name.to_string(), rule.spec.pattern.get().to_owned())
}

fn webhook_spec(url: &str) -> WebhookSpec {
    WebhookSpec { allow_private: vec!["127.0.0.1:9000".to_owned()], ..WebhookSpec::to(url) }
}

fn secret(text: &str, now: Timestamp) -> WebhookSecret {
    WebhookSecret::new(format!("whsec_{text}"), now)
}

fn key(scope: KeyScope, hash: u8) -> NewKey {
    NewKey::new(scope, format!("key {hash}"), [hash; 32])
}

pub(super) async fn a_tenant_is_made_and_replaced_under_one_id(world: &mut World) {
    let acme = name("acme");
    assert_eq!(world.store().tenant(&acme).await.unwrap(), None);
    let (made, new) = world.store().put_tenant(&acme, spec(), world.now).await.unwrap();
    assert!(new);
    assert_eq!((&made.name, &made.spec, made.created), (&acme, &spec(), world.now));

    world.pass(Duration::from_secs(60));
    let mut changed = TenantSpec { status: TenantStatus::Suspended, ..spec() };
    changed.quota.ceiling = 3;
    changed.attributes.insert("plan".to_owned(), "gold".into());
    changed.isolation = Some(Isolation::Dedicated);
    changed.suspicion = Some("it ended three processes".to_owned());
    let (replaced, new) = world.store().put_tenant(&acme, changed.clone(), world.now).await.unwrap();
    assert!(!new);
    assert_eq!((replaced.id, replaced.created), (made.id, made.created), "what stays");
    assert_eq!(replaced.spec, changed);
    assert_eq!(world.store().tenant(&acme).await.unwrap(), Some(replaced.clone()));
    assert_eq!(world.store().tenant_by_id(made.id).await.unwrap(), Some(replaced));
    assert_eq!(world.store().tenants(first()).await.unwrap().items.len(), 1);
}

pub(super) async fn a_tenant_is_there_after_a_crash(world: &mut World) {
    let mut full = spec();
    full.attributes.insert("plan".to_owned(), serde_json::json!({"name": "gold", "seats": 3}));
    let (made, _) = world.store().put_tenant(&name("acme"), full, world.now).await.unwrap();
    let rule = world.store().put_rule(Some(made.id), &name("tag"), rule_spec("todo"), world.now).await.unwrap().0;
    let hook = world
        .store()
        .put_webhook(&name("crm"), webhook_spec("https://crm.test"), secret("one", world.now), world.now)
        .await;
    let layer = world.store().publish_layer(&name("lib"), ObjectHash::of(b"1"), false, world.now).await.unwrap();
    let tenant_key = world.store().put_key(key(KeyScope::Tenant(made.id), 1), world.now).await.unwrap();
    world.restart().await;

    assert_eq!(world.store().tenant(&name("acme")).await.unwrap(), Some(made.clone()));
    assert_eq!(world.store().tenant_by_id(made.id).await.unwrap(), Some(made.clone()));
    let kept = world.store().rule(Some(made.id), &name("tag")).await.unwrap().unwrap();
    assert_eq!((kept.id, kept.changed, told(&kept)), (rule.id, rule.changed, told(&rule)));
    assert_eq!(world.store().webhooks().await.unwrap(), [hook.unwrap().0]);
    assert_eq!(world.store().layers().await.unwrap(), [layer]);
    assert_eq!(world.store().key_by_hash(&[1; 32]).await.unwrap(), Some(tenant_key));
}

pub(super) async fn a_rule_belongs_to_its_owner(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let owners = [None, Some(acme.id), Some(zeta.id)];
    for (owner, source) in owners.into_iter().zip(["operator", "acme", "zeta"]) {
        for rule in ["tag", "also"] {
            let (made, new) = world.store().put_rule(owner, &name(rule), rule_spec(source), world.now).await.unwrap();
            assert!(new, "names are unique per owner, not over all");
            assert_eq!((made.owner, &made.name, made.changed), (owner, &name(rule), world.now));
        }
    }
    for (owner, source) in owners.into_iter().zip(["operator", "acme", "zeta"]) {
        let rules = world.store().rules(owner).await.unwrap();
        let pattern = format!(r#"{{"source": ["{source}"]}}"#);
        let expected = [(owner, "also".to_owned(), pattern.clone()), (owner, "tag".to_owned(), pattern)];
        assert_eq!(rules.iter().map(told).collect::<Vec<_>>(), expected, "by name");
        let one = world.store().rule(owner, &name("tag")).await.unwrap().unwrap();
        assert_eq!(told(&one), expected[1]);
    }
    assert_eq!(world.store().all_rules().await.unwrap().len(), 6);

    world.store().delete_rule(Some(acme.id), &name("tag")).await.unwrap();
    assert!(world.store().rule(Some(acme.id), &name("tag")).await.unwrap().is_none());
    assert!(world.store().rule(Some(zeta.id), &name("tag")).await.unwrap().is_some());
    assert!(world.store().rule(None, &name("tag")).await.unwrap().is_some());
    assert_eq!(world.store().all_rules().await.unwrap().len(), 5);
}

pub(super) async fn a_replaced_rule_keeps_its_id(world: &mut World) {
    let (made, _) = world.store().put_rule(None, &name("tag"), rule_spec("one"), world.now).await.unwrap();
    world.pass(Duration::from_secs(1));
    let (replaced, new) = world.store().put_rule(None, &name("tag"), rule_spec("two"), world.now).await.unwrap();
    assert!(!new);
    assert_eq!((replaced.id, replaced.changed), (made.id, world.now));
    let kept = world.store().rule(None, &name("tag")).await.unwrap().unwrap();
    assert_eq!(kept.spec.pattern.get(), rule_spec("two").pattern.get());
    assert_eq!(world.store().all_rules().await.unwrap().len(), 1);
}

pub(super) async fn a_webhook_that_is_replaced_keeps_its_secrets_and_its_state(world: &mut World) {
    let crm = name("crm");
    let one = secret("one", world.now);
    let spec = webhook_spec("https://crm.test/hook");
    let (made, new) = world.store().put_webhook(&crm, spec.clone(), one.clone(), world.now).await.unwrap();
    assert!(new && made.is_enabled());
    assert_eq!((&made.spec, &made.secrets, made.created), (&spec, &vec![one], world.now));
    world.store().switch_webhook(&crm, Some(DisabledReason::Gone), world.now).await.unwrap();

    world.pass(Duration::from_secs(1));
    let other = WebhookSpec { timeout: Millis(3_000), ..webhook_spec("https://crm.test/other") };
    let unused = secret("two", world.now);
    let (changed, new) = world.store().put_webhook(&crm, other.clone(), unused, world.now).await.unwrap();
    assert!(!new);
    assert_eq!((&changed.spec, &changed.secrets, changed.created), (&other, &made.secrets, made.created));
    assert_eq!(changed.disabled, Some(Disabled { reason: DisabledReason::Gone, at: made.created }));
    world.restart().await;
    assert_eq!(world.store().webhook(&crm).await.unwrap(), Some(changed));

    world.store().put_webhook(&name("audit"), spec, secret("a", world.now), world.now).await.unwrap();
    let listed = world.store().webhooks().await.unwrap();
    assert_eq!(listed.iter().map(|webhook| webhook.name.as_str()).collect::<Vec<_>>(), ["audit", "crm"]);
    world.store().delete_webhook(&crm).await.unwrap();
    assert_eq!(world.store().webhook(&crm).await.unwrap(), None);
}

pub(super) async fn a_rotated_secret_signs_along_until_its_end(world: &mut World) {
    let crm = name("crm");
    let spec = webhook_spec("https://crm.test/hook");
    world.store().put_webhook(&crm, spec, secret("one", world.now), world.now).await.unwrap();
    world.pass(Duration::from_secs(60));
    let until = world.now + Duration::from_secs(3_600);
    let two = secret("two", world.now);
    let rotated = world.store().rotate_webhook(&crm, two.clone(), until, world.now).await.unwrap();
    let signing: Vec<_> = rotated.signing(world.now).map(|secret| (secret.id(), secret.expires)).collect();
    assert_eq!(signing, [(two.id(), None), (secret("one", world.now).id(), Some(until))]);
    assert_eq!(refusal(world.store().rotate_webhook(&crm, two, until, world.now).await), ErrorKind::Conflict);
    world.restart().await;
    assert_eq!(world.store().webhook(&crm).await.unwrap(), Some(rotated.clone()));
    assert_eq!(rotated.signing(until).count(), 1);
    let none = world.store().rotate_webhook(&name("none"), secret("x", world.now), until, world.now).await;
    assert_eq!(refusal(none), ErrorKind::NotFound);
}

pub(super) async fn a_webhook_is_disabled_for_its_first_reason_until_it_is_enabled(world: &mut World) {
    let crm = name("crm");
    let spec = webhook_spec("https://crm.test/hook");
    world.store().put_webhook(&crm, spec, secret("one", world.now), world.now).await.unwrap();
    let at = world.now;
    world.store().switch_webhook(&crm, Some(DisabledReason::Failing), at).await.unwrap();
    world.pass(Duration::from_secs(60));
    let again = world.store().switch_webhook(&crm, Some(DisabledReason::Operator), world.now).await.unwrap();
    assert_eq!(again.disabled, Some(Disabled { reason: DisabledReason::Failing, at }));
    world.restart().await;
    assert_eq!(world.store().webhook(&crm).await.unwrap(), Some(again));
    let enabled = world.store().switch_webhook(&crm, None, world.now).await.unwrap();
    assert!(enabled.is_enabled());
    assert_eq!(world.store().webhook(&crm).await.unwrap(), Some(enabled));
    let none = world.store().switch_webhook(&name("none"), None, world.now).await;
    assert_eq!(refusal(none), ErrorKind::NotFound);
}

pub(super) async fn a_layer_counts_its_versions(world: &mut World) {
    let lib = name("lib");
    assert_eq!(world.store().layer(&lib, None).await.unwrap(), None);
    let mut made = Vec::new();
    for content in [b"1", b"2", b"2"] {
        made.push(world.store().publish_layer(&lib, ObjectHash::of(content), false, world.now).await.unwrap());
    }
    assert_eq!(made.iter().map(|layer| layer.number).collect::<Vec<_>>(), [1, 2, 3]);
    let other = world.store().publish_layer(&name("aaa"), ObjectHash::of(b"x"), false, world.now).await.unwrap();
    assert_eq!(other.number, 1);
    made[0].is_current = false;
    made[1].is_current = false;
    world.restart().await;
    assert_eq!(world.store().layer(&lib, Some(1)).await.unwrap(), Some(made[0].clone()));
    assert_eq!(world.store().layer(&lib, None).await.unwrap(), Some(made[2].clone()), "the newest");
    assert_eq!(world.store().layer(&lib, Some(4)).await.unwrap(), None);
    assert_eq!(world.store().layers().await.unwrap(), [other, made[2].clone()], "the newest of each, by name");
    made.reverse();
    assert_eq!(world.store().layer_versions(&lib, first()).await.unwrap().items, made);
    let pages = every_page(2, async |page| world.store().layer_versions(&lib, page).await).await;
    assert_eq!(pages, made);
}

pub(super) async fn a_key_is_found_by_its_hash_until_deleted(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let scopes = [KeyScope::Operator, KeyScope::Tenant(acme.id), KeyScope::Tenant(zeta.id), KeyScope::Tenant(acme.id)];
    let mut made = Vec::new();
    for (hash, scope) in (1..).zip(scopes) {
        let record = world.store().put_key(key(scope, hash), world.now).await.unwrap();
        assert_eq!((record.scope, record.hash, record.created), (scope, [hash; 32], world.now));
        assert_eq!(record.label, format!("key {hash}"));
        assert_eq!(world.store().key_by_hash(&[hash; 32]).await.unwrap(), Some(record.clone()));
        made.push(record);
    }
    assert_eq!(world.store().keys(None).await.unwrap(), made, "oldest first");
    assert_eq!(world.store().keys(Some(KeyScope::Operator)).await.unwrap(), [made[0].clone()]);
    let of_acme = world.store().keys(Some(KeyScope::Tenant(acme.id))).await.unwrap();
    assert_eq!(of_acme, [made[1].clone(), made[3].clone()]);
    assert_eq!(world.store().key_by_hash(&[9; 32]).await.unwrap(), None);

    assert_eq!(world.store().delete_key(made[1].id, world.now).await.unwrap(), made[1]);
    world.restart().await;
    assert_eq!(world.store().key_by_hash(&[2; 32]).await.unwrap(), None);
    assert_eq!(world.store().keys(None).await.unwrap().len(), 3);
    world.store().put_key(key(KeyScope::Operator, 2), world.now).await.unwrap();
}

pub(super) async fn a_hash_belongs_to_one_key(world: &mut World) {
    let acme = world.tenant("acme").await;
    let made = world.store().put_key(key(KeyScope::Tenant(acme.id), 1), world.now).await.unwrap();
    let refused = world.store().put_key(key(KeyScope::Operator, 1), world.now).await;
    assert_eq!(refusal(refused), ErrorKind::Conflict);
    assert_eq!(world.store().keys(None).await.unwrap(), [made]);
}

pub(super) async fn deleting_what_is_not_there_is_not_found(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (none, key) = (name("none"), KeyId::from_raw(world.raw()));
    let before = world.store().revision();
    let store = world.store();
    assert_eq!(refusal(store.delete_tenant(&none, world.now).await), ErrorKind::NotFound);
    assert_eq!(refusal(store.delete_function(acme.id, &none).await), ErrorKind::NotFound);
    assert_eq!(refusal(store.delete_rule(None, &none).await), ErrorKind::NotFound);
    assert_eq!(refusal(store.delete_rule(Some(acme.id), &none).await), ErrorKind::NotFound);
    assert_eq!(refusal(store.delete_webhook(&none).await), ErrorKind::NotFound);
    assert_eq!(refusal(store.delete_key(key, world.now).await), ErrorKind::NotFound);
    assert_eq!(store.revision(), before, "nothing changed");
}

pub(super) async fn adding_to_a_tenant_that_is_not_there_is_not_found(world: &mut World) {
    let nobody = TenantId::from_raw(world.raw());
    let store = world.store();
    let function = store.put_function(nobody, &name("f"), FunctionConfig::default(), world.now).await;
    assert_eq!(refusal(function), ErrorKind::NotFound);
    let rule = store.put_rule(Some(nobody), &name("r"), rule_spec("x"), world.now).await;
    assert_eq!(refusal(rule), ErrorKind::NotFound);
    let made = store.put_key(key(KeyScope::Tenant(nobody), 1), world.now).await;
    assert_eq!(refusal(made), ErrorKind::NotFound);
    assert!(store.all_rules().await.unwrap().is_empty());
    assert!(store.keys(None).await.unwrap().is_empty());
}

pub(super) async fn every_change_raises_the_revision_and_wakes_who_waits(world: &mut World) {
    let mut last = world.store().revision();
    // Whoever is behind already is not kept waiting.
    world.tenant("acme").await;
    assert!(world.store().registry_changed(last).await > last);

    let acme = world.tenant("acme").await;
    let (store, now) = (world.store(), world.now);
    for step in 0..8 {
        last = store.revision();
        let change = async {
            match step {
                0 => drop(store.put_tenant(&acme.name, spec(), now).await.unwrap()),
                1 => drop(store.put_function(acme.id, &name("f"), FunctionConfig::default(), now).await.unwrap()),
                2 => drop(store.put_rule(None, &name("r"), rule_spec("x"), now).await.unwrap()),
                3 => drop(
                    store
                        .put_webhook(&name("w"), webhook_spec("https://w.test"), secret("one", now), now)
                        .await
                        .unwrap(),
                ),
                4 => drop(store.publish_layer(&name("l"), ObjectHash::of(b"l"), false, now).await.unwrap()),
                5 => drop(store.put_key(key(KeyScope::Operator, 1), now).await.unwrap()),
                6 => store.delete_rule(None, &name("r")).await.unwrap(),
                _ => store.delete_tenant(&acme.name, now).await.unwrap(),
            }
        };
        let (woken, ()) = futures::join!(store.registry_changed(last), change);
        assert!(woken > last && store.revision() > last, "step {step}");
    }
}

pub(super) async fn ids_grow_with_time(world: &mut World) {
    let mut last = TenantId::from_raw(0);
    for (round, text) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        let (made, _) = world.store().put_tenant(&name(text), spec(), world.now).await.unwrap();
        assert!(made.id > last);
        last = made.id;
        if round == 2 {
            world.restart().await;
        }
        if round == 3 {
            world.pass(Duration::from_secs(60));
        }
    }
    assert_eq!(last.minted_at(), world.now, "an id tells its time");
}
