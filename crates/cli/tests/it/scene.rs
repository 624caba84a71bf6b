//! What every test here sets up: tenants with a function, and the rule that leads to it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sublet_testkit::{Home, Http, Server, Stream};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_sublet");

/// Everything that these tests await must have come by then.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);
/// Between two looks at a balance when no result event says that it changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn serve(home: &Home) -> Result<Server> {
    Server::start(PROGRAM, home).await
}

/// The tenant, with `code` live as its function `enrich`.
pub(crate) async fn tenant(http: &Http, name: &str, config: &Value, code: &str) -> Result<()> {
    http.put(&format!("/v1/tenants/{name}"), &json!({})).await?.ok()?;
    let function = format!("/v1/tenants/{name}/functions/enrich");
    http.put(&function, config).await?.ok()?;
    http.upload(&format!("{function}/versions"), "text/javascript", code.into()).await?.ok()?;
    Ok(())
}

/// Leads events of source `load` to their tenant's function `enrich`.
pub(crate) async fn rule(http: &Http) -> Result<()> {
    let rule = json!({"pattern": {"source": ["load"]}, "targets": [{"tenant": "enrich"}]});
    http.put("/v1/rules/load", &rule).await?.ok()?;
    Ok(())
}

pub(crate) async fn balance(http: &Http, tenant: &str) -> Result<Value> {
    http.get(&format!("/v1/tenants/{tenant}/balance")).await?.ok()
}

/// All rows of a listing.
pub(crate) async fn all(http: &Http, path: &str) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let sign = if path.contains('?') { '&' } else { '?' };
        let page = http.get(&format!("{path}{sign}limit=1000{cursor}")).await?.ok()?;
        rows.extend(page["items"].as_array().context("a listing without items")?.iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(rows),
        }
    }
}

/// Invocations with their attempts, oldest start of the listing last.
pub(crate) async fn invocations(http: &Http, tenant: &str) -> Result<Vec<Value>> {
    let base = format!("/v1/tenants/{tenant}/invocations");
    let mut whole = Vec::new();
    for row in all(http, &base).await? {
        let id = row["id"].as_str().context("an invocation without id")?;
        whole.push(http.get(&format!("{base}/{id}")).await?.ok()?);
    }
    Ok(whole)
}

/// Waits until nothing of the tenants waits or runs. Every invocation that ends sends a result event, so `news` says
/// when to look again.
pub(crate) async fn settled(http: &Http, tenants: &[&str], news: &mut Stream) -> Result<()> {
    let settling = async {
        for tenant in tenants {
            loop {
                let balance = balance(http, tenant).await?;
                ensure!(balance["holds"] == true, "{tenant}'s balance does not hold: {balance}");
                if balance["waiting"] == 0 && balance["in_flight"] == 0 {
                    break;
                }
                // Its lapse is no failure: the last event may have come before the stream was open.
                if let Ok(line) = tokio::time::timeout(LOOK_EVERY, news.next()).await {
                    line?.context("the stream ended")?;
                }
            }
        }
        Ok(())
    };
    tokio::time::timeout(DEADLINE, settling).await.context("the queue did not become empty")?
}

/// Waits until `count` attempts of the tenant run. There is no event for that, so it asks again and again.
pub(crate) async fn running(http: &Http, tenant: &str, count: u64) -> Result<()> {
    let starting = async {
        while balance(http, tenant).await?["in_flight"] != count {
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    tokio::time::timeout(DEADLINE, starting).await.context("the attempts did not start")?
}

pub(crate) fn event(tenant: &str, id: &str, detail: &Value) -> Value {
    json!({"id": id, "source": "load", "detail-type": "Work", "tenant": tenant, "detail": detail})
}
