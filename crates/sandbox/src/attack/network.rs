//! Reaching past the gateway: requests whose lists allow every host, towards a listener of this machine that nobody may
//! reach, in every spelling that parsers have disagreed about; and by a name and by a redirect that lead there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sublet_model::egress::Scheme;
use sublet_model::host::HostPattern;
use sublet_model::{EgressPolicy, EgressRule, TenantId};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::verdict::{Seen, plain};
use crate::egress::{Admission, FetchPart, FetchRequest, Gateway, GatewayParts, Redirect, Resolve};

/// Refusals come at once; a request that gets somewhere would take longer.
const WITHIN: Duration = Duration::from_secs(5);
/// A name that leads to this machine, as an attacker's own name server would have it.
const REBOUND: &str = "rebound.example";

/// One request that must not get through.
pub(super) struct Reach {
    pub(super) name: &'static str,
    pub(super) promise: &'static str,
    /// `PORT` is the listener's, `DOOR` that of a server that sends everybody on to the listener.
    url: &'static str,
}

const fn reach(name: &'static str, promise: &'static str, url: &'static str) -> Reach {
    Reach { name, promise, url }
}

pub(super) const REACHES: &[Reach] = &[
    reach("net-loopback", "The server's own machine is not reached", "http://127.0.0.1:PORT/"),
    reach("net-localhost", "Nor by its name", "http://localhost:PORT/"),
    reach("net-loopback-far", "Nor by another address of the same network", "http://127.8.9.10:PORT/"),
    reach("net-decimal", "Nor by one number", "http://2130706433:PORT/"),
    reach("net-hexadecimal", "Nor by a number in base sixteen", "http://0x7f000001:PORT/"),
    reach("net-octal", "Nor by a number in base eight", "http://017700000001:PORT/"),
    reach("net-short", "Nor by a short form", "http://127.1:PORT/"),
    reach("net-zero", "Nor by the address of all zeros", "http://0.0.0.0:PORT/"),
    reach("net-dot", "Nor by an address with a dot behind it", "http://127.0.0.1.:PORT/"),
    reach("net-unicode-digits", "Nor by digits that are folded", "http://①②⑦.⓪.⓪.①:PORT/"),
    reach("net-unicode-dots", "Nor by dots that are folded", "http://127。0。0。1:PORT/"),
    reach("net-v6", "Nor by its address of version 6", "http://[::1]:PORT/"),
    reach("net-v6-mapped", "Nor by an address of version 4 within one of version 6", "http://[::ffff:127.0.0.1]:PORT/"),
    reach("net-v6-nat64", "Nor by one that a translator would take apart", "http://[64:ff9b::7f00:1]:PORT/"),
    reach("net-v6-6to4", "Nor by one that a tunnel would take apart", "http://[2002:7f00:1::]:PORT/"),
    reach("net-user-name", "Nor behind a user name that looks like a host", "http://example.com@127.0.0.1:PORT/"),
    reach("net-backslash", "Nor behind a backslash", "http://127.0.0.1:PORT\\@example.com/"),
    reach("net-fragment", "Nor before a fragment that looks like a host", "http://127.0.0.1:PORT#@example.com/"),
    reach("net-percent", "Nor by an address in escapes", "http://%31%32%37.0.0.1:PORT/"),
    reach("net-name", "Nor by a name of the attacker's own that leads there", "http://rebound.example:PORT/"),
    reach("net-redirect", "Nor by a redirect from a permitted server", "http://127.0.0.1:DOOR/"),
    reach("net-metadata", "The cloud's metadata are not reached", "http://169.254.169.254/latest/meta-data/"),
    reach("net-metadata-v6", "Nor by their address of version 6", "http://[fd00:ec2::254]/latest/meta-data/"),
    reach("net-private", "The operator's own network is not reached", "http://10.0.0.1/"),
    reach("net-carrier", "Nor the provider's", "http://100.64.0.1/"),
    reach("net-link", "Nor the neighbours on the cable", "http://169.254.1.1/"),
    reach("net-broadcast", "Nor everybody at once", "http://255.255.255.255/"),
    reach("net-file", "A file is no address", "file:///etc/passwd"),
    reach("net-gopher", "Old protocols are none", "gopher://127.0.0.1:PORT/_x"),
    reach("net-unix-socket", "A socket in the file system is no address", "unix:///var/run/docker.sock"),
];

impl Reach {
    pub(super) async fn run(&self) -> Seen {
        let made = async {
            let canary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let (at, door_at) = (canary.local_addr()?, door.local_addr()?);
            std::io::Result::Ok((canary, door, at, door_at))
        };
        let (canary, door, at, door_at) = made.await.map_err(|error| format!("no listener: {error}"))?;
        let reached = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reached);
        let listener = tokio::spawn(async move {
            while let Ok((mut stream, _)) = canary.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        });
        let sender_on = tokio::spawn(send_on(door, at));
        let url = self.url.replace("PORT", &at.port().to_string()).replace("DOOR", &door_at.port().to_string());
        let told = ask(url, at, door_at).await;
        listener.abort();
        sender_on.abort();
        match (reached.load(Ordering::SeqCst), told) {
            (0, Ok(text)) => Ok(format!("refused: {}", plain(&text))),
            (0, Err(fault)) => Err(fault),
            (times, _) => Err(format!("it was reached {times} times")),
        }
    }
}

/// Answers every request with the way to the listener.
async fn send_on(door: TcpListener, to: SocketAddr) {
    while let Ok((mut stream, _)) = door.accept().await {
        let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{to}/\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

/// The text of the refusal. Errors: there was an answer, or none in time.
async fn ask(url: String, at: SocketAddr, door: SocketAddr) -> Result<String, String> {
    let parts = GatewayParts { resolver: Arc::new(Rebinding), insecure_allow: vec![door], ..GatewayParts::default() };
    let rules: Arc<[EgressRule]> = everything(&[at.port(), door.port(), 80]).into();
    let policy = EgressPolicy { wish: Arc::clone(&rules), ceiling: rules };
    let admission = Admission { tenant: TenantId::from_raw(1), policy, placeholders: Arc::new([]) };
    let egress = Gateway::with(parts).admit(admission);
    let (sender, mut parts) = mpsc::channel(4);
    let request = FetchRequest {
        method: "GET".to_owned(),
        url,
        headers: Vec::new(),
        redirect: Redirect::Follow,
        body: bytes::Bytes::new(),
    };
    let answered = async {
        let mut last = None;
        while let Some(part) = parts.recv().await {
            last = Some(part);
        }
        last
    };
    let both = futures::future::join(egress.fetch(request, sender), answered);
    match tokio::time::timeout(WITHIN, both).await {
        Ok(((), Some(FetchPart::Failed(text)))) => Ok(text),
        Ok(((), part)) => Err(format!("it was answered: {part:?}")),
        Err(_) => Err("it was neither refused nor answered".to_owned()),
    }
}

/// Rules that allow every name, and the addresses that are tried, at these ports.
fn everything(ports: &[u16]) -> Vec<EgressRule> {
    const ADDRESSES: [&str; 13] = [
        "127.0.0.1",
        "127.8.9.10",
        "0.0.0.0",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "169.254.169.254",
        "fd00:ec2::254",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.1.1",
        "255.255.255.255",
    ];
    let addresses = ADDRESSES.iter().filter_map(|text| text.parse().ok()).map(HostPattern::Address);
    let hosts: Vec<HostPattern> = addresses.chain([HostPattern::Any]).collect();
    let rule = |host: &HostPattern, port: u16| EgressRule {
        scheme: Scheme::Http,
        host: host.clone(),
        port: NonZeroU16::new(port),
        methods: None,
        path: None,
    };
    ports.iter().flat_map(|port| hosts.iter().map(|host| rule(host, *port))).collect()
}

/// One name of its own; every other is as the system has it.
#[derive(Debug)]
struct Rebinding;

#[async_trait]
impl Resolve for Rebinding {
    async fn resolve(&self, host: &str) -> Option<Vec<IpAddr>> {
        match host {
            REBOUND | "localhost" => Some(vec![Ipv4Addr::LOCALHOST.into()]),
            _ => None,
        }
    }
}
