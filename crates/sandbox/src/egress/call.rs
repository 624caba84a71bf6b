//! One request with its redirects: every step is admitted, resolved and checked anew.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{Response, StatusCode};
use hyper::body::{Body, Incoming};
use sublet_model::egress::Method;
use tokio::sync::mpsc;
use tokio::time::timeout;
use url::Url;

use super::attempt::Door;
use super::hop::{self, Answer};
use super::record::Pen;
use super::{CHUNK_BYTES_MAX, FetchHead, FetchPart, FetchRequest, HEAD_TOO_LONG, Redirect};
use super::{header as fields, redirect};

/// Characters of a URL, as it is sent.
pub(super) const URL_CHARS_MAX: usize = 8 * 1024;
/// Bytes of an answer that is passed over, which are read so that its connection can be used again.
const PASSED_OVER_BYTES_MAX: u64 = 4 * 1024;
/// How long that may take.
const PASSED_OVER_WITHIN: Duration = Duration::from_millis(200);

/// Why a request has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing was sent, at least not to where it should have gone last. Text for the tenant.
    Refused(String),
    /// Text for the tenant.
    Failed(String),
    /// Nobody listens any more.
    Unheard,
}

/// What is asked for next.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) url: Url,
    pub(super) method: String,
    pub(super) fields: Vec<(HeaderName, String)>,
    pub(super) body: Bytes,
    /// A secret's token is in the body, which is looked through once.
    pub(super) body_holds_token: bool,
    /// The code wrote the URL, no server did.
    pub(super) is_own_url: bool,
}

fn refused(why: impl Into<String>) -> Stop {
    Stop::Refused(why.into())
}

impl Asked {
    fn of(request: &FetchRequest) -> Result<Asked, Stop> {
        let long = || refused(format!("fetch refused: the URL is longer than {URL_CHARS_MAX} characters"));
        if request.url.len() > URL_CHARS_MAX {
            return Err(long());
        }
        let mut url = Url::parse(&request.url).map_err(|_| refused("fetch refused: the URL is not one"))?;
        if url.as_str().len() > URL_CHARS_MAX {
            return Err(long());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("fetch refused: the URL has a user name or password in it; use a header"));
        }
        url.set_fragment(None);
        let method: Method = request.method.parse().map_err(|why| refused(format!("fetch refused: {why}")))?;
        let method = method.as_str().to_owned();
        if matches!(method.as_str(), "GET" | "HEAD") && !request.body.is_empty() {
            return Err(refused(format!("fetch refused: a {method} request has no body")));
        }
        let fields = fields::wanted(&request.headers, &hop::authority(&url), request.body.len()).map_err(refused)?;
        Ok(Asked { url, method, fields, body: request.body.clone(), body_holds_token: false, is_own_url: true })
    }

    /// Follows a redirect.
    fn follow(&mut self, step: redirect::Step, door: &Door) {
        if step.becomes_get {
            self.method = "GET".to_owned();
            self.body = Bytes::new();
            self.body_holds_token = false;
            self.fields.retain(|(name, _)| !fields::is_about_body(name));
        }
        if step.changes_origin {
            self.fields.retain(|(name, value)| !fields::is_credential(name) && !door.tokens.are_in_value(value));
        }
        self.url = step.url;
        self.is_own_url = false;
    }
}

pub(super) async fn run(
    door: &Door,
    request: FetchRequest,
    parts: &mpsc::Sender<FetchPart>,
    pen: &Pen,
) -> Result<(), Stop> {
    let mut asked = Asked::of(&request)?;
    // What is refused does not wait for its turn, and what waits counts.
    hop::judge(door, &asked)?;
    let mut aside = door.set_aside(asked.body.len() as u64)?;
    asked.body_holds_token = door.tokens.are_in(&asked.body);
    let gate = door.gateway.gate(door.tenant);
    // None of them is ever closed.
    let _turn = door.at_once.acquire().await.map_err(|_| Stop::Unheard)?;
    let _tenants_turn = gate.at_once.acquire().await.map_err(|_| Stop::Unheard)?;
    let _gateways_turn = door.gateway.at_once.acquire().await.map_err(|_| Stop::Unheard)?;
    let mut redirects = 0;
    loop {
        let answer = hop::ask(door, &gate, &asked, &mut aside, pen).await?;
        let status = answer.response.status();
        pen.answered(status.as_u16());
        let location = answer.response.headers().get(header::LOCATION).map(|value| value.as_bytes().to_vec());
        let Some(location) = location.filter(|_| redirect::is_redirect(status)) else {
            return deliver(door, answer, &asked, redirects > 0, parts, pen).await;
        };
        match request.redirect {
            Redirect::Manual => return deliver(door, answer, &asked, redirects > 0, parts, pen).await,
            Redirect::Error => {
                return Err(Stop::Failed(
                    "fetch failed: the answer is a redirect, which the request forbids".to_owned(),
                ));
            }
            Redirect::Follow if redirects == redirect::REDIRECTS_MAX => {
                return Err(Stop::Failed(format!("fetch failed: more than {redirects} redirects")));
            }
            Redirect::Follow => {}
        }
        redirects += 1;
        pen.redirected();
        let step = redirect::step(&asked.url, &asked.method, status, &location).map_err(Stop::Failed)?;
        pass_over(door, answer, pen).await?;
        asked.follow(step, door);
    }
}

/// Reads a short answer to its end, for the sake of its connection.
async fn pass_over(door: &Door, mut answer: Answer, pen: &Pen) -> Result<(), Stop> {
    let is_short = answer.response.body().size_hint().upper().is_some_and(|most| most <= PASSED_OVER_BYTES_MAX);
    if !is_short {
        return Ok(());
    }
    let read = async {
        while let Some(frame) = answer.next().await {
            let bytes = frame.ok()?.data_ref().map_or(0, |data| data.len() as u64);
            answer.counted += bytes;
            door.receive(bytes, pen).ok()?;
        }
        Some(())
    };
    if timeout(PASSED_OVER_WITHIN, read).await == Ok(Some(())) {
        answer.keep(door, pen).await;
    }
    // What came is within what may come, or this is the end.
    door.expect(0)
}

async fn deliver(
    door: &Door,
    mut answer: Answer,
    asked: &Asked,
    redirected: bool,
    parts: &mpsc::Sender<FetchPart>,
    pen: &Pen,
) -> Result<(), Stop> {
    door.expect(answer.response.body().size_hint().lower())?;
    let head = head_of(&answer.response, asked, redirected);
    if !head.fits() {
        return Err(Stop::Failed(HEAD_TOO_LONG.to_owned()));
    }
    parts.send(FetchPart::Head(head)).await.map_err(|_| Stop::Unheard)?;
    let within = door.gateway.settings.timeout;
    loop {
        let next = timeout(within, answer.next()).await;
        let Some(frame) = next.map_err(|_| Stop::Failed("fetch failed: the answer came to a halt".to_owned()))? else {
            break;
        };
        let frame = frame.map_err(|_| answer.broke_off(door, pen))?;
        // Trailers are nobody's.
        let Ok(mut data) = frame.into_data() else { continue };
        answer.counted += data.len() as u64;
        door.receive(data.len() as u64, pen)?;
        while !data.is_empty() {
            let chunk = data.split_to(data.len().min(CHUNK_BYTES_MAX));
            parts.send(FetchPart::Chunk(chunk)).await.map_err(|_| Stop::Unheard)?;
        }
    }
    answer.keep(door, pen).await;
    Ok(())
}

fn head_of(response: &Response<Incoming>, asked: &Asked, redirected: bool) -> FetchHead {
    let status: StatusCode = response.status();
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let status_text = match reason {
        Some(reason) => reason.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
        None => status.canonical_reason().unwrap_or_default().to_owned(),
    };
    FetchHead {
        status: status.as_u16(),
        status_text,
        url: asked.url.to_string(),
        redirected,
        headers: fields::shown(response.headers()),
    }
}
