//! The container image, started as an ordinary user on a read-only root.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sublet_testkit::{Home, Server, is_there};

use super::container_engine::{Confinement, ENGINE, run};
use super::dockerfile::Image;
use crate::scene::{DEADLINE, event, rule, tenant};

/// What the image starts: plain HTTP, since the container's own network ends at the port that is published.
const COMMAND: [&str; 4] = ["serve", "--listen", "0.0.0.0:7070", "--insecure-plain-http"];
const HANDLER: &str = "export const handler = async (event) => ({ doubled: event.detail.n * 2 });";

/// The names of the layers that `sublet doctor` finds missing in a container's worker.
async fn missing_layers(image: &Image, confinement: Confinement, home: &Home) -> Result<Vec<String>> {
    let mut doctor = run(image, confinement, home.path(), &image.entry_point, &["doctor", "--json"])?;
    let output = doctor.output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "doctor ended with {}: {said}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let layers = report["layers"].as_array().context("a report without layers")?;
    // A worker that started says which are in force; had none started, they would only be available.
    ensure!(layers.iter().any(|layer| layer["status"] == "in_force"), "no worker started: {said}");
    let missing = layers.iter().filter(|layer| layer["status"] == "missing");
    Ok(missing.filter_map(|layer| layer["layer"].as_str().map(str::to_owned)).collect())
}

#[tokio::test]
async fn the_container_runs_a_function_as_an_ordinary_user_on_a_read_only_root() -> Result<()> {
    if !is_there(ENGINE, "the container image") {
        return Ok(());
    }
    let home = Home::new()?;
    let image = Image::make(home.path())?;
    // The test chooses the port; everything else is as the image says.
    ensure!(image.command.iter().map(String::as_str).eq(COMMAND), "{:?}", image.command);
    let command =
        run(&image, Confinement::Default, home.path(), &image.entry_point, &["serve", "--listen", "127.0.0.1:0"])?;
    let server = Server::start_command(command, &home).await?;
    let http = server.http()?;
    tenant(&http, "acme", &json!({}), HANDLER).await?;
    rule(&http).await?;
    let mut news = http.stream("/v1/stream").await?;
    http.post("/v1/events", &event("acme", "e1", &json!({"n": 21}))).await?.ok()?;
    let result = news.find(DEADLINE, |event| event["detail"]["event"] == "e1").await?;
    assert_eq!(result["detail"]["result"], json!({"doubled": 42}), "{result}");

    let status = std::fs::read_to_string(format!("/proc/{}/status", server_process(&server)?))?;
    let has = |line: &str| status.lines().any(|there| there.split_whitespace().eq(line.split(' ')));
    assert!(has("CapEff: 0000000000000000") && has("CapBnd: 0000000000000000"), "{status}");

    let mut health = run(&image, Confinement::Default, home.path(), &image.health_check, &[])?;
    let said = health.env("SUBLET_URL", server.url()).output().await?;
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    server.kill().await
}

#[tokio::test]
async fn a_container_lacks_no_layer_but_those_that_its_engine_refuses() -> Result<()> {
    if !is_there(ENGINE, "the layers of isolation in a container") {
        return Ok(());
    }
    let home = Home::new()?;
    let image = Image::make(home.path())?;
    let namespaces = [
        "identity",
        "mount_namespace",
        "empty_root",
        "network_namespace",
        "ipc_namespace",
        "uts_namespace",
        "cgroup_namespace",
    ];
    assert_eq!(missing_layers(&image, Confinement::Default, &home).await?, namespaces);
    assert_eq!(missing_layers(&image, Confinement::Unconfined, &home).await?, Vec::<String>::new());
    Ok(())
}

/// The server itself, which is the only child of the engine that the test started.
fn server_process(server: &Server) -> Result<u32> {
    let engine = server.pid();
    let children = std::fs::read_to_string(format!("/proc/{engine}/task/{engine}/children"))?;
    Ok(children.trim().parse()?)
}
