//! A sandbox that follows a script: the code says how it deploys, the event says how an attempt ends.
//!
//! Code: text that contains `cannot load` is rejected at deploy; anything else becomes the image as it is. An attempt of
//! code that contains `broken` throws; otherwise the word at `do`, in the event itself or in its `detail`, decides:
//! `throw`, `loop` (times out), `wait` (until [`Script::release`]), `fetch` (asks for the event's `url`), and anything else
//! returns `{"code", "echo"}`.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use sublet_model::{Outcome, Usage};
use sublet_sandbox::egress::{FetchRequest, Redirect};
use sublet_sandbox::{
    Attempt, Build, BuildError, BuildRequest, Failure, Image, ImageKind, Report, Sandbox, Unavailable,
};
use tokio::sync::{mpsc, watch};

pub(crate) struct Script {
    released: watch::Sender<bool>,
    refuses: AtomicBool,
}

impl Script {
    pub(crate) fn new() -> Script {
        Script { released: watch::Sender::new(false), refuses: AtomicBool::new(false) }
    }

    /// Nothing loads from now on.
    pub(crate) fn refuse_builds(&self) {
        self.refuses.store(true, Ordering::SeqCst);
    }

    /// Lets the attempts that wait go on.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }
}

fn failure(error_type: &str, message: &str) -> Failure {
    Failure {
        error_type: error_type.to_owned(),
        error_message: message.to_owned(),
        stack_trace: vec!["at handler (index.mjs:3:11)".to_owned()],
    }
}

/// What comes of it is in the attempt's records.
async fn ask(attempt: &Attempt, event: &Value) {
    let request = FetchRequest {
        method: "GET".to_owned(),
        url: event["url"].as_str().unwrap().to_owned(),
        headers: Vec::new(),
        redirect: Redirect::Follow,
        body: Bytes::new(),
    };
    let (sender, mut parts) = mpsc::channel(1);
    let asked = attempt.egress.as_ref().unwrap().fetch(request, sender);
    futures::future::join(asked, async { while parts.recv().await.is_some() {} }).await;
}

#[async_trait]
impl Sandbox for Script {
    async fn build(&self, request: BuildRequest) -> Result<Build, BuildError> {
        let content = request.files.first().map(|file| file.content.clone()).unwrap_or_default();
        if self.refuses.load(Ordering::SeqCst) || String::from_utf8_lossy(&content).contains("cannot load") {
            return Err(BuildError::Rejected(failure("SyntaxError", "unexpected token")));
        }
        let image = Image { kind: ImageKind::Snapshot, bytes: content };
        Ok(Build { image, engine_hash: self.engine_hash().to_owned(), log: Bytes::new() })
    }

    async fn run(&self, attempt: Attempt) -> Result<Report, Unavailable> {
        let code = String::from_utf8_lossy(&attempt.code.image.bytes).into_owned();
        let event: Value = serde_json::from_slice(&attempt.event).unwrap();
        let script = if code.contains("broken") { "throw" } else { word(&event) };
        let (outcome, result, failure) = match script {
            "throw" => (Outcome::Failed, None, Some(failure("TypeError", "x is not a function"))),
            "loop" => (Outcome::TimedOut, None, Some(failure("Sandbox.Timedout", "timed out after 3s"))),
            _ => {
                if script == "fetch" {
                    ask(&attempt, &event).await;
                }
                if script == "wait" {
                    let mut released = self.released.subscribe();
                    released.wait_for(|released| *released).await.map_err(|_| Unavailable::Draining)?;
                }
                (Outcome::Succeeded, Some(json!({"code": code, "echo": event}).to_string().into()), None)
            }
        };
        let usage = Usage {
            wall_us: 1_500,
            cpu_us: 1_000,
            memory_peak_bytes: 1 << 20,
            memory_limit_bytes: attempt.limits.memory_bytes,
            bytes_in: attempt.event.len() as u64,
            bytes_out: 10,
            fetches: attempt.egress.as_ref().map_or(0, |egress| egress.used().calls),
            egress_bytes: attempt.egress.as_ref().map_or(0, |egress| egress.used().bytes),
            instructions: attempt.counts.then_some(4_321),
        };
        Ok(Report {
            outcome,
            result,
            failure,
            log: Bytes::from_static(b"hello from the handler\n"),
            usage,
            fetches: attempt.egress.map(|egress| egress.records()).unwrap_or_default(),
            crash: None,
            worker: None,
        })
    }

    fn engine_hash(&self) -> &str {
        "scripted"
    }

    fn slots(&self) -> usize {
        16
    }
}

fn word(event: &Value) -> &str {
    event["do"].as_str().or(event["detail"]["do"].as_str()).unwrap_or("return")
}
