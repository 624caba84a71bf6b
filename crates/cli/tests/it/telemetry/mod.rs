//! What a real server tells of itself: traces and metrics to a collector, `/metrics`, probes, its log.

mod collector;
mod log;
mod metrics;
mod probe;
mod trace;

use anyhow::Result;
use serde_json::{Value, json};
use sublet_testkit::{Home, Http, Server};

use crate::scene::PROGRAM;

/// A server by a configuration of the test's own.
async fn serve_by(home: &Home, config: &str) -> Result<Server> {
    let file = home.path().join("sublet.toml");
    std::fs::write(&file, config)?;
    let file = file.to_str().expect("temporary folders have names in UTF-8");
    Server::start_with(PROGRAM, home, &["--config", file]).await
}

/// Publishes with headers of its own.
async fn publish(http: &Http, key: &str, headers: &[(&str, &str)], event: &Value) -> Result<reqwest::Response> {
    let mut request = reqwest::Client::new().post(format!("{}/v1/events", http.url())).bearer_auth(key).json(event);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.send().await?.error_for_status()?)
}

/// A webhook at an address of this machine.
async fn webhook(http: &Http, name: &str, address: std::net::SocketAddr) -> Result<()> {
    let spec = json!({"url": format!("http://{address}/hook"), "allow_private": [address.to_string()]});
    http.put(&format!("/v1/webhooks/{name}"), &spec).await?.ok()?;
    Ok(())
}
