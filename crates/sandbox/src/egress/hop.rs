//! One step of a request: judged by its URL, resolved once, connected to an address that was checked, asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Frame, Incoming};
use rustls::pki_types::ServerName;
use sublet_model::address::is_public;
use sublet_model::egress::{EgressRequest, Scheme};
use tokio::time::timeout;
use url::{Host, Position, Url};

use super::attempt::Door;
use super::call::{Asked, Stop};
use super::connection::Connection;
use super::gateway::Gate;
use super::header as fields;
use super::pool::Place;
use super::record::Pen;
use super::room::SetAside;

/// How long finding a name's addresses may take, and connecting to each.
const LOOKUP_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;
/// Characters of a scheme that is said back.
const SAID_SCHEME_CHARS_MAX: usize = 20;
/// How long a connection may take to be done with an answer that was read to its end.
const SETTLES_WITHIN: Duration = Duration::from_millis(50);

/// An answer whose body is still to be read, and the connection that it comes on.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    /// Bytes of it that were counted so far: its head, and what was read of its body.
    pub(super) counted: u64,
    /// The other side said that it closes the connection behind it.
    closes: bool,
    connection: Connection,
    place: Place,
}

impl Answer {
    fn begun(response: Response<Incoming>, connection: Connection, place: Place) -> Answer {
        let said = response.headers().get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
        let closes = said.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("close"));
        Answer { counted: head_bytes(&response), closes, response, connection, place }
    }

    /// The next piece of its body; `None` behind the last.
    pub(super) async fn next(&mut self) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        self.connection.next(self.response.body_mut()).await
    }

    /// Keeps the connection of an answer that was read to its end. What came besides is counted too: the framing of
    /// pieces, heads before the last.
    pub(super) async fn keep(self, door: &Door, pen: &Pen) {
        let Answer { response, counted, closes, mut connection, place } = self;
        drop(response);
        pen.received(connection.came().saturating_sub(counted));
        if closes {
            return;
        }
        if timeout(SETTLES_WITHIN, connection.settles()).await == Ok(true) {
            connection.rest();
            door.gateway.pool.put(door.tenant, place, connection);
        }
    }

    /// It ended before its end.
    pub(super) fn broke_off(&self, door: &Door, pen: &Pen) -> Stop {
        pen.received(self.connection.came().saturating_sub(self.counted));
        if self.connection.is_over() {
            return door.too_much();
        }
        Stop::Failed("fetch failed: the answer broke off".to_owned())
    }
}

/// About what it took on the wire.
fn head_bytes(response: &Response<Incoming>) -> u64 {
    " HTTP/1.1 200\r\n\r\n".len() as u64 + fields::bytes_of(response.headers())
}

/// Where a step leads.
struct Target {
    scheme: Scheme,
    /// Lower case, without a final dot; an IPv6 address in brackets.
    host: String,
    port: u16,
}

/// The host and, unless it is the scheme's own, the port.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host);
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn target_of(url: &Url) -> Result<Target, Stop> {
    let Some(scheme) = Scheme::of(url.scheme()) else {
        let why = match url.scheme() {
            // Whole or not at all, as everything that is said back.
            named if named.len() <= SAID_SCHEME_CHARS_MAX => format!("fetch refused: `{named}:` is not https or http"),
            _ => "fetch refused: the URL's scheme is not https or http".to_owned(),
        };
        return Err(Stop::Refused(why));
    };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(Stop::Refused("fetch refused: the URL names no host".to_owned()));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Stop::Refused("fetch refused: a redirect leads to a URL with a user name or password".to_owned()));
    }
    Ok(Target { scheme, host: host.strip_suffix('.').unwrap_or(host).to_owned(), port })
}

/// Whether both lists allow the step.
pub(super) fn judge(door: &Door, asked: &Asked) -> Result<(), Stop> {
    admit(door, asked).map(|_| ())
}

fn admit(door: &Door, asked: &Asked) -> Result<Target, Stop> {
    let target = target_of(&asked.url)?;
    let request = EgressRequest {
        scheme: target.scheme,
        host: &target.host,
        port: target.port,
        method: &asked.method,
        path: asked.url.path(),
    };
    door.policy.judge(&request).map_err(|refusal| Stop::Refused(refusal.to_string()))?;
    Ok(target)
}

pub(super) async fn ask(
    door: &Door,
    gate: &Arc<Gate>,
    asked: &Asked,
    aside: &mut SetAside<'_>,
    pen: &Pen,
) -> Result<Answer, Stop> {
    let target = admit(door, asked)?;
    let request = Outgoing::of(door, asked, &target)?;
    let addresses = addresses(door, gate, asked, &target).await?;
    for address in &addresses {
        let place = place_of(&target, *address);
        // One that was kept may be closed by the other side at any moment; then another is tried.
        while let Some(connection) = door.gateway.pool.take(door.tenant, &place) {
            match send(door, connection, &request, aside, pen).await? {
                Sent::Answered(connection, response) => return Ok(Answer::begun(response, connection, place)),
                Sent::Closed if request.is_repeatable => {}
                Sent::Closed => return Err(Stop::Failed(no_answer(&target))),
                Sent::Unsent => {}
            }
        }
    }
    let (connection, address) = connect(door, &target, &addresses).await?;
    match send(door, connection, &request, aside, pen).await? {
        Sent::Answered(connection, response) => Ok(Answer::begun(response, connection, place_of(&target, address))),
        Sent::Closed | Sent::Unsent => Err(Stop::Failed(no_answer(&target))),
    }
}

fn place_of(target: &Target, address: SocketAddr) -> Place {
    Place { scheme: target.scheme, host: target.host.clone(), address }
}

fn no_answer(target: &Target) -> String {
    format!("fetch failed: host `{}` closed the connection without a proper answer", target.host)
}

/// A request as it is sent, secrets in their places.
struct Outgoing {
    method: http::Method,
    path: String,
    fields: HeaderMap,
    body: Bytes,
    /// Asking twice is as good as asking once.
    is_repeatable: bool,
}

impl Outgoing {
    fn of(door: &Door, asked: &Asked, target: &Target) -> Result<Outgoing, Stop> {
        let (tokens, host) = (&door.tokens, target.host.as_str());
        let url = &asked.url;
        if let Some(place) = misplaced(door, asked, host) {
            return Err(Stop::Refused(format!(
                "fetch refused: a secret's placeholder is in {place}; it is replaced in headers' values, the query and bodies of text"
            )));
        }
        let mut path = url[Position::BeforePath..Position::AfterPath].to_owned();
        if let Some(query) = url.query() {
            if !asked.is_own_url && tokens.are_in(query.as_bytes()) {
                return Err(Stop::Refused("fetch refused: a redirect holds a secret's placeholder".to_owned()));
            }
            path.push('?');
            path.push_str(&tokens.in_query(host, query).map_err(Stop::Refused)?);
        }
        let mut sent = HeaderMap::with_capacity(asked.fields.len() + 4);
        for (name, value) in &asked.fields {
            let value = tokens.in_header(host, value).map_err(Stop::Refused)?;
            sent.append(name.clone(), fields::value_of(name, &value).map_err(Stop::Refused)?);
        }
        fields::complete(&mut sent, &authority(url)).map_err(Stop::Refused)?;
        let content_type = sent.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let body = match asked.body_holds_token {
            true => tokens.in_body(host, content_type, &asked.body).map_err(Stop::Refused)?,
            false => asked.body.clone(),
        };
        if !body.is_empty() || matches!(asked.method.as_str(), "POST" | "PUT" | "PATCH") {
            sent.insert(header::CONTENT_LENGTH, body.len().into());
        }
        let method = http::Method::from_bytes(asked.method.as_bytes());
        let method = method.map_err(|_| Stop::Refused("fetch refused: the method is not one".to_owned()))?;
        let is_repeatable = matches!(asked.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        Ok(Outgoing { method, path, fields: sent, body, is_repeatable })
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Stop> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        let unfit = || Stop::Refused("fetch refused: the URL's path or query cannot be sent".to_owned());
        *request.uri_mut() = self.path.parse().map_err(|_| unfit())?;
        *request.headers_mut() = self.fields.clone();
        Ok(request)
    }

    fn bytes(&self) -> u64 {
        let line = self.method.as_str().len() + self.path.len() + " HTTP/1.1\r\n".len() + 3;
        line as u64 + fields::bytes_of(&self.fields) + self.body.len() as u64
    }
}

/// Where a token stands that is not replaced there. Hosts and names are in small letters, as tokens are.
fn misplaced(door: &Door, asked: &Asked, host: &str) -> Option<&'static str> {
    if door.tokens.are_in(host.as_bytes()) {
        return Some("the URL's host");
    }
    if door.tokens.are_in(asked.url.path().as_bytes()) {
        return Some("the URL's path");
    }
    asked.fields.iter().any(|(name, _)| door.tokens.are_in(name.as_str().as_bytes())).then_some("a header's name")
}

enum Sent {
    Answered(Connection, Response<Incoming>),
    /// The connection ended before an answer began.
    Closed,
    /// It had ended before.
    Unsent,
}

async fn send(
    door: &Door,
    mut connection: Connection,
    request: &Outgoing,
    aside: &mut SetAside<'_>,
    pen: &Pen,
) -> Result<Sent, Stop> {
    let (bytes, message) = (request.bytes(), request.request()?);
    door.send(bytes, aside, pen)?;
    let within = door.gateway.settings.timeout;
    let answered = timeout(within, connection.ask(message, &door.intake)).await;
    let failed = match answered {
        Ok(Ok(response)) if response.status().as_u16() == 101 => {
            return Err(Stop::Failed("fetch failed: the server wants to speak another protocol".to_owned()));
        }
        Ok(Ok(response)) => {
            door.receive(head_bytes(&response), pen)?;
            return Ok(Sent::Answered(connection, response));
        }
        Ok(Err(unanswered)) if unanswered.is_unsent => {
            aside.put_back(bytes);
            pen.unsent(bytes);
            return Ok(Sent::Unsent);
        }
        Ok(Err(unanswered)) => Some(unanswered.error),
        Err(_) => None,
    };
    // Part of a head, or heads before the last.
    pen.received(connection.came());
    match failed {
        None => Err(Stop::Failed(format!("fetch failed: no answer within {within:?}"))),
        Some(_) if connection.is_over() => Err(door.too_much()),
        Some(error) if error.is_parse_too_large() => {
            let (bytes, most) = (fields::ANSWER_BYTES_MAX, fields::ANSWER_FIELDS_MAX);
            let why = format!("fetch failed: the answer's headers are more than {bytes} bytes, or more than {most}");
            Err(Stop::Failed(why))
        }
        Some(error) if error.is_parse() => Err(Stop::Failed("fetch failed: the answer is not proper HTTP".to_owned())),
        Some(_) => Ok(Sent::Closed),
    }
}

/// The addresses that may be connected to. None of them is resolved again for this step.
async fn addresses(door: &Door, gate: &Arc<Gate>, asked: &Asked, target: &Target) -> Result<Vec<SocketAddr>, Stop> {
    let found = match asked.url.host() {
        Some(Host::Ipv4(address)) => vec![IpAddr::V4(address)],
        Some(Host::Ipv6(address)) => vec![IpAddr::V6(address)],
        _ => look_up(door, gate, &target.host).await?,
    };
    let may = |address: &SocketAddr| is_public(address.ip()) || door.gateway.insecure_allow.contains(address);
    let all = found.into_iter().map(|address| SocketAddr::new(address, target.port));
    let allowed: Vec<SocketAddr> = all.filter(may).take(ADDRESSES_MAX).collect();
    if allowed.is_empty() {
        // One text for both, so that nobody learns which names there are inside.
        return Err(Stop::Refused(format!(
            "fetch refused: host `{}` was not found or has no public address",
            target.host
        )));
    }
    Ok(allowed)
}

async fn look_up(door: &Door, gate: &Arc<Gate>, host: &str) -> Result<Vec<IpAddr>, Stop> {
    let (resolver, host) = (Arc::clone(&door.gateway.resolver), host.to_owned());
    let gate = Arc::clone(gate);
    let all = Arc::clone(&door.gateway.lookups);
    let found = async {
        let tenants = Arc::clone(&gate.lookups).acquire_owned().await;
        let turn = all.acquire_owned().await;
        // A task of its own: a lookup that nobody waits for any more still holds a thread, and so must hold its turn.
        let looking = tokio::spawn(async move {
            let found = resolver.resolve(&host).await;
            drop((tenants, turn, gate));
            found
        });
        looking.await.ok().flatten()
    };
    let found = timeout(LOOKUP_WITHIN, found).await;
    Ok(found.ok().flatten().unwrap_or_default())
}

async fn connect(door: &Door, target: &Target, addresses: &[SocketAddr]) -> Result<(Connection, SocketAddr), Stop> {
    let mut why = "it was not reached".to_owned();
    for address in addresses {
        let tls = match target.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(identity(door, target).await?),
        };
        match timeout(CONNECT_WITHIN, Connection::open(*address, tls, &door.gateway.meters)).await {
            Ok(Ok(connection)) => return Ok((connection, *address)),
            Ok(Err(error)) => why = reason(&error),
            Err(_) => why = format!("no connection within {CONNECT_WITHIN:?}"),
        }
    }
    Err(Stop::Failed(format!("fetch failed: no connection to host `{}`: {why}", target.host)))
}

async fn identity(door: &Door, target: &Target) -> Result<(Arc<rustls::ClientConfig>, ServerName<'static>), Stop> {
    let unusable = || Stop::Failed("fetch failed: this server cannot speak https at the moment".to_owned());
    let config = door.gateway.tls().await.ok_or_else(unusable)?;
    let bare = target.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare);
    let name = name.map_err(|_| Stop::Refused(format!("fetch refused: `{}` is not a host's name", target.host)))?;
    Ok((config, name))
}

/// In words of ours, and with no address in it.
fn reason(error: &std::io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, error.kind()) {
        (Some(rustls::Error::InvalidCertificate(why)), _) => format!("its certificate is not trusted ({why:?})"),
        (Some(_), _) => "TLS could not be agreed on".to_owned(),
        (None, std::io::ErrorKind::ConnectionRefused) => "it was refused".to_owned(),
        (None, std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof) => {
            "it was broken off".to_owned()
        }
        (None, _) => "it was not reached".to_owned(),
    }
}
