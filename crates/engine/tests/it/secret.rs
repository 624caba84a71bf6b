//! Secrets from the put to the redacted report, over a sandbox that gives away all it is handed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sublet_engine::{
    DeployError, Engine, EngineConfig, EngineParts, InvokeAnswer, Keyring, MasterKey, PackageKind, SecretValue,
};
use sublet_model::{Error, ErrorKind, FunctionConfig, HostPattern, Outcome, Quota, SecretUse, Usage};
use sublet_sandbox::egress::{Gateway, GatewayParts};
use sublet_sandbox::{Attempt, Report};
use sublet_store::{CodeStore, MemoryStore, Page, Registry, SecretPlace, Secrets, TenantRecord};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::harness::*;

const VALUE: &str = "sk_live_\"4eC39HqLyjW\"";

/// Logs and returns its environment; code that begins with `fail` throws it.
async fn leaking(code: String, attempt: Attempt) -> Report {
    let environment = serde_json::to_string(&attempt.environment).unwrap();
    let fails = code.starts_with("fail");
    Report {
        outcome: if fails { Outcome::Failed } else { Outcome::Succeeded },
        result: (!fails).then(|| Bytes::from(environment.clone())),
        failure: fails.then(|| failure("Error", &environment)),
        log: Bytes::from(format!("INFO {environment}\n")),
        usage: Usage::default(),
        fetches: Vec::new(),
        crash: None,
        worker: None,
    }
}

struct Scene {
    engine: Engine,
    store: Arc<MemoryStore>,
    sandbox: Arc<Scripted>,
    acme: Arc<TenantRecord>,
}

fn key(byte: u8) -> MasterKey {
    MasterKey::new(&[byte; 32]).unwrap()
}

async fn engine_of(store: &Arc<MemoryStore>, sandbox: &Arc<Scripted>, code: CodeStore, keys: Vec<MasterKey>) -> Engine {
    let parts = EngineParts {
        store: store.clone(),
        code,
        sandbox: sandbox.clone(),
        gateway: Gateway::default(),
        clock: RuntimeClock::new(),
        random_seed: 7,
        keyring: Keyring::of(keys),
        config: EngineConfig::default(),
    };
    Engine::start(parts).await.unwrap()
}

impl Scene {
    async fn set() -> Scene {
        let (store, sandbox) = (MemoryStore::new(), Scripted::acting(leaking));
        let engine = engine_of(&store, &sandbox, CodeStore::in_memory(), vec![key(1)]).await;
        let (acme, _) = engine.registry().put_tenant(&name("acme"), active(Quota::default())).await.unwrap();
        Scene { engine, store, sandbox, acme }
    }

    fn place(&self, secret: &str) -> SecretPlace {
        SecretPlace { tenant: self.acme.id, function: None, name: name(secret) }
    }

    async fn put(&self, secret: &str, value: &str) {
        self.put_at(self.place(secret), value, &[]).await.unwrap();
    }

    async fn put_at(&self, place: SecretPlace, value: &str, hosts: &[&str]) -> Result<(), Error> {
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        self.engine.put_secret(place, &SecretValue::new(value.to_owned()), Some(hosts)).await.map(drop)
    }

    async fn configure(&self, uses: &str) {
        let secrets: std::collections::BTreeMap<String, SecretUse> = serde_json::from_str(uses).unwrap();
        let config = FunctionConfig { secrets, ..FunctionConfig::default() };
        self.engine.registry().put_function(self.acme.id, &name("enrich"), config).await.unwrap();
    }

    async fn deploy(&self, code: &'static str) -> Result<(), DeployError> {
        let package = Bytes::from_static(code.as_bytes());
        let kind = PackageKind::JavaScript;
        self.engine.deploy(&self.acme, &name("enrich"), package, kind, true).await.map(drop)
    }

    async fn invoke(&self) -> InvokeAnswer {
        let request = call_of(&self.acme);
        self.engine.invoke(request).await.unwrap()
    }

    fn environment(&self) -> Vec<(String, String)> {
        self.sandbox.environments.lock().unwrap().last().unwrap().clone()
    }
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_attempt_gets_the_value_and_nothing_it_reports_has_it() {
    let scene = Scene::set().await;
    scene.put("stripe", VALUE).await;
    scene.configure(r#"{"STRIPE": {"secret": "stripe"}}"#).await;
    scene.deploy("ok").await.unwrap();
    assert_eq!(*scene.sandbox.secret_names.lock().unwrap(), ["STRIPE"], "a build knows names alone");
    let answer = scene.invoke().await;
    assert_eq!(scene.environment(), [("STRIPE".to_owned(), VALUE.to_owned())]);
    assert_eq!(text(answer.report.result.as_ref().unwrap()), r#"[["STRIPE","[redacted:stripe]"]]"#);
    assert_eq!(text(&answer.report.log), "INFO [[\"STRIPE\",\"[redacted:stripe]\"]]\n");
    scene.deploy("fail").await.unwrap();
    let failed = scene.invoke().await.report.failure.unwrap();
    assert_eq!(failed.error_message, r#"[["STRIPE","[redacted:stripe]"]]"#);
    // What is kept is what was answered.
    let id = answer.invocation.unwrap();
    let kept = sublet_store::Queue::attempts(&*scene.store, scene.acme.id, id).await.unwrap().remove(0);
    assert_eq!((kept.end.result, kept.end.log), (answer.report.result, answer.report.log));
}

#[tokio::test(start_paused = true)]
async fn a_queued_attempt_is_redacted_before_its_result_event() {
    let scene = Scene::set().await;
    scene.put("stripe", VALUE).await;
    scene.configure(r#"{"STRIPE": {"secret": "stripe"}}"#).await;
    scene.deploy("ok").await.unwrap();
    let spec = rule(r#"{"source":["todo"]}"#, r#"[{"tenant":"enrich"}]"#);
    scene.engine.registry().put_rule(None, &name("dispatch"), spec).await.unwrap();
    let mut stream = scene.engine.stream(None, Default::default());
    scene.engine.publish(vec![event("acme", None, "{}")]).await.unwrap().remove(0).unwrap();
    let (succeeded, detail) = detail(stream.next().await);
    assert!(succeeded);
    assert_eq!(detail["result"], serde_json::json!([["STRIPE", "[redacted:stripe]"]]));
    assert_eq!(scene.environment()[0].1, VALUE);
}

#[tokio::test(start_paused = true)]
async fn a_new_value_needs_no_new_version_and_a_functions_secret_hides_its_tenants() {
    let scene = Scene::set().await;
    scene.put("stripe", "the tenant's value").await;
    scene.configure(r#"{"STRIPE": {"secret": "stripe"}}"#).await;
    scene.deploy("ok").await.unwrap();
    scene.invoke().await;
    assert_eq!(scene.environment()[0].1, "the tenant's value");
    scene.put("stripe", "another value").await;
    let answer = scene.invoke().await;
    assert_eq!(scene.environment()[0].1, "another value");
    assert!(!text(&answer.report.log).contains("another value"));
    let function = scene.store.function(scene.acme.id, &name("enrich")).await.unwrap().unwrap();
    let own = SecretPlace { function: Some(function.id), ..scene.place("stripe") };
    scene.put_at(own.clone(), "the function's value", &[]).await.unwrap();
    scene.invoke().await;
    assert_eq!(scene.environment()[0].1, "the function's value");
    scene.engine.registry().delete_secret(&own).await.unwrap();
    scene.invoke().await;
    assert_eq!(scene.environment()[0].1, "another value");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_fails_the_deploy_and_later_the_attempt_by_name() {
    let scene = Scene::set().await;
    scene.configure(r#"{"STRIPE": {"secret": "stripe"}}"#).await;
    let refused = scene.deploy("ok").await.unwrap_err();
    let DeployError::Error(error) = refused else { panic!("{refused}") };
    assert_eq!((error.kind, error.field.as_deref()), (ErrorKind::Invalid, Some("secrets.STRIPE")));
    assert_eq!(error.message, "there is no secret `stripe`");
    scene.put("stripe", VALUE).await;
    scene.deploy("ok").await.unwrap();
    scene.engine.registry().delete_secret(&scene.place("stripe")).await.unwrap();
    let report = scene.invoke().await.report;
    assert_eq!(report.outcome, Outcome::Failed);
    let failure = report.failure.unwrap();
    assert_eq!(failure.error_type, "Sublet.SecretUnavailable");
    assert_eq!(failure.error_message, "the environment variable STRIPE cannot be set: there is no secret `stripe`");
    assert!(scene.sandbox.environments.lock().unwrap().is_empty(), "nothing ran");
}

#[tokio::test(start_paused = true)]
async fn a_bound_secret_is_a_placeholder_of_one_attempt_and_never_a_value() {
    let scene = Scene::set().await;
    scene.put_at(scene.place("stripe"), VALUE, &["api.stripe.com"]).await.unwrap();
    let refused = async |uses: &str| {
        scene.configure(uses).await;
        match scene.deploy("ok").await.unwrap_err() {
            DeployError::Error(error) => (error.field.unwrap(), error.message),
            rejected => panic!("{rejected}"),
        }
    };
    let (field, why) = refused(r#"{"STRIPE": {"secret": "stripe"}}"#).await;
    assert!(field == "secrets.STRIPE" && why.contains("bound to hosts"), "{field}: {why}");
    let (_, why) = refused(r#"{"STRIPE": {"secret": "stripe", "hosts": ["evil.test"]}}"#).await;
    assert!(why.contains("not bound to evil.test"), "{why}");
    scene.configure(r#"{"STRIPE": {"secret": "stripe", "hosts": ["api.stripe.com"]}}"#).await;
    scene.deploy("ok").await.unwrap();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        scene.invoke().await;
        let token = scene.environment()[0].1.clone();
        assert!(token.starts_with("sublet_placeholder_") && token.len() > 48 && !token.contains("4eC39"), "{token}");
        tokens.push(token);
    }
    assert_ne!(tokens[0], tokens[1], "each attempt has its own");
    // Its owner binds it elsewhere: the frozen version may no longer use it.
    scene.put_at(scene.place("stripe"), VALUE, &["other.test"]).await.unwrap();
    assert!(scene.invoke().await.report.failure.unwrap().error_message.contains("not bound to api.stripe.com"));
}

#[tokio::test(start_paused = true)]
async fn a_new_value_that_comes_at_the_moment_of_a_binding_stays_bound() {
    let (house, stall) = House::stalling(Scripted::new(by_name)).await;
    let acme = house.tenant("acme", Quota::default()).await;
    let place = SecretPlace { tenant: acme.id, function: None, name: name("stripe") };
    let hosts: Vec<HostPattern> = vec!["api.stripe.com".parse().unwrap()];
    let puts = |value: &'static str, hosts: Option<Vec<HostPattern>>| {
        let (engine, place) = (house.engine.clone(), place.clone());
        let value = SecretValue::new(value.to_owned());
        tokio::spawn(async move { engine.put_secret(place, &value, hosts).await.map(drop) })
    };
    let writing = stall.begin(&house).await;
    let binds = puts("the first value", Some(hosts.clone()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let renews = puts("the second value", None);
    tokio::time::sleep(Duration::from_millis(100)).await;
    writing.abort();
    for answer in [binds, renews] {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(house.store.secret(&place).await.unwrap().unwrap().hosts, hosts);
}

#[tokio::test(start_paused = true)]
async fn keys_rotate_without_a_value_lost_and_a_missing_key_is_told_by_its_name() {
    let scene = Scene::set().await;
    for number in 0..5 {
        scene.put(&format!("s{number}"), &format!("value number {number}")).await;
    }
    scene.configure(r#"{"A": {"secret": "s0"}}"#).await;
    scene.deploy("ok").await.unwrap();
    let code = scene.engine.code().clone();
    let Scene { engine, store, sandbox, acme } = scene;
    drop(engine);

    let engine = engine_of(&store, &sandbox, code.clone(), vec![key(2)]).await;
    let scene = Scene { engine, store, sandbox, acme };
    let failure = scene.invoke().await.report.failure.unwrap();
    assert!(failure.error_message.starts_with("the environment variable A cannot be set"), "{failure:?}");
    let step = scene.engine.reseal_secrets(Page::new(None, 100)).await.unwrap();
    assert_eq!((step.resealed, step.unreadable), (0, 5));
    assert_eq!(step.keys, [(key(1).id(), 5, false)]);
    let Scene { engine, store, sandbox, acme } = scene;
    drop(engine);

    let engine = engine_of(&store, &sandbox, code.clone(), vec![key(2), key(1)]).await;
    let (mut page, mut steps, mut resealed) = (Page::new(None, 2), 0, 0);
    loop {
        let step = engine.reseal_secrets(page).await.unwrap();
        steps += 1;
        resealed += step.resealed;
        let Some(next) = step.next else {
            assert_eq!(step.keys, [(key(2).id(), 5, true)]);
            break;
        };
        page = Page::new(Some(next), 2);
    }
    assert_eq!((steps, resealed), (3, 5));
    assert_eq!(
        engine.reseal_secrets(Page::new(None, 100)).await.unwrap().resealed,
        0,
        "and then there is nothing to do"
    );
    drop(engine);

    let engine = engine_of(&store, &sandbox, code, vec![key(2)]).await;
    let scene = Scene { engine, store, sandbox, acme };
    scene.invoke().await;
    assert_eq!(scene.environment()[0].1, "value number 0", "the old key is gone and nothing is lost");
}

#[tokio::test(start_paused = true)]
async fn a_sealed_value_that_was_moved_in_the_store_does_not_reach_an_attempt() {
    let scene = Scene::set().await;
    let (zeta, _) = scene.engine.registry().put_tenant(&name("zeta"), active(Quota::default())).await.unwrap();
    let theirs = SecretPlace { tenant: zeta.id, function: None, name: name("stripe") };
    scene.put_at(theirs.clone(), "the neighbour's value", &[]).await.unwrap();
    scene.put("stripe", VALUE).await;
    scene.configure(r#"{"STRIPE": {"secret": "stripe"}}"#).await;
    scene.deploy("ok").await.unwrap();
    // By someone who writes to the database.
    let stolen = scene.store.secret(&theirs).await.unwrap().unwrap().sealed;
    let own = scene.store.secret(&scene.place("stripe")).await.unwrap().unwrap().sealed;
    assert!(scene.store.reseal_secret(&scene.place("stripe"), &own, stolen).await.unwrap());
    let code = scene.engine.code().clone();
    let Scene { engine, store, sandbox, acme } = scene;
    drop(engine);
    let engine = engine_of(&store, &sandbox, code, vec![key(1)]).await;
    let scene = Scene { engine, store, sandbox, acme };
    let failure = scene.invoke().await.report.failure.unwrap();
    assert!(failure.error_message.contains("does not open"), "{failure:?}");
    assert!(scene.sandbox.environments.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_tenants_secrets_go_with_it() {
    let scene = Scene::set().await;
    scene.put("stripe", VALUE).await;
    scene.engine.registry().delete_tenant(&name("acme")).await.unwrap();
    assert!(scene.store.seal_keys().await.unwrap().is_empty());
    let (acme, _) = scene.engine.registry().put_tenant(&name("acme"), active(Quota::default())).await.unwrap();
    assert!(scene.engine.registry().secrets(acme.id).await.unwrap().is_empty());
}

/// Answers every request with nothing, and tells what came.
async fn receiver() -> (std::net::SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4_096];
            while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
                let _ = tell.send(String::from_utf8_lossy(&buffer[..bytes]).into_owned());
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    });
    (address, told)
}

#[tokio::test]
async fn the_gateway_puts_a_value_in_its_placeholders_place_towards_its_hosts_alone() {
    let (address, mut received) = receiver().await;
    let gateway = Gateway::with(GatewayParts { insecure_allow: vec![address], ..GatewayParts::default() });
    let (engine, _) = House::of_sandbox(Scripted::acting(asking), gateway).await;
    let (acme, rules) = tenant_with_secret(&engine, address).await;
    let answered = async |hosts: &str| {
        let used = format!(r#"{{"STRIPE": {{"secret": "stripe", "hosts": ["{hosts}"]}}}}"#);
        let secrets = serde_json::from_str(&used).unwrap();
        let config = FunctionConfig { secrets, egress: rules.clone(), ..FunctionConfig::default() };
        engine.registry().put_function(acme.id, &name("enrich"), config).await.unwrap();
        let url = format!("http://{address}/charges");
        engine.deploy(&acme, &name("enrich"), url.into(), PackageKind::JavaScript, true).await.unwrap();
        let request = call_of(&acme);
        let answer = engine.invoke(request).await.unwrap();
        text(answer.report.result.as_ref().unwrap()).to_owned()
    };
    let refused = answered("api.stripe.com").await;
    assert!(refused.contains("refused") && !refused.contains("sk_live"), "{refused}");
    assert!(received.try_recv().is_err(), "nothing was sent");
    assert_eq!(answered("127.0.0.1").await, "\"200\"");
    let head = received.recv().await.unwrap();
    assert!(head.contains("Bearer sk_live_4eC39HqLyjW\r\n") && !head.contains("sublet_placeholder"), "{head}");
}
