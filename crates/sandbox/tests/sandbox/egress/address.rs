//! Where requests may lead: never to an address that is not public, however it is spelt or come by.

use std::path::PathBuf;

use sublet_model::egress::{EgressRule, Scheme};
use sublet_model::{EgressPolicy, TenantId};
use sublet_sandbox::egress::{Admission, Egress, FetchRequest, Redirect};
use url::Url;

use super::server::{Reply, Server, ok, redirect};
use super::world::{ask, get, refused, world};
use std::sync::Arc;

/// A path below `../shared/conformance`, or `None` where it is not there: an error under CI.
fn shared(file: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance").join(file);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} must be there under CI", path.display());
    println!("not run: {} is not there", path.display());
    None
}

/// URLs of the common cases, and those that carry another address within them or are special in other ways.
fn hostile_urls() -> Option<Vec<String>> {
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(shared("ssrf.json")?).unwrap()).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    assert!(cases.iter().all(|case| case["expect"] == "blocked") && cases.len() > 30);
    let mut urls: Vec<String> = cases.iter().map(|case| case["url"].as_str().unwrap().to_owned()).collect();
    for host in [
        "[64:ff9b::7f00:1]",
        "[64:ff9b::5db8:d822]",
        "[64:ff9b:1::a00:1]",
        "[::ffff:93.184.216.34]",
        "[::7f00:1]",
        "[2001::1]",
        "[2001:2::1]",
        "[2600::5efe:7f00:1]",
        "[fec0::1]",
        "168.63.129.16",
        "198.18.0.1",
        "224.0.0.1",
        "0.0.0.0",
        "127.1",
        "0x7f.1",
    ] {
        urls.push(format!("http://{host}/"));
    }
    Some(urls)
}

/// The widest list that can lead to the URL: any name, and exactly its host and port.
fn wide_open(url: &str) -> Vec<EgressRule> {
    let mut rules: Vec<EgressRule> = ["*", "http://*"].iter().map(|text| text.parse().unwrap()).collect();
    if let Ok(url) = Url::parse(url)
        && let (Some(scheme), Some(host)) = (Scheme::of(url.scheme()), url.host_str())
    {
        let port = url.port_or_known_default().unwrap();
        let exact = format!("{}://{}:{port}", scheme.as_str(), host.trim_end_matches('.'));
        rules.push(exact.parse().unwrap());
    }
    rules
}

fn attempt(world: &super::world::World, rules: &[EgressRule]) -> Arc<dyn Egress> {
    let policy = EgressPolicy { wish: rules.into(), ceiling: rules.into() };
    world.gateway.admit(Admission { tenant: TenantId::from_raw(1), policy, placeholders: Vec::new().into() })
}

/// What has a host and no user is refused for its address and not for the list, which allows it.
fn is_about_addresses(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| Scheme::of(url.scheme()).is_some() && url.username().is_empty())
}

#[tokio::test]
async fn no_spelling_of_an_address_that_is_not_public_is_asked() {
    let Some(urls) = hostile_urls() else { return };
    let world = world(&[]);
    for url in urls {
        let egress = attempt(&world, &wide_open(&url));
        let why = refused(&egress, get(&url)).await;
        assert!(why.starts_with("fetch refused"), "{url}: {why}");
        if is_about_addresses(&url) {
            assert!(why.ends_with("was not found or has no public address"), "{url}: {why}");
        }
        let record = &egress.records()[0];
        assert!(record.refused && record.status.is_none() && record.bytes_out == 0, "{url}: {record:?}");
    }
    assert!(world.names.asked.lock().unwrap().is_empty(), "all of them are addresses");
}

#[tokio::test]
async fn a_redirect_leads_to_no_such_address_either() {
    let Some(urls) = hostile_urls() else { return };
    for url in urls {
        let location = url.clone();
        let server = Server::start(move |seen| {
            let location = location.clone();
            async move { if seen.line().contains(" / ") { redirect(307, &location) } else { ok("relative") } }
        })
        .await;
        let world = world(&[server.address]);
        let base = format!("http://api.test:{}/", server.port());
        let mut rules = wide_open(&url);
        rules.push(base.trim_end_matches('/').parse().unwrap());
        let egress = attempt(&world, &rules);
        let led_to = Url::parse(&base).unwrap().join(&url);
        if led_to.as_ref().is_ok_and(|url| url.host_str() == Some("api.test")) {
            // As a redirect it is a path of the same server: `http:/127.0.0.1/`.
            assert_eq!(ask(&egress, get(&base)).await.unwrap().text(), "relative", "{url}");
            continue;
        }
        let why = refused(&egress, get(&base)).await;
        assert!(why.starts_with("fetch refused") || led_to.is_err(), "{url}: {why}");
        if is_about_addresses(&url) {
            assert!(why.ends_with("was not found or has no public address"), "{url}: {why}");
        }
        assert_eq!(server.seen().len(), 1, "{url}");
    }
}

#[tokio::test]
async fn a_name_is_resolved_once_for_each_step_and_the_address_that_was_checked_is_connected_to() {
    let server = Server::start(|_| async { ok("public") }).await;
    let victim =
        Server::at(format!("127.0.0.2:{}", server.port()).parse().unwrap(), None, |_| async { ok("inside") }).await;
    let world = world(&[server.address]);
    // A name that is public when it is checked, and not a moment later.
    world.names.say("rebind.test", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let egress = world.attempt(&["http://rebind.test:1"]);
    assert!(refused(&egress, get("http://rebind.test:2/")).await.contains("port 2"));
    let rule = format!("http://rebind.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    let url = format!("{rule}/");
    assert_eq!(ask(&egress, get(&url)).await.unwrap().text(), "public");
    assert_eq!(world.names.asked.lock().unwrap().len(), 1);
    let why = refused(&egress, get(&url)).await;
    assert!(why.ends_with("was not found or has no public address"), "{why}");
    assert_eq!((server.seen().len(), victim.connections()), (1, 0));
}

#[tokio::test]
async fn a_redirect_to_the_same_name_is_resolved_and_checked_anew() {
    let server = Server::start(|_| async { redirect(302, "/again") }).await;
    let victim =
        Server::at(format!("127.0.0.2:{}", server.port()).parse().unwrap(), None, |_| async { ok("inside") }).await;
    let world = world(&[server.address]);
    world.names.say("rebind.test", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let rule = format!("http://rebind.test:{}", server.port());
    let why = refused(&world.attempt(&[&rule]), get(&rule)).await;
    assert!(why.ends_with("was not found or has no public address"), "{why}");
    assert_eq!((server.seen().len(), victim.connections()), (1, 0));
}

#[tokio::test]
async fn of_several_addresses_only_public_ones_are_tried() {
    let server = Server::start(|_| async { ok("public") }).await;
    let victim =
        Server::at(format!("127.0.0.2:{}", server.port()).parse().unwrap(), None, |_| async { ok("inside") }).await;
    let world = world(&[server.address]);
    world.names.say("both.test", &[&["127.0.0.2", "10.0.0.1", "127.0.0.1"]]);
    let rule = format!("http://both.test:{}", server.port());
    assert_eq!(ask(&world.attempt(&[&rule]), get(&rule)).await.unwrap().text(), "public");
    assert_eq!(victim.connections(), 0);
}

#[tokio::test]
async fn an_exception_is_one_address_and_port() {
    let server = Server::start(|_| async { ok("") }).await;
    let other = Server::start(|_| async { ok("") }).await;
    let world = world(&[server.address]);
    let rule = format!("http://127.0.0.1:{}", other.port());
    let why = refused(&world.attempt(&[&rule]), get(&rule)).await;
    assert!(why.contains("no public address"), "{why}");
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_failure_tells_no_address() {
    let closed = Server::start(|_| async { Reply::ThenClose(Vec::new()) }).await;
    let world = world(&[closed.address, "127.0.0.1:1".parse().unwrap()]);
    for port in [closed.port(), 1] {
        let rule = format!("http://api.test:{port}");
        let why = refused(&world.attempt(&[&rule]), get(&rule)).await;
        assert!(why.starts_with("fetch failed") && why.contains("api.test") && !why.contains("127."), "{why}");
    }
    let request = FetchRequest { redirect: Redirect::Error, ..get("http://nowhere.test:1/") };
    let why = refused(&world.attempt(&["http://nowhere.test:1"]), request).await;
    assert!(why.contains("host `nowhere.test` was not found"), "{why}");
}
