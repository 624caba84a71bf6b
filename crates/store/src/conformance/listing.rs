//! Pages: newest first, by cursor, every row once.

use sublet_model::{EndReason, ErrorKind, InvocationState, Name};

use super::world::{World, every_page, name, refusal, spec};
use crate::code::ObjectHash;
use crate::{DeliveryAttempt, DeliveryFilter, DeliveryNext, DeliveryState, InvocationFilter, NewVersion, Next, Page};

/// Rows of each listing, and rows of a page: several pages, the last one short.
const ROWS: usize = 7;
const PAGE_SIZES: [usize; 4] = [1, 2, 3, 100];

fn new_version() -> NewVersion {
    NewVersion {
        config: Default::default(),
        package: ObjectHash::of(b"package"),
        package_bytes: 7,
        image: ObjectHash::of(b"image"),
        engine_hash: "engine".to_owned(),
        layers: Vec::new(),
        make_live: false,
    }
}

pub(super) async fn events_page_newest_first(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let (mut all, mut of_acme) = (Vec::new(), Vec::new());
    for round in 0..ROWS * 3 {
        let tenant = [Some(acme.id), Some(zeta.id), None][round % 3];
        let event = world.event(tenant);
        all.insert(0, event.id);
        if tenant == Some(acme.id) {
            of_acme.insert(0, event.id);
        }
        world.accept(event).await;
        if round % 5 == 0 {
            world.pass(std::time::Duration::from_secs(1_800));
        }
    }
    for limit in PAGE_SIZES {
        let listed = every_page(limit, async |page| world.store().events(None, page).await).await;
        assert_eq!(listed.iter().map(|event| event.id).collect::<Vec<_>>(), all, "the operator's");
        let listed = every_page(limit, async |page| world.store().events(Some(acme.id), page).await).await;
        assert_eq!(listed.iter().map(|event| event.id).collect::<Vec<_>>(), of_acme, "a tenant's");
    }
    let one = world.store().event(of_acme[0]).await.unwrap().unwrap();
    let page = Page::new(None, 1);
    assert_eq!(world.store().events(Some(acme.id), page).await.unwrap().items, [one], "whole records");
}

pub(super) async fn invocations_page_newest_first_and_by_filter(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let mut other = acme.clone();
    other.function = world.function(acme.id, "score").await;
    let (mut all, mut succeeded, mut of_other) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROWS {
        let waits = world.waiting(&acme).await;
        let ended = world.succeeded(&acme).await;
        let elsewhere = world.succeeded(&other).await;
        let invoke = world.invoking(&acme).await.invocation;
        world.succeeded(&zeta).await;
        for id in [waits, ended, elsewhere, invoke] {
            all.insert(0, id);
        }
        succeeded.insert(0, elsewhere);
        succeeded.insert(1, ended);
        of_other.insert(0, elsewhere);
        world.pass(std::time::Duration::from_secs(1_800));
    }
    let state = Some(InvocationState::Succeeded);
    let table = [
        (InvocationFilter::default(), &all),
        (InvocationFilter { function: None, state }, &succeeded),
        (InvocationFilter { function: Some(other.function), state: None }, &of_other),
        (InvocationFilter { function: Some(other.function), state }, &of_other),
        (InvocationFilter { function: Some(zeta.function), state: None }, &Vec::new()),
        (InvocationFilter { function: None, state: Some(InvocationState::Expired) }, &Vec::new()),
    ];
    for limit in PAGE_SIZES {
        for (filter, expected) in &table {
            let listed = every_page(limit, async |page| world.store().invocations(acme.id, *filter, page).await).await;
            let ids: Vec<_> = listed.iter().map(|record| record.id).collect();
            assert_eq!(&ids, *expected, "{filter:?} by {limit}");
        }
    }
    let record = world.record(&acme, all[0]).await;
    let first = world.store().invocations(acme.id, InvocationFilter::default(), Page::new(None, 1)).await.unwrap();
    assert_eq!(first.items, [record], "the same record as alone");
}

pub(super) async fn dead_letters_page_newest_first(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    // The order is that of the invocations, not of their ends.
    let mut leases = Vec::new();
    for _ in 0..ROWS {
        leases.push(world.running(&acme).await);
        world.dead(&zeta).await;
    }
    for lease in &leases {
        world.settle(*lease, Next::DeadLetter(EndReason::AttemptsExhausted)).await;
    }
    let mut expected: Vec<_> = leases.iter().map(|lease| lease.invocation).collect();
    expected.reverse();
    for limit in PAGE_SIZES {
        let listed = every_page(limit, async |page| world.store().dead_letters(acme.id, page).await).await;
        assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), expected);
    }
}

pub(super) async fn deliveries_page_newest_first_and_by_filter(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (mut all, mut of_crm, mut delivered) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROWS * 2 {
        let webhook = if round % 2 == 0 { "crm" } else { "audit" };
        let event = world.delivered(&acme, webhook);
        let id = event.deliveries[0].id;
        world.accept(event).await;
        all.insert(0, id);
        if webhook == "crm" {
            of_crm.insert(0, id);
        }
        if round % 3 == 0 {
            let status = Some(200);
            let tried = DeliveryAttempt { at: world.now, status, error: None, latency_ms: 1, response: None };
            world.store().settle_delivery(id, tried, DeliveryNext::Delivered).await.unwrap();
            delivered.insert(0, id);
        }
    }
    let other = world.tenant("zeta").await;
    let event = world.delivered(&other, "crm");
    let foreign = vec![event.deliveries[0].id];
    world.accept(event).await;
    all.splice(0..0, foreign.clone());
    of_crm.splice(0..0, foreign.clone());
    let both: Vec<_> = of_crm.iter().copied().filter(|id| delivered.contains(id)).collect();
    let own: Vec<_> = of_crm.iter().copied().filter(|id| *id != foreign[0]).collect();
    let waiting: Vec<_> = of_crm.iter().copied().filter(|id| !delivered.contains(id)).collect();
    let (crm, none) = (Some(name("crm")), Some(name("none")));
    let filter = |webhook: &Option<Name>, state, tenant| DeliveryFilter { webhook: webhook.clone(), state, tenant };
    let (ended, pends) = (Some(DeliveryState::Delivered), Some(DeliveryState::Pending));
    let table = [
        (filter(&None, None, None), &all),
        (filter(&crm, None, None), &of_crm),
        (filter(&None, ended, None), &delivered),
        (filter(&crm, ended, None), &both),
        (filter(&crm, pends, None), &waiting),
        (filter(&none, None, None), &Vec::new()),
        (filter(&None, Some(DeliveryState::Failed), None), &Vec::new()),
        (filter(&None, None, Some(other.id)), &foreign),
        (filter(&crm, None, Some(acme.id)), &own),
        (filter(&crm, ended, Some(other.id)), &Vec::new()),
    ];
    for limit in PAGE_SIZES {
        for (filter, expected) in &table {
            let listed = every_page(limit, async |page| world.store().deliveries(filter.clone(), page).await).await;
            assert_eq!(&listed.iter().map(|record| record.id).collect::<Vec<_>>(), *expected, "{filter:?}");
        }
    }
}

pub(super) async fn versions_page_newest_first(world: &mut World) {
    let acme = world.tenant("acme").await;
    for _ in 0..ROWS {
        world.store().publish_version(acme.id, acme.function, new_version(), world.now).await.unwrap();
    }
    let expected: Vec<u32> = (1..=7).rev().collect();
    for limit in PAGE_SIZES {
        let listed = every_page(limit, async |page| world.store().versions(acme.id, acme.function, page).await).await;
        assert_eq!(listed.iter().map(|version| version.number).collect::<Vec<_>>(), expected);
    }
}

pub(super) async fn tenants_and_functions_page_by_name(world: &mut World) {
    let names = ["delta", "Acme", "b-2", "b.1", "zeta", "b_3", "echo"];
    for text in names {
        world.store().put_tenant(&name(text), spec(), world.now).await.unwrap();
    }
    let (home, other) = (world.tenant("home").await, world.tenant("other").await);
    world.store().delete_function(home.id, &name("enrich")).await.unwrap();
    for text in names {
        world.function(home.id, text).await;
        world.function(other.id, &format!("{text}-x")).await;
    }
    let mut sorted: Vec<_> = names.map(name).into();
    sorted.sort();
    let mut tenants = sorted.clone();
    tenants.extend([name("home"), name("other")]);
    tenants.sort();
    for limit in PAGE_SIZES {
        let listed = every_page(limit, async |page| world.store().tenants(page).await).await;
        assert_eq!(listed.into_iter().map(|tenant| tenant.name).collect::<Vec<_>>(), tenants);
        let listed = every_page(limit, async |page| world.store().functions(home.id, page).await).await;
        assert_eq!(listed.into_iter().map(|function| function.name).collect::<Vec<_>>(), sorted);
    }
}

pub(super) async fn a_cursor_that_no_page_gave_is_invalid(world: &mut World) {
    let acme = world.tenant("acme").await;
    world.dead(&acme).await;
    let store = world.store();
    for cursor in ["nonsense", "", "-"] {
        let page = || Page::new(Some(cursor.to_owned()), 10);
        let all = InvocationFilter::default();
        assert_eq!(refusal(store.events(None, page()).await), ErrorKind::Invalid);
        assert_eq!(refusal(store.events(Some(acme.id), page()).await), ErrorKind::Invalid);
        assert_eq!(refusal(store.invocations(acme.id, all, page()).await), ErrorKind::Invalid);
        assert_eq!(refusal(store.dead_letters(acme.id, page()).await), ErrorKind::Invalid);
        assert_eq!(refusal(store.deliveries(DeliveryFilter::default(), page()).await), ErrorKind::Invalid);
        let refused = store.versions(acme.id, acme.function, page()).await;
        assert_eq!(refused.unwrap_err().field.as_deref(), Some("cursor"));
    }
}

pub(super) async fn a_row_that_came_in_between_does_not_shift_the_pages(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut expected = Vec::new();
    for _ in 0..ROWS {
        expected.insert(0, world.waiting(&acme).await);
    }
    let list = async |world: &World, page| {
        world.store().invocations(acme.id, InvocationFilter::default(), page).await.unwrap()
    };
    let mut page = list(world, Page::new(None, 3)).await;
    let mut seen: Vec<_> = page.items.iter().map(|record| record.id).collect();
    while let Some(cursor) = page.next {
        world.waiting(&acme).await;
        page = list(world, Page::new(Some(cursor), 3)).await;
        seen.extend(page.items.iter().map(|record| record.id));
    }
    assert_eq!(seen, expected);
}
