//! Keys' ends, secrets, uses, and the limits that hold whoever asks at once.

use std::time::Duration;

use sublet_model::{ErrorKind, KeyId, limit};

use super::world::{World, refusal};
use crate::{FormerSecret, KeyRate, KeyRecord, KeyRole, KeyScope, KeyUse, NewKey, Standing};

const DAY: Duration = Duration::from_secs(86_400);

fn hash(number: usize) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&(number as u64).to_be_bytes());
    hash
}

fn new(scope: KeyScope, number: usize) -> NewKey {
    NewKey::new(scope, format!("key {number}"), hash(number))
}

async fn put(world: &World, key: NewKey) -> KeyRecord {
    world.store().put_key(key, world.now).await.unwrap()
}

pub(super) async fn a_key_comes_back_as_it_was_made(world: &mut World) {
    let acme = world.tenant("acme").await;
    let first = put(world, new(KeyScope::Operator, 1)).await;
    assert_eq!((first.role, first.expires, first.rate, first.made_by), (KeyRole::Admin, None, None, None));
    let made = NewKey {
        role: KeyRole::Deploy,
        expires: Some(world.now + DAY),
        rate: Some(KeyRate { per_second: 5, burst: 20 }),
        made_by: Some(first.id),
        ..new(KeyScope::Tenant(acme.id), 2)
    };
    let record = put(world, made.clone()).await;
    world.restart().await;
    let kept = world.store().key(record.id).await.unwrap().unwrap();
    assert_eq!(kept, record);
    assert_eq!((kept.scope, kept.role, &kept.label), (made.scope, made.role, &made.label));
    assert_eq!((kept.expires, kept.rate, kept.made_by), (made.expires, made.rate, made.made_by));
    assert_eq!((kept.former, kept.last_use), (None, None));
    assert_eq!(world.store().key(KeyId::from_raw(1)).await.unwrap(), None);
}

pub(super) async fn an_expired_key_is_found_and_stands_as_expired(world: &mut World) {
    let key = NewKey { expires: Some(world.now + DAY), ..new(KeyScope::Operator, 1) };
    let record = put(world, key).await;
    assert_eq!(record.standing(&hash(1), world.now), Standing::Valid);
    world.pass(DAY);
    let kept = world.store().key_by_hash(&hash(1)).await.unwrap().unwrap();
    assert_eq!(kept.standing(&hash(1), world.now), Standing::Expired(world.now));
}

pub(super) async fn a_rotated_key_is_found_by_both_secrets_and_the_former_has_an_end(world: &mut World) {
    let made = put(world, new(KeyScope::Operator, 1)).await;
    let until = world.now + DAY;
    let rotated = world.store().rotate_key(made.id, hash(2), until, world.now).await.unwrap();
    assert_eq!(rotated.former, Some(FormerSecret { hash: hash(1), until }));
    assert_eq!((rotated.id, rotated.hash), (made.id, hash(2)));
    world.restart().await;
    for secret in [hash(1), hash(2)] {
        let found = world.store().key_by_hash(&secret).await.unwrap().unwrap();
        assert_eq!(found, rotated);
        assert_eq!(found.standing(&secret, world.now), Standing::Valid);
    }
    world.pass(DAY);
    assert_eq!(rotated.standing(&hash(1), world.now), Standing::Replaced(until));
    assert_eq!(rotated.standing(&hash(2), world.now), Standing::Valid);
}

pub(super) async fn a_second_rotation_forgets_the_former_secret_but_one(world: &mut World) {
    let made = put(world, new(KeyScope::Operator, 1)).await;
    for number in [2, 3] {
        world.store().rotate_key(made.id, hash(number), world.now + DAY, world.now).await.unwrap();
    }
    assert_eq!(world.store().key_by_hash(&hash(1)).await.unwrap(), None);
    assert!(world.store().key_by_hash(&hash(2)).await.unwrap().is_some());
    // What is forgotten is free, what is kept is not.
    put(world, new(KeyScope::Operator, 1)).await;
    let taken = world.store().put_key(new(KeyScope::Operator, 2), world.now).await;
    assert_eq!(refusal(taken), ErrorKind::Conflict);
}

pub(super) async fn what_cannot_be_rotated_is_refused(world: &mut World) {
    let expiring = NewKey { expires: Some(world.now + DAY), ..new(KeyScope::Operator, 1) };
    let (expiring, other) = (put(world, expiring).await, put(world, new(KeyScope::Operator, 2)).await);
    let (store, now) = (world.store(), world.now);
    let gone = KeyId::from_raw(1);
    assert_eq!(refusal(store.rotate_key(gone, hash(3), now, now).await), ErrorKind::NotFound);
    assert_eq!(refusal(store.rotate_key(other.id, hash(1), now, now).await), ErrorKind::Conflict);
    assert_eq!(refusal(store.rotate_key(expiring.id, hash(3), now, now + DAY).await), ErrorKind::Conflict);
    assert_eq!(store.keys(None).await.unwrap(), [expiring, other], "nothing changed");
}

pub(super) async fn there_are_never_more_keys_than_the_limit_however_many_ask_at_once(world: &mut World) {
    let acme = world.tenant("acme").await;
    for scope in [KeyScope::Operator, KeyScope::Tenant(acme.id)] {
        let first = if scope == KeyScope::Operator { 0 } else { 1_000 };
        let store = world.store();
        let asked = (0..limit::KEYS_PER_SCOPE_MAX + 20).map(|n| store.put_key(new(scope, first + n), world.now));
        let answers = futures::future::join_all(asked).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), limit::KEYS_PER_SCOPE_MAX);
        for refused in answers.into_iter().filter(|answer| answer.is_err()) {
            assert_eq!(refusal(refused), ErrorKind::Conflict);
        }
        assert_eq!(store.keys(Some(scope)).await.unwrap().len(), limit::KEYS_PER_SCOPE_MAX);
    }
}

pub(super) async fn expired_keys_make_room_for_new_ones(world: &mut World) {
    let acme = world.tenant("acme").await;
    let scope = KeyScope::Tenant(acme.id);
    for number in 0..limit::KEYS_PER_SCOPE_MAX {
        let span = match number {
            5 => DAY,
            6 => DAY / 2,
            _ => DAY * 9,
        };
        put(world, NewKey { expires: Some(world.now + span), ..new(scope, number) }).await;
    }
    world.pass(DAY);
    put(world, new(scope, 1_000)).await;
    assert_eq!(world.store().key_by_hash(&hash(6)).await.unwrap(), None, "what expired first leaves first");
    assert!(world.store().key_by_hash(&hash(5)).await.unwrap().is_some());
    put(world, new(scope, 1_001)).await;
    assert_eq!(refusal(world.store().put_key(new(scope, 1_002), world.now).await), ErrorKind::Conflict);
}

pub(super) async fn one_key_that_administers_is_left_however_many_are_deleted_at_once(world: &mut World) {
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(put(world, new(KeyScope::Operator, number)).await.id);
    }
    // Neither an expired key nor one of another role can take the place of the last.
    let expired = put(world, NewKey { expires: Some(world.now), ..new(KeyScope::Operator, 10) }).await;
    let reader = put(world, NewKey { role: KeyRole::Read, ..new(KeyScope::Operator, 11) }).await;
    let store = world.store();
    let answers = futures::future::join_all(ids.iter().map(|id| store.delete_key(*id, world.now))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 4);
    let left: Vec<_> = store.keys(Some(KeyScope::Operator)).await.unwrap();
    assert_eq!(left.iter().filter(|key| key.is_operating(world.now)).count(), 1);
    for gone in [expired.id, reader.id] {
        store.delete_key(gone, world.now).await.unwrap();
    }
}

pub(super) async fn uses_are_noted_without_a_change_of_the_registry(world: &mut World) {
    let made = put(world, new(KeyScope::Operator, 1)).await;
    let (store, before) = (world.store(), world.store().revision());
    let early = KeyUse { at: world.now, from: [10, 0, 0, 1].into() };
    let late = KeyUse { at: world.now + DAY, from: "2001:db8::1".parse().unwrap() };
    let gone = KeyId::from_raw(1);
    store.note_key_uses(vec![(made.id, late), (gone, early)]).await.unwrap();
    store.note_key_uses(vec![(made.id, early)]).await.unwrap();
    assert_eq!(store.key(made.id).await.unwrap().unwrap().last_use, Some(late), "the later one stays");
    assert_eq!(store.revision(), before);
    world.restart().await;
    assert_eq!(world.store().key(made.id).await.unwrap().unwrap().last_use, Some(late));
}
