//! A whole engine by hand: clock, scripted sandbox, tenants and functions.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sublet_engine::{
    Engine, EngineConfig, EngineParts, InvokeRequest, Keyring, MasterKey, PackageKind, Receipt, SecretValue, Selector,
    StreamItem,
};
use sublet_model::{
    Clock, EgressRule, EventId, EventInput, FunctionConfig, Millis, Name, Outcome, Quota, RetryPolicy, RuleSpec,
    TenantId, Timestamp, Usage,
};
use sublet_sandbox::egress::{FetchPart, FetchRequest, Gateway, Redirect};
use sublet_sandbox::{
    Attempt, Build, BuildError, BuildRequest, CompileRequest, Cordon, Crash, Failure, Image, ImageKind, Report,
    Sandbox, Unavailable,
};
use sublet_store::memory::{Fault, Faults, Verb};
use sublet_store::{Bus, CodeStore, EventRecord, MemoryStore, Registry, SecretPlace, Store, TenantRecord, TenantSpec};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long it takes to build what says that it takes long.
pub(crate) const BUILD_TAKES: Duration = Duration::from_secs(1);

pub(crate) const START: Timestamp = Timestamp::from_millis(1_769_851_800_000);

/// The runtime's clock as wall time; stands still unless the runtime's does not.
pub(crate) struct RuntimeClock(tokio::time::Instant);

impl RuntimeClock {
    pub(crate) fn new() -> Arc<RuntimeClock> {
        Arc::new(RuntimeClock(tokio::time::Instant::now()))
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        START + self.0.elapsed()
    }
}

type Running = Pin<Box<dyn Future<Output = Report> + Send>>;

/// What a run is; the text is the package's.
type Script = dyn Fn(String, Attempt) -> Running + Send + Sync;

/// A sandbox whose images are the package's text and whose runs are decided by a script.
pub(crate) struct Scripted {
    script: Box<Script>,
    pub(crate) engine_hash: String,
    pub(crate) builds: AtomicUsize,
    pub(crate) compiles: AtomicUsize,
    pub(crate) running: AtomicUsize,
    pub(crate) running_most: AtomicUsize,
    pub(crate) alone: AtomicUsize,
    /// Of every attempt, in turn.
    pub(crate) cordons: Mutex<Vec<Cordon>>,
    pub(crate) environments: Mutex<Vec<Vec<(String, String)>>>,
    /// Of the last build.
    pub(crate) secret_names: Mutex<Vec<String>>,
    /// The layers of the last build, each with its first file.
    pub(crate) layers: std::sync::Mutex<Vec<(String, String)>>,
    /// Images made before were another server's.
    pub(crate) has_other_key: AtomicBool,
}

impl Scripted {
    /// `script`: how long a run takes, and what it comes to.
    pub(crate) fn new(script: impl Fn(&str, &Attempt) -> (Duration, Outcome) + Send + Sync + 'static) -> Arc<Scripted> {
        Scripted::of_engine("engine-1", script)
    }

    pub(crate) fn of_engine(
        engine: &str,
        script: impl Fn(&str, &Attempt) -> (Duration, Outcome) + Send + Sync + 'static,
    ) -> Arc<Scripted> {
        Scripted::made(engine, move |code, attempt| {
            let (takes, outcome) = script(&code, &attempt);
            taking(takes, outcome, code, attempt)
        })
    }

    /// Its runs do what their attempts let them do.
    pub(crate) fn acting<R>(act: impl Fn(String, Attempt) -> R + Send + Sync + 'static) -> Arc<Scripted>
    where
        R: Future<Output = Report> + Send + 'static,
    {
        Scripted::made("engine-1", act)
    }

    fn made<R>(engine: &str, act: impl Fn(String, Attempt) -> R + Send + Sync + 'static) -> Arc<Scripted>
    where
        R: Future<Output = Report> + Send + 'static,
    {
        Arc::new(Scripted {
            script: Box::new(move |code: String, attempt: Attempt| -> Running { Box::pin(act(code, attempt)) }),
            engine_hash: engine.to_owned(),
            builds: AtomicUsize::new(0),
            compiles: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            running_most: AtomicUsize::new(0),
            alone: AtomicUsize::new(0),
            cordons: Mutex::default(),
            environments: Mutex::default(),
            secret_names: Mutex::default(),
            layers: std::sync::Mutex::new(Vec::new()),
            has_other_key: AtomicBool::new(false),
        })
    }
}

/// By the code's text: `fail`, `crash` (as by a `forbidden` call), `slow`, anything else succeeds at once.
pub(crate) fn by_name(code: &str, _attempt: &Attempt) -> (Duration, Outcome) {
    match code {
        text if text.contains("fail") => (Duration::from_millis(1), Outcome::Failed),
        text if text.contains("crash") => (Duration::from_millis(1), Outcome::Crashed),
        text if text.contains("slow") => (Duration::from_secs(1), Outcome::Succeeded),
        _ => (Duration::ZERO, Outcome::Succeeded),
    }
}

/// A run that does nothing for so long and then comes to that.
pub(crate) async fn taking(takes: Duration, outcome: Outcome, code: String, attempt: Attempt) -> Report {
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    let usage = Usage {
        wall_us: u64::try_from(takes.as_micros()).unwrap(),
        cpu_us: 10,
        memory_peak_bytes: 1 << 20,
        memory_limit_bytes: attempt.limits.memory_bytes,
        bytes_in: attempt.event.len() as u64,
        bytes_out: 2,
        ..Usage::default()
    };
    let is_success = outcome == Outcome::Succeeded;
    let crash = if code.contains("forbidden") { Crash::ForbiddenCall } else { Crash::Death };
    Report {
        outcome,
        result: is_success.then(|| Bytes::from_static(b"{\"ok\":true}")),
        failure: (!is_success).then(|| failure("Error", "scripted")),
        log: Bytes::from_static(b"hello\n"),
        usage,
        fetches: Vec::new(),
        crash: (outcome == Outcome::Crashed).then_some(crash),
        worker: None,
    }
}

/// Code is a URL, which is asked, with the environment's first value as its key if there is one; the result is the status,
/// or why there is none.
pub(crate) async fn asking(code: String, attempt: Attempt) -> Report {
    let egress = attempt.egress.expect("every attempt has a way out");
    let key = attempt.environment.first().map(|(_, value)| ("authorization".to_owned(), format!("Bearer {value}")));
    let request = FetchRequest {
        method: "GET".to_owned(),
        url: code,
        headers: key.into_iter().collect(),
        redirect: Redirect::Follow,
        body: Bytes::new(),
    };
    let (sender, mut parts) = mpsc::channel(64);
    egress.fetch(request, sender).await;
    let told = match parts.recv().await.unwrap() {
        FetchPart::Head(head) => head.status.to_string(),
        FetchPart::Failed(why) => why,
        other => panic!("{other:?}"),
    };
    let used = egress.used();
    Report {
        outcome: Outcome::Succeeded,
        result: Some(serde_json::to_vec(&told).unwrap().into()),
        failure: None,
        log: Bytes::new(),
        usage: Usage { fetches: used.calls, egress_bytes: used.bytes, ..Usage::default() },
        fetches: egress.records(),
        crash: None,
        worker: None,
    }
}

/// Until the stop is said; without one, for ever.
async fn said(stop: Option<watch::Receiver<bool>>) {
    let Some(mut stop) = stop else { return std::future::pending().await };
    if stop.wait_for(|is_said| *is_said).await.is_err() {
        std::future::pending().await
    }
}

struct InUse<'a>(&'a AtomicUsize);

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Sandbox for Scripted {
    async fn build(&self, request: BuildRequest) -> Result<Build, BuildError> {
        self.builds.fetch_add(1, Ordering::SeqCst);
        self.secret_names.lock().unwrap().clone_from(&request.secret_names);
        let bytes = request.files[0].content.clone();
        if bytes.starts_with(b"takes long to build") {
            tokio::time::sleep(BUILD_TAKES).await;
        }
        let text = |content: &Bytes| String::from_utf8_lossy(content).into_owned();
        let layers = request.layers.iter().map(|(name, files)| (name.clone(), text(&files[0].content)));
        let layers: Vec<(String, String)> = layers.collect();
        let is_refused =
            layers.iter().any(|(_, content)| bytes.starts_with(content.as_bytes()) && content == "refuses");
        let is_hindered = layers.iter().any(|(_, content)| content == "hinders");
        *self.layers.lock().unwrap() = layers;
        if is_hindered {
            return Err(Unavailable::Full.into());
        }
        if bytes.starts_with(b"throw") || is_refused {
            return Err(BuildError::Rejected(failure("Error", "top level threw")));
        }
        Ok(Build {
            image: Image { kind: ImageKind::Snapshot, bytes },
            engine_hash: self.engine_hash.clone(),
            log: Bytes::new(),
        })
    }

    async fn compile(&self, request: CompileRequest) -> Result<Build, BuildError> {
        self.compiles.fetch_add(1, Ordering::SeqCst);
        let image = Image { kind: ImageKind::Machine, bytes: request.module };
        Ok(Build { image, engine_hash: self.engine_hash.clone(), log: Bytes::new() })
    }

    async fn run(&self, attempt: Attempt) -> Result<Report, Unavailable> {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _in_use = InUse(&self.running);
        self.running_most.fetch_max(now, Ordering::SeqCst);
        self.alone.fetch_add(usize::from(attempt.alone), Ordering::SeqCst);
        self.cordons.lock().unwrap().push(attempt.cordon);
        self.environments.lock().unwrap().push(attempt.environment.clone());
        let code = String::from_utf8_lossy(&attempt.code.image.bytes).into_owned();
        // Code that is `deaf` goes on, as native code might that has taken its worker over.
        let stop = attempt.stop.clone().filter(|_| !code.contains("deaf"));
        let begun = tokio::time::Instant::now();
        let mut stopped = taking(Duration::ZERO, Outcome::Cancelled, code.clone(), attempt.clone()).await;
        let values = attempt.environment.iter().map(|(_, value)| format!("{value}\n"));
        stopped.log = values.chain(["hello\n".to_owned()]).collect::<String>().into();
        tokio::select! {
            report = (self.script)(code, attempt) => Ok(report),
            () = said(stop) => {
                stopped.usage.wall_us = u64::try_from(begun.elapsed().as_micros()).unwrap();
                Ok(stopped)
            }
        }
    }

    fn accepts(&self, _image: &Image, engine_hash: &str, _tenant: TenantId) -> bool {
        engine_hash == self.engine_hash && !self.has_other_key.load(Ordering::SeqCst)
    }

    fn engine_hash(&self) -> &str {
        &self.engine_hash
    }

    fn slots(&self) -> usize {
        16
    }
}

pub(crate) fn failure(kind: &str, message: &str) -> Failure {
    Failure { error_type: kind.to_owned(), error_message: message.to_owned(), stack_trace: Vec::new() }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn event(tenant: &str, id: Option<&str>, detail: &str) -> EventInput {
    let id = id.map_or(String::new(), |id| format!(r#""id":"{id}","#));
    serde_json::from_str(&format!(
        r#"{{{id}"source":"todo","detail-type":"Item Created","tenant":"{tenant}","detail":{detail}}}"#
    ))
    .unwrap()
}

pub(crate) fn rule(pattern: &str, targets: &str) -> RuleSpec {
    serde_json::from_str(&format!(r#"{{"pattern":{pattern},"targets":{targets}}}"#)).unwrap()
}

pub(crate) fn active(quota: Quota) -> TenantSpec {
    TenantSpec { quota, ..TenantSpec::default() }
}

/// An engine with its store and sandbox.
pub(crate) struct House {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) sandbox: Arc<Scripted>,
    pub(crate) code: CodeStore,
    pub(crate) clock: Arc<dyn Clock>,
}

impl House {
    pub(crate) async fn new() -> House {
        House::with(Scripted::new(by_name), RuntimeClock::new()).await
    }

    /// A house whose code does what only its attempt can say.
    pub(crate) async fn of_sandbox(sandbox: Arc<dyn Sandbox>, gateway: Gateway) -> (Engine, Arc<MemoryStore>) {
        let store = MemoryStore::new();
        let parts = EngineParts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            code: CodeStore::in_memory(),
            sandbox,
            gateway,
            clock: RuntimeClock::new(),
            random_seed: 7,
            keyring: keyring(),
            config: EngineConfig::default(),
        };
        (Engine::start(parts).await.unwrap(), store)
    }

    pub(crate) async fn with(sandbox: Arc<Scripted>, clock: Arc<dyn Clock>) -> House {
        let store = MemoryStore::new();
        let code = CodeStore::in_memory();
        let engine = start(&store, &sandbox, &code, &clock, 0).await;
        House { engine, store, sandbox, code, clock }
    }

    /// A house whose store can be made to stall.
    pub(crate) async fn stalling(sandbox: Arc<Scripted>) -> (House, Arc<Stall>) {
        let stall = Arc::new(Stall::default());
        let store = MemoryStore::with_faults(Arc::clone(&stall) as Arc<dyn Faults>);
        let code = CodeStore::in_memory();
        let clock: Arc<dyn Clock> = RuntimeClock::new();
        let engine = start(&store, &sandbox, &code, &clock, 0).await;
        (House { engine, store, sandbox, code, clock }, stall)
    }

    pub(crate) async fn tenant(&self, tenant: &str, quota: Quota) -> Arc<TenantRecord> {
        self.engine.registry().put_tenant(&name(tenant), active(quota)).await.unwrap().0
    }

    /// A function with a live version of this code; fast retries.
    pub(crate) async fn function(&self, tenant: &TenantRecord, function: &str, code: &str) {
        let retry = RetryPolicy { attempts: 3, backoff: Millis(100), backoff_max: Millis(400), ..Default::default() };
        let config = FunctionConfig { retry: Some(retry), ..FunctionConfig::default() };
        self.configured(tenant, function, code, config).await;
    }

    pub(crate) async fn configured(&self, tenant: &TenantRecord, function: &str, code: &str, config: FunctionConfig) {
        let registry = self.engine.registry();
        registry.put_function(tenant.id, &name(function), config).await.unwrap();
        let package = Bytes::copy_from_slice(code.as_bytes());
        self.engine.deploy(tenant, &name(function), package, PackageKind::JavaScript, true).await.unwrap();
    }

    /// The article's dispatch: every event of source `todo` to the tenant's function `enrich`.
    pub(crate) async fn dispatch_rule(&self) {
        let spec = rule(r#"{"source":["todo"]}"#, r#"[{"tenant":"enrich"}]"#);
        self.engine.registry().put_rule(None, &name("dispatch"), spec).await.unwrap();
    }

    pub(crate) async fn store_event(&self, id: EventId) -> EventRecord {
        self.store.event(id).await.unwrap().unwrap()
    }

    pub(crate) async fn publish(&self, event: EventInput) -> Receipt {
        self.engine.publish(vec![event]).await.unwrap().remove(0).unwrap()
    }
}

/// Keeps the answer to one write of the registry from coming, so that those behind it stand in line: for what is decided
/// before its turn and must hold at its turn.
#[derive(Default)]
pub(crate) struct Stall(AtomicBool);

impl Faults for Stall {
    fn decide(&self, verb: Verb) -> Fault {
        let is_meant = verb == Verb::Register && self.0.swap(false, Ordering::SeqCst);
        if is_meant { Fault::NeverAnswered } else { Fault::None }
    }
}

impl Stall {
    /// Until the task is aborted.
    pub(crate) async fn begin(&self, house: &House) -> JoinHandle<()> {
        self.0.store(true, Ordering::SeqCst);
        let engine = house.engine.clone();
        let writing = tokio::spawn(async move {
            let _ = engine.registry().put_tenant(&name("nobody"), active(Quota::default())).await;
        });
        while house.store.tenant(&name("nobody")).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        writing
    }
}

pub(crate) async fn start(
    store: &Arc<MemoryStore>,
    sandbox: &Arc<Scripted>,
    code: &CodeStore,
    clock: &Arc<dyn Clock>,
    node: u16,
) -> Engine {
    let parts = EngineParts {
        store: Arc::clone(store) as Arc<dyn Store>,
        code: code.clone(),
        sandbox: Arc::clone(sandbox) as Arc<dyn Sandbox>,
        gateway: Gateway::default(),
        clock: Arc::clone(clock),
        random_seed: 7 + u64::from(node),
        keyring: keyring(),
        config: EngineConfig { node, ..EngineConfig::default() },
    };
    Engine::start(parts).await.unwrap()
}

/// The detail of a result event, and whether it succeeded.
pub(crate) fn detail(item: Option<StreamItem>) -> (bool, serde_json::Value) {
    let Some(StreamItem::Result(item)) = item else { panic!("not a result: {item:?}") };
    let envelope: serde_json::Value = serde_json::from_slice(&item.body).unwrap();
    assert_eq!(envelope["source"], "sublet");
    (item.succeeded, envelope["detail"].clone())
}

/// One fixed master key.
pub(crate) fn keyring() -> Keyring {
    Keyring::of(vec![MasterKey::new(&[7; 32]).unwrap()])
}

/// A call of the live version of `enrich`.
pub(crate) fn call_of(tenant: &TenantRecord) -> InvokeRequest {
    InvokeRequest {
        tenant: tenant.clone(),
        function: name("enrich"),
        selector: Selector::Live,
        payload: Bytes::from_static(b"{}"),
        deadline: None,
        counts: false,
    }
}

/// A tenant that may reach this address and has a secret `stripe`, and the rules that say so.
pub(crate) async fn tenant_with_secret(engine: &Engine, address: SocketAddr) -> (Arc<TenantRecord>, Vec<EgressRule>) {
    let rules: Vec<EgressRule> = vec![format!("http://{address}").parse().unwrap()];
    let spec = TenantSpec { egress: rules.clone().into(), ..TenantSpec::default() };
    let acme = engine.registry().put_tenant(&name("acme"), spec).await.unwrap().0;
    let place = SecretPlace { tenant: acme.id, function: None, name: name("stripe") };
    engine.put_secret(place, &SecretValue::new("sk_live_4eC39HqLyjW".to_owned()), None).await.unwrap();
    (acme, rules)
}
