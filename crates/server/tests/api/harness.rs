//! One running server and a client that checks every answer's shape.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use sublet_engine::{Engine, EngineConfig, EngineParts, Keyring, MasterKey};
use sublet_model::{Clock, SystemClock, Timestamp};
use sublet_sandbox::egress::Gateway;
use sublet_server::{AppState, Failures, ServerConfig, ensure_operator_key};
use sublet_store::memory::{Faults, NoFaults};
use sublet_store::{CodeStore, MemoryStore};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::document::Document;
use crate::sandbox::Script;

pub(crate) const OPERATOR_KEY: &str = "slo_the-operators-key-of-these-tests";
/// Far longer than anything here takes: only to end a test that hangs.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Api {
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    pub(crate) document: Document,
    pub(crate) sandbox: Arc<Script>,
    pub(crate) engine: Engine,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<(), sublet_model::Error>>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A clock that a test moves.
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn new() -> Arc<HandClock> {
        Arc::new(HandClock(AtomicI64::new(SystemClock.now().millis())))
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.0.fetch_add(span.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl Answer {
    /// The body, if the status is the one that is wanted.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

pub(crate) fn client() -> reqwest::ClientBuilder {
    // Fails when another test of this process did it already, which is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(PATIENCE)
}

impl Api {
    pub(crate) async fn start() -> Api {
        // Tests try far more wrong keys than people do.
        let failures = Failures { burst: 10_000, per_minute: 10_000 };
        Api::start_with(Arc::new(NoFaults), ServerConfig { failures, ..ServerConfig::default() }).await
    }

    pub(crate) async fn start_with(faults: Arc<dyn Faults>, config: ServerConfig) -> Api {
        Api::start_for(client(), faults, config).await
    }

    /// `client`: one that can talk to it.
    pub(crate) async fn start_for(
        client: reqwest::ClientBuilder,
        faults: Arc<dyn Faults>,
        config: ServerConfig,
    ) -> Api {
        sublet_server::install_metrics();
        let store = MemoryStore::with_faults(faults);
        let sandbox = Arc::new(Script::new());
        let parts = EngineParts {
            store: store.clone(),
            code: CodeStore::in_memory(),
            sandbox: sandbox.clone(),
            gateway: Gateway::default(),
            clock: Arc::clone(&config.clock),
            random_seed: 7,
            keyring: Keyring::of(vec![MasterKey::new(&[7; 32]).unwrap()]),
            config: EngineConfig::default(),
        };
        let engine = Engine::start(parts).await.unwrap();
        ensure_operator_key(store.as_ref(), Some(OPERATOR_KEY), config.clock.now()).await.unwrap();
        Api::serving(client, engine, sandbox, config).await
    }

    /// Another server over the same engine: it has the events, and nothing of what the first holds in memory.
    pub(crate) async fn beside(&self) -> Api {
        Api::serving(client(), self.engine.clone(), self.sandbox.clone(), ServerConfig::default()).await
    }

    async fn serving(
        client: reqwest::ClientBuilder,
        engine: Engine,
        sandbox: Arc<Script>,
        config: ServerConfig,
    ) -> Api {
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let state = AppState::new(engine.clone(), config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(sublet_server::serve(listener, state, async {
            let _ = stopped.await;
        }));
        let client = client.build().unwrap();
        let text = client.get(format!("{base}/openapi.json")).send().await.unwrap().bytes().await.unwrap();
        let document = Document(serde_json::from_slice(&text).unwrap());
        Api { base, client, document, sandbox, engine, stop: Some(stop), server }
    }

    /// Asks the server to end; what it answers when it has.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn ended(self) {
        tokio::time::timeout(PATIENCE, self.server).await.unwrap().unwrap().unwrap();
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let method = request.method().to_string();
        let path = request.url().path().to_owned();
        let response = self.client.execute(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let media_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap();
        let is_stream = media_type == "text/event-stream";
        let text = if is_stream { Default::default() } else { response.bytes().await.unwrap() };
        let body = match media_type {
            "application/json" | "application/problem+json" => serde_json::from_slice(&text).unwrap(),
            _ => Value::Null,
        };
        assert!(headers.contains_key("x-request-id"), "{method} {path}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        if status >= 400 && path != "/readyz" {
            assert_eq!(media_type, "application/problem+json", "{method} {path}");
            assert_eq!(body["status"], status);
            assert_eq!(body["request_id"].as_str(), headers["x-request-id"].to_str().ok());
        }
        self.document.check(&method, &path, status, media_type, &body);
        Answer { status, headers, body }
    }

    pub(crate) fn request(&self, key: Option<&str>, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(OPERATOR_KEY, path).await
    }

    pub(crate) async fn get_as(&self, key: &str, path: &str) -> Answer {
        self.send(self.request(Some(key), Method::GET, path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Some(OPERATOR_KEY), Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Some(OPERATOR_KEY), Method::POST, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Some(OPERATOR_KEY), Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Some(OPERATOR_KEY), Method::DELETE, path)).await
    }

    /// A server with the tenant `acme`, whose `enrich` gets every `todo` event.
    pub(crate) async fn ready() -> Api {
        let api = Api::start().await;
        api.tenant("acme", "v1").await;
        api.dispatch().await;
        api
    }

    /// A tenant with a function `enrich` that runs `code`.
    pub(crate) async fn tenant(&self, name: &str, code: &str) {
        self.put(&format!("/v1/tenants/{name}"), json!({})).await.expect(201);
        self.put(&format!("/v1/tenants/{name}/functions/enrich"), json!({})).await.expect(201);
        self.deploy(name, code).await.expect(201);
    }

    pub(crate) async fn deploy(&self, tenant: &str, code: &str) -> Answer {
        let path = format!("/v1/tenants/{tenant}/functions/enrich/versions");
        let request = self.request(Some(OPERATOR_KEY), Method::POST, &path);
        self.send(request.header(CONTENT_TYPE, "text/javascript").body(code.to_owned())).await
    }

    /// The operator's dispatch of `todo` events to each tenant's `enrich`, tried once.
    pub(crate) async fn dispatch(&self) {
        let rule = json!({
            "pattern": {"source": ["todo"]},
            "targets": [{"tenant": "enrich", "retry": {"attempts": 1}}]
        });
        self.put("/v1/rules/dispatch", rule).await.expect(201);
    }

    pub(crate) async fn key_of(&self, tenant: &str) -> String {
        let made = self.post("/v1/keys", json!({"tenant": tenant})).await.expect(201);
        made["secret"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn publish(&self, tenant: &str, detail: Value) -> Value {
        let event = json!({"source": "todo", "detail-type": "todo.created", "tenant": tenant, "detail": detail});
        self.post("/v1/events", event).await.expect(202)
    }

    pub(crate) async fn stream(&self, key: &str, query: &str) -> Stream {
        let request = self.request(Some(key), Method::GET, &format!("/v1/stream{query}"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Stream { response, text: String::new() }
    }
}

/// A reader of server-sent events.
pub(crate) struct Stream {
    response: reqwest::Response,
    text: String,
}

#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Stream {
    /// The next event with data; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Sent> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let Some(data) = field("data: ") {
                    return Some(Sent {
                        id: field("id: ").unwrap_or_default(),
                        kind: field("event: ").unwrap_or_default(),
                        data: serde_json::from_str(&data).unwrap(),
                    });
                }
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next result, and nothing but a result.
    pub(crate) async fn result(&mut self) -> Sent {
        let sent = tokio::time::timeout(PATIENCE, self.next()).await.unwrap().unwrap();
        assert_eq!(sent.kind, "result");
        sent
    }
}
