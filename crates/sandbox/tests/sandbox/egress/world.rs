//! A gateway for a test, with names that the test scripts, and the words to ask through it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use sublet_model::{EgressPolicy, EgressRule, TenantId};
use sublet_sandbox::egress::{
    Admission, Egress, FetchHead, FetchPart, FetchRequest, Gateway, GatewayParts, GatewaySettings, Placeholder,
    Redirect, Resolve,
};
use tokio::sync::mpsc;

/// Each name's answers, one a lookup; the last stays.
#[derive(Debug, Default)]
pub(crate) struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn say(&self, name: &str, answers: &[&[&str]]) {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        self.answers.lock().unwrap().insert(name.to_owned(), answers.iter().map(parse).collect());
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> Option<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let left = answers.get_mut(host)?;
        Some(if left.len() > 1 { left.remove(0) } else { left[0].clone() })
    }
}

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) names: Arc<Names>,
}

pub(crate) fn world(allowed: &[SocketAddr]) -> World {
    world_of(allowed, |_| ())
}

/// Names end in `.test`, and `api.test` is 127.0.0.1.
pub(crate) fn world_of(allowed: &[SocketAddr], change: impl FnOnce(&mut GatewayParts)) -> World {
    let names = Arc::new(Names::default());
    names.say("api.test", &[&["127.0.0.1"]]);
    let mut parts = GatewayParts {
        resolver: Arc::clone(&names) as Arc<dyn Resolve>,
        insecure_allow: allowed.to_vec(),
        settings: GatewaySettings::default(),
        ..GatewayParts::default()
    };
    change(&mut parts);
    World { gateway: Gateway::with(parts), names }
}

pub(crate) fn rules(texts: &[&str]) -> Arc<[EgressRule]> {
    texts.iter().map(|text| text.parse().unwrap_or_else(|why| panic!("{why}"))).collect()
}

impl World {
    /// An attempt of tenant 1 with this list, under a ceiling that says the same.
    pub(crate) fn attempt(&self, list: &[&str]) -> Arc<dyn Egress> {
        self.attempt_of(1, list, Vec::new())
    }

    pub(crate) fn attempt_of(&self, tenant: i64, list: &[&str], secrets: Vec<Placeholder>) -> Arc<dyn Egress> {
        let policy = EgressPolicy { wish: rules(list), ceiling: rules(list) };
        self.gateway.admit(Admission { tenant: TenantId::from_raw(tenant), policy, placeholders: secrets.into() })
    }
}

pub(crate) fn get(url: &str) -> FetchRequest {
    FetchRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        redirect: Redirect::Follow,
        body: Bytes::new(),
    }
}

pub(crate) fn post(url: &str, content_type: &str, body: impl Into<Bytes>) -> FetchRequest {
    with(FetchRequest { method: "POST".to_owned(), body: body.into(), ..get(url) }, &[("content-type", content_type)])
}

pub(crate) fn with(mut request: FetchRequest, fields: &[(&str, &str)]) -> FetchRequest {
    request.headers.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    request
}

/// An answer read to its end, or the text of its failure.
pub(crate) struct Answered {
    pub(crate) head: FetchHead,
    pub(crate) body: Vec<u8>,
    pub(crate) chunks: Vec<usize>,
}

impl Answered {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) async fn ask(egress: &Arc<dyn Egress>, request: FetchRequest) -> Result<Answered, String> {
    let (sender, mut parts) = mpsc::channel(4);
    let own = Arc::clone(egress);
    let task = tokio::spawn(async move { own.fetch(request, sender).await });
    let (mut head, mut body, mut chunks) = (None, Vec::new(), Vec::new());
    let mut ended = None;
    while let Some(part) = parts.recv().await {
        assert!(ended.is_none(), "nothing follows the last part");
        match part {
            FetchPart::Head(given) => head = Some(given),
            FetchPart::Chunk(chunk) => {
                chunks.push(chunk.len());
                body.extend_from_slice(&chunk);
            }
            FetchPart::End => ended = Some(Ok(())),
            FetchPart::Failed(why) => ended = Some(Err(why)),
        }
    }
    task.await.unwrap();
    ended.expect("a last part")?;
    Ok(Answered { head: head.unwrap(), body, chunks })
}

pub(crate) async fn refused(egress: &Arc<dyn Egress>, request: FetchRequest) -> String {
    match ask(egress, request).await {
        Err(why) => why,
        Ok(answered) => panic!("answered {}", answered.head.status),
    }
}
