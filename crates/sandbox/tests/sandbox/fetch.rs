//! `fetch` through a worker process: what goes out, what comes back, several at once, and what an abort ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use sublet_model::Outcome;
use sublet_sandbox::egress::{Egress, EgressUsage, FetchHead, FetchPart, FetchRecord, FetchRequest};
use sublet_sandbox::pool::Pool;
use sublet_sandbox::{Attempt, Code, Sandbox, SourceFile};
use tokio::sync::{Notify, mpsc, watch};

use crate::support::{attempt, pool, request, result};

/// Answers by the URL's path, as ../wasm/js/fetch.mjs expects.
#[derive(Default)]
struct Gateway {
    pairs: AtomicU32,
    pair: Notify,
    ended: Arc<AtomicU32>,
    /// Woken with each of `ended`.
    end: Arc<Notify>,
    /// Woken with each that is never answered.
    begun: Notify,
}

/// Counts its end.
struct UnderWay(Arc<AtomicU32>, Arc<Notify>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.notify_one();
    }
}

fn head(request: &FetchRequest, status: u16) -> FetchPart {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    FetchPart::Head(FetchHead {
        status,
        status_text: "Fine".into(),
        url: request.url.clone(),
        redirected: false,
        headers: vec![header("X-Echo", "yes"), header("set-cookie", "a=1"), header("set-cookie", "b=2")],
    })
}

fn chunk(text: impl Into<Vec<u8>>) -> FetchPart {
    FetchPart::Chunk(Bytes::from(text.into()))
}

#[async_trait]
impl Egress for Gateway {
    async fn fetch(&self, request: FetchRequest, parts: mpsc::Sender<FetchPart>) {
        let path = request.url.trim_start_matches("http://gateway").split('?').next().unwrap_or_default();
        let answer = match path {
            "/echo" => {
                let body = String::from_utf8_lossy(&request.body);
                let echo = json!({"method": request.method, "url": request.url, "redirect": format!("{:?}", request.redirect).to_lowercase(),
                    "headers": request.headers, "body": body});
                vec![head(&request, 200), chunk(echo.to_string()), FetchPart::End]
            }
            "/pair" => {
                let number = self.pairs.fetch_add(1, Ordering::SeqCst) + 1;
                // The first one is answered when the second is here, so they must be under way together.
                if number == 1 {
                    self.pair.notified().await;
                } else {
                    self.pair.notify_one();
                }
                vec![head(&request, 200), chunk(number.to_string()), FetchPart::End]
            }
            "/chunks" => {
                vec![head(&request, 200), chunk(*b"a\xC3"), chunk(*b"\xA9"), chunk(*b"c"), FetchPart::End]
            }
            "/204" => vec![head(&request, 204), FetchPart::End],
            "/fail" => vec![FetchPart::Failed("fetch refused: not in the list".into())],
            "/cut" => {
                vec![head(&request, 200), chunk("x"), FetchPart::Failed("fetch failed: the connection broke".into())]
            }
            "/aborted" => {
                while self.ended.load(Ordering::SeqCst) < 4 {
                    self.end.notified().await;
                }
                vec![head(&request, 200), chunk(r#"{"aborted": 4}"#), FetchPart::End]
            }
            path => {
                let _under_way = UnderWay(self.ended.clone(), self.end.clone());
                self.begun.notify_one();
                if path == "/head" {
                    let _ = parts.send(head(&request, 200)).await;
                }
                std::future::pending().await
            }
        };
        for part in answer {
            if parts.send(part).await.is_err() {
                return;
            }
        }
    }

    fn records(&self) -> Vec<FetchRecord> {
        Vec::new()
    }

    fn used(&self) -> EgressUsage {
        EgressUsage::default()
    }
}

/// After its head it sends a part that is longer than any may be, and then nothing more.
struct Careless {
    part: FetchPart,
    ended: Arc<AtomicU32>,
    end: Arc<Notify>,
}

#[async_trait]
impl Egress for Careless {
    async fn fetch(&self, request: FetchRequest, parts: mpsc::Sender<FetchPart>) {
        let _under_way = UnderWay(self.ended.clone(), self.end.clone());
        for part in [head(&request, 200), self.part.clone()] {
            let _ = parts.send(part).await;
        }
        std::future::pending().await
    }

    fn records(&self) -> Vec<FetchRecord> {
        Vec::new()
    }
}

async fn function(pool: &Pool) -> Code {
    let source = include_str!("../wasm/js/fetch.mjs");
    let check = include_str!("../wasm/js/check.mjs");
    let mut request = request(source);
    request.files.push(SourceFile { path: "check.mjs".into(), content: Bytes::from_static(check.as_bytes()) });
    let build = pool.build(request).await.unwrap_or_else(|error| panic!("{error}"));
    Code { key: source.into(), image: build.image }
}

#[tokio::test]
async fn fetch_is_the_webs() {
    #[derive(Deserialize)]
    struct Told {
        ran: usize,
        failures: Vec<String>,
    }
    let pool = pool().await;
    let code = function(&pool).await;
    let mut attempt = attempt(&code, "{}");
    attempt.egress = Some(Arc::new(Gateway::default()));
    let report = pool.run(attempt).await.unwrap();
    let told: Told = serde_json::from_value(result(&report)).unwrap();
    assert!(told.ran > 5, "only {} cases ran", told.ran);
    assert!(told.failures.is_empty(), "{}", told.failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_is_stopped_tells_what_it_used_until_then() {
    const LOOPS: &str =
        "export const handler = () => { console.log('begun'); fetch('http://gateway/never'); for (;;) {} };";
    const WAITS: &str =
        "export const handler = async () => { console.log('begun'); await fetch('http://gateway/never'); };";
    let pool = pool().await;
    for source in [LOOPS, WAITS] {
        let code = crate::support::function(&pool, source).await;
        let gateway = Arc::new(Gateway::default());
        let asked = gateway.clone();
        let (tell, told) = watch::channel(false);
        let attempt = Attempt { egress: Some(gateway), stop: Some(told), ..attempt(&code, "{}") };
        let stop = async {
            asked.begun.notified().await;
            tell.send(true).unwrap();
        };
        let (report, ()) = tokio::join!(pool.run(attempt), stop);
        let report = report.unwrap();
        assert_eq!((report.outcome, &report.log[..]), (Outcome::Cancelled, &b"INFO begun\n"[..]), "{report:?}");
        assert!(report.usage.cpu_us > 0 && report.usage.memory_peak_bytes > 0, "{report:?}");
        // What it asked of the outside ends with it.
        asked.end.notified().await;
    }
    // Said before it has a place: then it never gets one.
    let code = crate::support::function(&pool, LOOPS).await;
    for (alone, counts) in [(false, false), (true, false), (false, true)] {
        let (_tell, told) = watch::channel(true);
        let attempt = Attempt { stop: Some(told), alone, counts, ..attempt(&code, "{}") };
        let report = pool.run(attempt).await.unwrap();
        assert_eq!((report.outcome, report.usage.cpu_us, report.worker), (Outcome::Cancelled, 0, None), "{report:?}");
    }
}

/// It is the guest's JavaScript that makes a fetch cheap or dear; instructions say so without a clock.
#[tokio::test]
async fn a_fetch_takes_the_guest_few_instructions() {
    const ASKS: &str = "export const handler = async () => (await fetch('http://gateway/chunks')).text();";
    const ANSWERS: &str = "export const handler = async () => 'aéc';";
    let pool = pool().await;
    let mut counts = Vec::new();
    for source in [ASKS, ANSWERS] {
        let code = crate::support::function(&pool, source).await;
        let egress = Some(Arc::new(Gateway::default()) as Arc<dyn Egress>);
        let report = pool.run(Attempt { egress, counts: true, ..attempt(&code, "{}") }).await.unwrap();
        assert_eq!(result(&report), json!("aéc"));
        counts.push(report.usage.instructions.unwrap());
    }
    let added = counts[0] - counts[1];
    // 260,000 when this was written; more of them where the parts of an answer come one by one.
    assert!(added < 400_000, "{added} instructions");
}

#[tokio::test]
async fn a_part_that_no_message_holds_ends_the_call_and_not_the_worker() {
    const ASKS: &str = "export const handler = async () => {
        try { return await (await fetch('http://gateway/')).text(); } catch (error) { return error.message; }
    };";
    let pool = pool().await;
    let code = crate::support::function(&pool, ASKS).await;
    let workers = pool.worker_pids();
    let head = FetchHead {
        status: 200,
        status_text: String::new(),
        url: String::new(),
        redirected: false,
        headers: vec![("x".into(), "x".repeat(140_000))],
    };
    for (part, said) in [
        (chunk(vec![b'x'; 200_000]), "fetch failed: a part of the answer is too long"),
        (FetchPart::Head(head), "fetch failed: the answer's headers are too long"),
    ] {
        let (ended, end) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let mut attempt = attempt(&code, "{}");
        attempt.egress = Some(Arc::new(Careless { part, ended: ended.clone(), end: end.clone() }));
        let report = pool.run(attempt).await.unwrap();
        assert_eq!(result(&report), json!(said));
        end.notified().await;
        assert_eq!(ended.load(Ordering::SeqCst), 1);
    }
    assert_eq!(pool.worker_pids(), workers);
}
