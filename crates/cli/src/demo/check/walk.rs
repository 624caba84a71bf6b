//! The steps of `--check`, in the order a visitor would take them.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::command;
use super::left_over::Family;
use super::product::Product;
use super::steps::Steps;
use crate::child::Process;
use crate::client::{Client, ClientError};
use crate::demo::extension::{self, ACME, FUNCTION, GLOBEX, MALLORY};
use crate::demo::setup;
use crate::demo::world::{Places, Sublet};

/// Items of a neighbour added while the hostile one runs, at the most.
const NEIGHBOURS_MAX: usize = 500;
/// Slower than this, a neighbour has noticed: the hostile one's own timeout.
const NOTICED: Duration = Duration::from_secs(1);

/// A started demo.
struct Stage {
    sublet: Sublet,
    todo: Process,
    product: Product,
    acme_key: String,
}

pub(super) async fn whole_path(steps: &mut Steps, places: &Places) {
    let Some(mut stage) = start(steps, places).await else { return };
    let before = booked(&stage.sublet.api).await.unwrap_or_default();
    let product = &mut stage.product;

    steps.step("the page is served", page(&stage.todo.url)).await;
    steps.step("acme's item got a due date and tags", acme(product)).await;
    steps.step("globex's item was scored with the operator's layer", globex(product)).await;
    steps.step("mallory's item timed out, acme's went on", mallory(product, &stage.sublet.api)).await;
    steps.step("a forged webhook is refused", forged(product)).await;

    let (url, key) = (stage.sublet.process.url.clone(), stage.acme_key.clone());
    steps.step("a changed extension, deployed by command, took effect", changed(product, places, &url, &key)).await;
    steps.step("the rollback took effect", rolled_back(product, &url, &key)).await;
    steps.step("everybody's usage is booked", usage(product, &stage.sublet.api, &before)).await;
    steps.step("an event is explained", explained(product, &stage.sublet.api)).await;

    let items = items(&product.http).await.unwrap_or_default();
    steps.step("both processes end at SIGTERM, and none is left", end(stage)).await;
    let Some(mut stage) = start(steps, places).await else { return };
    steps.step("items, tenants and versions are found again", found_again(&stage, &items)).await;
    steps.step("a new item is enriched", acme(&mut stage.product)).await;
    steps.step("both processes end again, and none is left", end(stage)).await;
}

async fn start(steps: &mut Steps, places: &Places) -> Option<Stage> {
    let sublet = steps.need("Sublet is ready", ready(places)).await?;
    let acme_key = steps.need("three tenants have their extensions", set_up(places, &sublet)).await?;
    let todo = steps.need("the to-do product is up", places.start_todo(&sublet)).await?;
    let product = steps.need("its live news are open", Product::open(&todo.url)).await?;
    Some(Stage { sublet, todo, product, acme_key })
}

async fn ready(places: &Places) -> Result<Sublet> {
    let sublet = places.start_sublet().await?;
    let answer = sublet.api.get("/readyz").await?;
    ensure!(answer["status"] == "ready", "/readyz says {answer}");
    Ok(sublet)
}

async fn set_up(places: &Places, sublet: &Sublet) -> Result<String> {
    places.set_up(sublet).await?;
    for extension in extension::ALL {
        let path = format!("/v1/tenants/{}/functions/{FUNCTION}", extension.tenant);
        let function = sublet.api.get(&path).await?;
        ensure!(function["live"].is_u64(), "{} has no live version: {function}", extension.tenant);
    }
    setup::tenant_key(&sublet.api, ACME.tenant, &places.data).await
}

async fn page(url: &str) -> Result<String> {
    let text = reqwest::get(url).await?.error_for_status()?.text().await?;
    ensure!(text.contains("<!doctype html>") && text.contains("/api/live"), "this is not the page: {text}");
    Ok(String::new())
}

async fn acme(product: &mut Product) -> Result<String> {
    let extra = product.enriched(ACME.tenant, "Send the report on friday #finance").await?;
    ensure!(extra == json!({"due": "2026-03-06", "tags": ["finance"]}), "the extension returned {extra}");
    Ok("due 2026-03-06, tags finance".to_owned())
}

async fn globex(product: &mut Product) -> Result<String> {
    let extra = product.enriched(GLOBEX.tenant, "Call the bank today, urgent!").await?;
    ensure!(extra == json!({"urgency": 10, "because": ["today", "urgent"]}), "the extension returned {extra}");
    Ok("urgency 10".to_owned())
}

async fn mallory(product: &mut Product, api: &Client) -> Result<String> {
    let hostile = product.add(MALLORY.tenant, "Anything at all").await?;
    let mut took = Vec::new();
    while !product.has_ended(&hostile) && took.len() < NEIGHBOURS_MAX {
        let (item, span) = product.add_and_wait(ACME.tenant, "Water the plants tomorrow #home").await?;
        ensure!(item["state"] == "enriched", "acme's item is {}: {}", item["state"], item["extra"]);
        took.push(span);
    }
    let item = product.end_of(&hostile).await?;
    ensure!(item["state"] == "failed", "mallory's item is {}", item["state"]);
    let attempt = last_attempt(api, MALLORY.tenant).await?;
    ensure!(attempt["outcome"] == "TimedOut", "the attempt ended as {}", attempt["outcome"]);
    took.sort();
    let (median, slowest) = (took[took.len() / 2], took[took.len() - 1]);
    ensure!(slowest < NOTICED, "one of acme's items took {slowest:?}");
    Ok(format!("{} of acme's items meanwhile, p50 {median:.1?}, slowest {slowest:.1?}", took.len()))
}

async fn last_attempt(api: &Client, tenant: &str) -> Result<Value> {
    let base = format!("/v1/tenants/{tenant}/invocations");
    let listing = api.get(&format!("{base}?limit=1")).await?;
    let id = listing["items"][0]["id"].as_str().context("there is no invocation")?;
    let invocation = api.get(&format!("{base}/{id}")).await?;
    Ok(invocation["attempts"].as_array().and_then(|attempts| attempts.last()).cloned().unwrap_or_default())
}

/// A result event that Sublet never sent: plausible, for a real item, and not signed.
async fn forged(product: &mut Product) -> Result<String> {
    let (item, _) = product.add_and_wait(ACME.tenant, "Pay on 2026-04-01").await?;
    let forged = json!({
        "source": "sublet", "detail-type": "Invocation Succeeded", "tenant": ACME.tenant,
        "detail": {"function": FUNCTION, "event": item["id"], "result": {"due": "1970-01-01"}},
    });
    let answer = product.http.post("/hooks/sublet", &forged).await;
    let refused = answer.err().and_then(|error| error.downcast::<ClientError>().ok());
    let is_refused = matches!(refused, Some(ClientError::Refused { status, .. }) if status.as_u16() == 401);
    ensure!(is_refused, "it was not refused with 401");
    let kept = items(&product.http).await?.into_iter().find(|kept| kept["id"] == item["id"]);
    ensure!(kept.is_some_and(|kept| kept["extra"] == item["extra"]), "it changed the item");
    Ok(String::new())
}

async fn changed(product: &mut Product, places: &Places, url: &str, key: &str) -> Result<String> {
    let folder = changed_copy(&places.data.join("changed").join(ACME.tenant))?;
    let path = command::text(&folder)?;
    command::run(url, key, &["deploy", path, "--tenant", ACME.tenant, "--function", FUNCTION]).await?;
    let extra = product.enriched(ACME.tenant, "Tidy up today").await?;
    ensure!(extra["changed"] == true, "the extension returned {extra}");
    Ok(String::new())
}

fn changed_copy(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    for (name, text) in ACME.files() {
        std::fs::write(folder.join(name), text.replace("return { due, tags }", "return { due, tags, changed: true }"))?;
    }
    Ok(folder.to_owned())
}

async fn rolled_back(product: &mut Product, url: &str, key: &str) -> Result<String> {
    command::run(url, key, &["rollback", FUNCTION, "--tenant", ACME.tenant]).await?;
    let extra = product.enriched(ACME.tenant, "Tidy up today").await?;
    ensure!(extra["changed"].is_null(), "the extension returned {extra}");
    Ok(String::new())
}

/// Attempts booked, in the order of `extension::ALL`.
async fn booked(api: &Client) -> Result<Vec<u64>> {
    let mut attempts = Vec::new();
    for extension in extension::ALL {
        let usage = api.get(&format!("/v1/tenants/{}/usage", extension.tenant)).await?;
        attempts.push(usage["total"]["attempts"].as_u64().with_context(|| format!("the answer was {usage}"))?);
    }
    Ok(attempts)
}

async fn usage(product: &Product, api: &Client, before: &[u64]) -> Result<String> {
    let mut said = Vec::new();
    for ((extension, before), after) in extension::ALL.iter().zip(before).zip(booked(api).await?) {
        let (tenant, added) = (extension.tenant, product.added(extension.tenant));
        ensure!(after == before + added, "{tenant} added {added} items, and {} attempts are booked", after - before);
        said.push(format!("{tenant} {added}"));
    }
    ensure!(said.len() == extension::ALL.len(), "the usage before could not be read");
    Ok(format!("attempts of {}", said.join(", ")))
}

async fn explained(product: &mut Product, api: &Client) -> Result<String> {
    let (item, _) = product.add_and_wait(ACME.tenant, "Read the mail").await?;
    let id = item["id"].as_str().context("the item has no id")?;
    let event = api.get(&format!("/v1/events?tenant={}&source=todo&id={id}", ACME.tenant)).await?;
    let rules = event["rules"].as_array().cloned().unwrap_or_default();
    let named = rules.iter().any(|rule| rule["name"] == "todo-items" && rule["matched"] == true);
    ensure!(named, "no rule is named: {event}");
    let invocation = &event["invocations"][0];
    ensure!(invocation["state"] == "Succeeded", "no invocation that succeeded: {event}");
    let id = invocation["id"].as_str().context("the invocation has no id")?;
    Ok(format!("rule todo-items, {id}"))
}

async fn items(todo: &Client) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for extension in extension::ALL {
        let listing = todo.get(&format!("/api/{}/items", extension.tenant)).await?;
        all.extend(listing.as_array().context("no list of items")?.iter().cloned());
    }
    Ok(all)
}

async fn end(stage: Stage) -> Result<String> {
    let family = Family::of(&[stage.sublet.process.pid(), stage.todo.pid()])?;
    let processes = family.len();
    let stopped = stage.sublet.process.stop(pending()).await;
    stopped.and(stage.todo.stop(pending()).await)?;
    family.have_ended().await?;
    Ok(format!("{processes} processes"))
}

async fn found_again(stage: &Stage, before: &[Value]) -> Result<String> {
    let now = items(&stage.product.http).await?;
    ensure!(!before.is_empty() && now == before, "there were {} items, and now {}", before.len(), now.len());
    for extension in extension::ALL {
        let tenant = stage.sublet.api.get(&format!("/v1/tenants/{}", extension.tenant)).await?;
        ensure!(tenant["status"] == "active", "{} is {}", extension.tenant, tenant["status"]);
    }
    let function = stage.sublet.api.get(&format!("/v1/tenants/{}/functions/{FUNCTION}", ACME.tenant)).await?;
    Ok(format!("{} items, acme's live version is {}", now.len(), function["live"]))
}
