//! Sealed secrets: what is put comes back, goes with its owner, and is sealed anew only in the place of what was read.

use std::time::Duration;

use sublet_model::{ErrorKind, FunctionId, HostPattern, TenantId, limit};

use super::world::{Tenant, World, every_page, name, refusal};
use crate::{Page, SealKeyId, Sealed, SecretPlace, SecretRecord};

fn place(tenant: &Tenant, text: &str) -> SecretPlace {
    SecretPlace { tenant: tenant.id, function: None, name: name(text) }
}

fn of_function(tenant: &Tenant, text: &str) -> SecretPlace {
    SecretPlace { function: Some(tenant.function), ..place(tenant, text) }
}

fn sealed(key: u8, text: &str) -> Sealed {
    Sealed { key: SealKeyId([key; 8]), bytes: text.as_bytes().to_vec(), fingerprint: [key; 4] }
}

async fn put(world: &World, place: SecretPlace, sealed: Sealed) -> (SecretRecord, bool) {
    world.store().put_secret(place, sealed, Vec::new(), world.now).await.unwrap()
}

pub(super) async fn a_secret_comes_back_as_it_was_put(world: &mut World) {
    let acme = world.tenant("acme").await;
    let hosts: Vec<HostPattern> = ["api.example.com", "*.x.test"].map(|host| host.parse().unwrap()).to_vec();
    let long = "x".repeat(limit::SECRET_BYTES_MAX + 100);
    let stripe = place(&acme, "stripe");
    let (record, made) =
        world.store().put_secret(stripe.clone(), sealed(1, &long), hosts.clone(), world.now).await.unwrap();
    assert!(made);
    assert_eq!((&record.place, &record.sealed, &record.hosts), (&stripe, &sealed(1, &long), &hosts));
    assert_eq!((record.created, record.changed), (world.now, world.now));
    world.restart().await;
    assert_eq!(world.store().secret(&stripe).await.unwrap(), Some(record.clone()));
    assert_eq!(world.store().secrets(acme.id).await.unwrap(), [record]);
    world.store().delete_secret(&stripe).await.unwrap();
    assert_eq!(refusal(world.store().delete_secret(&stripe).await), ErrorKind::NotFound);
    world.restart().await;
    assert_eq!(world.store().secret(&stripe).await.unwrap(), None);
}

pub(super) async fn a_secret_that_is_put_again_keeps_its_birth_and_changes_all_else(world: &mut World) {
    let acme = world.tenant("acme").await;
    let born = world.now;
    put(world, place(&acme, "stripe"), sealed(1, "first")).await;
    world.pass(Duration::from_secs(60));
    let revision = world.store().revision();
    let (record, made) = put(world, place(&acme, "stripe"), sealed(2, "second")).await;
    assert!(!made && world.store().revision() > revision, "other nodes hear of it");
    assert_eq!((record.created, record.changed), (born, world.now));
    world.restart().await;
    assert_eq!(world.store().secrets(acme.id).await.unwrap(), [record]);
}

pub(super) async fn a_functions_secret_is_another_than_its_tenants(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (own, of_all) = (of_function(&acme, "stripe"), place(&acme, "stripe"));
    put(world, own.clone(), sealed(1, "own")).await;
    put(world, of_all.clone(), sealed(1, "of all")).await;
    let listed = world.store().secrets(acme.id).await.unwrap();
    let places: Vec<_> = listed.iter().map(|record| record.place.clone()).collect();
    assert_eq!(places, [of_all.clone(), own.clone()], "the tenant's come first");
    world.store().delete_secret(&own).await.unwrap();
    let left = world.store().secret(&of_all).await.unwrap().unwrap();
    assert_eq!(left.sealed, sealed(1, "of all"));
    assert_eq!(world.store().secret(&own).await.unwrap(), None);
}

pub(super) async fn a_secret_needs_its_tenant_and_its_function(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let nobodys = SecretPlace { tenant: TenantId::from_raw(1), ..place(&acme, "a") };
    let nothings = SecretPlace { function: Some(FunctionId::from_raw(1)), ..place(&acme, "a") };
    let anothers = SecretPlace { function: Some(zeta.function), ..place(&acme, "a") };
    for place in [nobodys, nothings, anothers] {
        let answer = world.store().put_secret(place, sealed(1, "x"), Vec::new(), world.now).await;
        assert_eq!(refusal(answer), ErrorKind::NotFound);
    }
    assert!(world.store().seal_keys().await.unwrap().is_empty(), "nothing was kept");
}

pub(super) async fn there_are_never_more_secrets_than_the_limit_however_many_ask_at_once(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let most = limit::SECRETS_PER_TENANT_MAX;
    for number in 0..most - 2 {
        put(world, place(&acme, &format!("s{number}")), sealed(1, "x")).await;
    }
    let (store, now) = (world.store(), world.now);
    let asked = (0..6)
        .map(|number| store.put_secret(of_function(&acme, &format!("t{number}")), sealed(1, "x"), Vec::new(), now));
    let answers = futures::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2);
    assert!(answers.into_iter().filter_map(Result::err).all(|error| error.kind == ErrorKind::Conflict));
    assert_eq!(world.store().secrets(acme.id).await.unwrap().len(), most);
    // One that is there is put again all the same, and others have their own count.
    put(world, place(&acme, "s0"), sealed(1, "y")).await;
    put(world, place(&zeta, "s0"), sealed(1, "y")).await;
}

pub(super) async fn secrets_go_with_their_function_and_with_their_tenant(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    for tenant in [&acme, &zeta] {
        put(world, place(tenant, "a"), sealed(1, "x")).await;
        put(world, of_function(tenant, "a"), sealed(1, "x")).await;
    }
    world.store().delete_function(acme.id, &name("enrich")).await.unwrap();
    world.restart().await;
    let left = world.store().secrets(acme.id).await.unwrap();
    assert_eq!(left.iter().map(|record| record.place.clone()).collect::<Vec<_>>(), [place(&acme, "a")]);
    assert_eq!(world.store().secrets(zeta.id).await.unwrap().len(), 2);
    world.store().delete_tenant(&name("zeta"), world.now).await.unwrap();
    world.restart().await;
    assert!(world.store().secrets(zeta.id).await.unwrap().is_empty());
    assert_eq!(world.store().seal_keys().await.unwrap(), [(SealKeyId([1; 8]), 1)]);
    let anew = world.tenant("zeta").await;
    assert!(world.store().secrets(anew.id).await.unwrap().is_empty(), "a tenant of the same name inherits none");
}

pub(super) async fn another_tenants_secrets_are_neither_seen_nor_touched(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    put(world, of_function(&acme, "a"), sealed(1, "x")).await;
    put(world, place(&acme, "a"), sealed(1, "x")).await;
    let before = world.store().secrets(acme.id).await.unwrap();
    let mixed = SecretPlace { function: Some(acme.function), ..place(&zeta, "a") };
    for place in [place(&zeta, "a"), of_function(&zeta, "a"), mixed] {
        assert_eq!(world.store().secret(&place).await.unwrap(), None);
        assert_eq!(refusal(world.store().delete_secret(&place).await), ErrorKind::NotFound);
        assert!(!world.store().reseal_secret(&place, &sealed(1, "x"), sealed(2, "y")).await.unwrap());
    }
    assert!(world.store().secrets(zeta.id).await.unwrap().is_empty());
    assert_eq!(world.store().secrets(acme.id).await.unwrap(), before);
}

pub(super) async fn everybodys_secrets_page_by_place(world: &mut World) {
    let mut places = Vec::new();
    for text in ["acme", "zeta"] {
        let tenant = world.tenant(text).await;
        for text in ["c", "a", "b"] {
            for place in [place(&tenant, text), of_function(&tenant, text)] {
                put(world, place.clone(), sealed(1, "x")).await;
                places.push(place);
            }
        }
    }
    places.sort();
    let store = world.store();
    for rows in [1, 5, 100] {
        let found = every_page(rows, async |page| store.all_secrets(page).await).await;
        assert_eq!(found.into_iter().map(|record| record.place).collect::<Vec<_>>(), places);
    }
    let refused = store.all_secrets(Page::new(Some("nonsense".to_owned()), 10)).await;
    assert_eq!(refused.unwrap_err().field.as_deref(), Some("cursor"));
}

pub(super) async fn a_secret_is_sealed_anew_only_in_the_place_of_what_was_read(world: &mut World) {
    let acme = world.tenant("acme").await;
    let stripe = place(&acme, "stripe");
    let (before, _) = put(world, stripe.clone(), sealed(1, "old")).await;
    world.pass(Duration::from_secs(60));
    assert!(world.store().reseal_secret(&stripe, &sealed(1, "old"), sealed(2, "anew")).await.unwrap());
    world.restart().await;
    let after = world.store().secret(&stripe).await.unwrap().unwrap();
    assert_eq!(after, SecretRecord { sealed: sealed(2, "anew"), ..before }, "its times stay: the value is the same");
    // Somebody put another value meanwhile.
    assert!(!world.store().reseal_secret(&stripe, &sealed(1, "old"), sealed(3, "late")).await.unwrap());
    assert_eq!(world.store().secret(&stripe).await.unwrap(), Some(after));
    world.store().delete_secret(&stripe).await.unwrap();
    assert!(!world.store().reseal_secret(&stripe, &sealed(2, "anew"), sealed(3, "late")).await.unwrap());
    assert_eq!(world.store().secret(&stripe).await.unwrap(), None);
}

pub(super) async fn the_keys_that_seal_are_counted(world: &mut World) {
    let acme = world.tenant("acme").await;
    assert!(world.store().seal_keys().await.unwrap().is_empty());
    for (text, key) in [("a", 2), ("b", 1), ("c", 2)] {
        put(world, place(&acme, text), sealed(key, text)).await;
    }
    assert_eq!(world.store().seal_keys().await.unwrap(), [(SealKeyId([1; 8]), 1), (SealKeyId([2; 8]), 2)]);
    world.store().reseal_secret(&place(&acme, "b"), &sealed(1, "b"), sealed(2, "b")).await.unwrap();
    assert_eq!(world.store().seal_keys().await.unwrap(), [(SealKeyId([2; 8]), 3)]);
}
