//! The snippets of docs/webhooks.md, run as they stand, against the real server: what they publish is delivered to what
//! they verify with, the stock `standardwebhooks` library of each language; and what was tampered with is refused.

#[allow(unreachable_pub, reason = "they are written for a product's own crate")]
#[path = "../../../../examples/snippets/publish.rs"]
mod publish;
#[allow(unreachable_pub, reason = "they are written for a product's own crate")]
#[path = "../../../../examples/snippets/verify.rs"]
mod verify;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use sublet_testkit::{Home, Http, Server, installed, root};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::scene::{DEADLINE, serve};

const SECRET: &str = "whsec_c3VibGV0LXNuaXBwZXRzLWFyZS1zaWduZWQtd2l0aC10aGlz";

/// A snippet's language: how its files are run.
struct Program {
    interpreter: PathBuf,
    arguments: &'static [&'static str],
    folder: PathBuf,
    ending: &'static str,
}

impl Program {
    fn python() -> Option<Program> {
        let interpreter = installed("python")?.join("bin/python");
        Some(Program { interpreter, arguments: &[], folder: root().join("examples/snippets"), ending: "py" })
    }

    /// The snippets lie beside their packages, where Node looks for them.
    fn typescript() -> Result<Option<Program>> {
        let Some(folder) = installed("npm") else { return Ok(None) };
        for file in ["publish.ts", "verify.ts"] {
            std::fs::copy(root().join("examples/snippets").join(file), folder.join(file))?;
        }
        // Not by the command `tsx`, which starts a Node of its own: killed, it would leave that behind.
        Ok(Some(Program { interpreter: "node".into(), arguments: &["--import", "tsx"], folder, ending: "ts" }))
    }

    fn command(&self, snippet: &str) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.args(self.arguments);
        command.arg(self.folder.join(format!("{snippet}.{}", self.ending))).current_dir(&self.folder);
        command.env("WEBHOOK_SECRET", SECRET).env_remove("PORT").stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn publish(&self, server: &Server, home: &Home) -> Result<String> {
        let mut command = self.command("publish");
        let output =
            command.env("SUBLET_URL", server.url()).env("SUBLET_KEY", home.key()).env("TENANT", "acme").output();
        let output = tokio::time::timeout(DEADLINE, output).await??;
        ensure!(output.status.success(), "it failed: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout)?;
        Ok(said.trim().strip_prefix("published ").context("it did not say what it published")?.to_owned())
    }

    async fn verify(&self) -> Result<Verifier> {
        let mut child = self.command("verify").stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let address = said(&mut lines).await?;
        let address = address.strip_prefix("listening on ").context("it does not listen")?.to_owned();
        Ok(Verifier { address, hears: Hears::Lines(lines), _child: Some(child) })
    }
}

async fn said(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<String> {
    tokio::time::timeout(DEADLINE, lines.next_line()).await??.context("the snippet ended")
}

/// A running receiver, and what it says it received: the webhook-id, and of whom.
struct Verifier {
    address: String,
    hears: Hears,
    _child: Option<Child>,
}

enum Hears {
    Lines(Lines<BufReader<ChildStdout>>),
    Calls(mpsc::UnboundedReceiver<String>),
}

impl Verifier {
    async fn rust() -> Result<Verifier> {
        let (sender, calls) = mpsc::unbounded_channel();
        let received = move |id: &str, event: Value| {
            let (kind, tenant) = (event["detail-type"].as_str().unwrap_or(""), event["tenant"].as_str().unwrap_or(""));
            drop(sender.send(format!("received {id} {kind} of {tenant}")));
        };
        let app = verify::receiver(SECRET, received).map_err(|error| anyhow!("{error}"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Verifier { address, hears: Hears::Calls(calls), _child: None })
    }

    /// The webhook-id of what it received next.
    async fn next(&mut self) -> Result<String> {
        let line = match &mut self.hears {
            Hears::Lines(lines) => said(lines).await?,
            Hears::Calls(calls) => {
                tokio::time::timeout(DEADLINE, calls.recv()).await?.context("the receiver is gone")?
            }
        };
        let rest = line.strip_prefix("received ").with_context(|| format!("it says {line:?}"))?;
        let (id, what) = rest.split_once(' ').context("no id")?;
        ensure!(what == "Order Placed of acme", "it received {what:?}");
        Ok(id.to_owned())
    }
}

type Captured = (HeaderMap, Bytes);

/// A receiver of ours that keeps what was sent, with its signature.
async fn capture() -> Result<(String, mpsc::UnboundedReceiver<Captured>)> {
    let (sender, captured) = mpsc::unbounded_channel();
    let keep = async |State(sender): State<Arc<mpsc::UnboundedSender<Captured>>>, headers: HeaderMap, body: Bytes| {
        drop(sender.send((headers, body)));
        StatusCode::NO_CONTENT
    };
    let app = axum::Router::new().route("/", post(keep)).with_state(Arc::new(sender));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((address, captured))
}

async fn webhook(http: &Http, name: &str, address: &str) -> Result<()> {
    let body = json!({"url": format!("http://{address}/"), "allow_private": [address], "secret": SECRET});
    http.put(&format!("/v1/webhooks/{name}"), &body).await?.ok()?;
    Ok(())
}

/// What the receiver answers to a request that was sent before, with this body.
async fn answered(address: &str, headers: &HeaderMap, body: Vec<u8>) -> Result<u16> {
    let mut request = reqwest::Client::new().post(format!("http://{address}/")).body(body);
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"] {
        request = request.header(name, headers.get(name).with_context(|| format!("no {name}"))?);
    }
    Ok(tokio::time::timeout(DEADLINE, request.send()).await??.status().as_u16())
}

/// A server whose events of source `shop` go to the receiver and to ours.
async fn walk(mut verifier: Verifier, publish: impl AsyncFn(&Server, &Home) -> Result<String>) -> Result<()> {
    let home = Home::new()?;
    let server = serve(&home).await?;
    let http = server.http()?;
    http.put("/v1/tenants/acme", &json!({})).await?.ok()?;
    let (address, mut captured) = capture().await?;
    webhook(&http, "ours", &address).await?;
    webhook(&http, "theirs", &verifier.address).await?;
    let targets = json!([{"webhook": "ours"}, {"webhook": "theirs"}]);
    http.put("/v1/rules/orders", &json!({"pattern": {"source": ["shop"]}, "targets": targets})).await?.ok()?;

    let event = publish(&server, &home).await?;
    ensure!(event.starts_with("evt_"), "it published {event:?}");
    ensure!(publish(&server, &home).await? == event, "the same id is the same event");
    let first = verifier.next().await?;
    let delivery = delivered(&http, &first).await?;
    ensure!(delivery["webhook"] == "theirs" && delivery["event"] == event.as_str(), "{delivery}");

    // What ours got is signed for theirs too, since the secret is the same.
    let (headers, body) = tokio::time::timeout(DEADLINE, captured.recv()).await?.context("nothing was captured")?;
    let tampered = String::from_utf8(body.to_vec())?.replace("12.50", "99.50").into_bytes();
    ensure!(tampered != body, "the price is in the body");
    ensure!(answered(&verifier.address, &headers, tampered).await? == 400, "a tampered body is refused");
    ensure!(answered(&verifier.address, &headers, body.to_vec()).await? == 204, "the body as it was sent is not");
    verifier.next().await?;

    // A replay comes under the id it had, and is dropped; with the secret rotated, the old one still signs along.
    http.post(&format!("/v1/deliveries/{first}/replay"), &json!({})).await?.ok()?;
    ensure!(delivered(&http, &first).await?["replays"] == 1, "it was sent anew");
    http.post("/v1/webhooks/theirs/rotate", &json!({"overlap": "1h"})).await?.ok()?;
    let more = json!({"source": "shop", "detail-type": "Order Placed", "tenant": "acme", "detail": {}});
    http.post("/v1/events", &more).await?.ok()?;
    let second = verifier.next().await?;
    ensure!(second != first, "the replay was not dropped");
    delivered(&http, &second).await?;
    server.stop().await
}

/// Waits until it is. There is no event for that, so it asks again and again.
async fn delivered(http: &Http, id: &str) -> Result<Value> {
    let looking = async {
        loop {
            let delivery = http.get(&format!("/v1/deliveries/{id}")).await?.ok()?;
            match delivery["state"].as_str() {
                Some("delivered") => return Ok(delivery),
                Some("pending") => tokio::task::yield_now().await,
                _ => bail!("{delivery}"),
            }
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.context("it was not delivered")?
}

#[tokio::test]
async fn the_rust_snippets_publish_and_verify() -> Result<()> {
    let publish = async |server: &Server, home: &Home| {
        publish::publish(server.url(), home.key(), "acme").await.map_err(|error| anyhow!("{error}"))
    };
    walk(Verifier::rust().await?, publish).await
}

#[tokio::test]
async fn the_python_snippets_publish_and_verify() -> Result<()> {
    let Some(python) = Program::python() else { return Ok(()) };
    walk(python.verify().await?, async |server: &Server, home: &Home| python.publish(server, home).await).await
}

#[tokio::test]
async fn the_typescript_snippets_publish_and_verify() -> Result<()> {
    let Some(typescript) = Program::typescript()? else { return Ok(()) };
    walk(typescript.verify().await?, async |server: &Server, home: &Home| typescript.publish(server, home).await).await
}
