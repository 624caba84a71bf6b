//! Deploy of a small function: from the upload's first byte to the answer that it is live.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;
use sublet_testkit::{Home, Server};

use crate::figure::{Figure, ms, quantile};
use crate::{HANDLER, PROGRAM, yardstick};

const DEPLOYS: u32 = 50;
const BAR_MS: f64 = 25.0;

pub(crate) async fn run() -> Result<()> {
    let spawn = yardstick::spawn_p50()?;
    let home = Home::new()?;
    let server = Server::start(PROGRAM, &home).await?;
    let http = server.http()?;
    http.put("/v1/tenants/acme", &json!({})).await?.ok()?;
    http.put("/v1/tenants/acme/functions/enrich", &json!({})).await?.ok()?;
    let mut spans = Vec::new();
    for number in 0..DEPLOYS {
        // Never the same text twice, so that nothing is there already.
        let code = format!("{HANDLER}\nexport const number = {number};\n");
        let began = Instant::now();
        let answer = http.upload("/v1/tenants/acme/functions/enrich/versions", "text/javascript", code.into()).await?;
        spans.push(began.elapsed());
        anyhow::ensure!(answer.ok()?["live"] == true, "not live");
    }
    Figure {
        bench: "deploy of a small function, upload to live, p50",
        value: ms(quantile(&mut spans, 0.5)),
        unit: "ms",
        yardstick: Some(("start of `sublet --version`, p50", ms(spawn))),
        bar: Some(BAR_MS),
    }
    .print();
    server.stop().await
}
