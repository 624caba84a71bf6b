//! TLS over real connections: who gets in, and that a new certificate takes the old one's place unnoticed.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::Certificate;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use sublet_model::ErrorKind;
use sublet_server::{Reload, ServerConfig, Tls, TlsFiles};
use sublet_store::memory::NoFaults;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Api, client};

/// Signs certificates for this machine.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn reqwest(&self) -> reqwest::ClientBuilder {
        client().tls_certs_only([Certificate::from_pem(self.0.pem().as_bytes()).unwrap()])
    }

    /// Writes a certificate until the year's start, and its key.
    fn issue(&self, files: &TlsFiles, year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        std::fs::write(&files.certificate, params.signed_by(&key, &self.0).unwrap().pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
    }

    /// A connection of its own, whose requests are certainly on it.
    async fn connect(&self, api: &Api, protocols: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let stream = TcpStream::connect(api.base.strip_prefix("https://").unwrap()).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }
}

fn files(folder: &Path) -> TlsFiles {
    TlsFiles { certificate: folder.join("chain.pem"), key: folder.join("key.pem") }
}

async fn start(authority: &Authority, tls: Tls) -> Api {
    let config = ServerConfig { tls: Some(tls), ..ServerConfig::default() };
    Api::start_for(authority.reqwest(), Arc::new(NoFaults), config).await
}

/// Asks once more on a connection that stays.
async fn is_healthy(connection: &mut TlsStream<TcpStream>) -> bool {
    connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The body ends with the list of checks.
    while !answer.ends_with(b"]}") {
        if connection.read_buf(&mut answer).await.unwrap() == 0 {
            return false;
        }
    }
    answer.starts_with(b"HTTP/1.1 200") && String::from_utf8_lossy(&answer).contains("\"status\":\"ok\"")
}

#[tokio::test]
async fn who_trusts_the_authority_gets_in_over_tls_and_nobody_else_does() {
    let folder = TempDir::new().unwrap();
    let (ours, another) = (Authority::new(), Authority::new());
    ours.issue(&files(folder.path()), 2050);
    let api = start(&ours, Tls::open(files(folder.path())).unwrap()).await;
    let answer = api.get("/v1/tenants").await;
    assert_eq!(answer.headers["strict-transport-security"], "max-age=31536000");
    answer.expect(200);
    let wrong = another.reqwest().build().unwrap().get(format!("{}/healthz", api.base)).send().await;
    assert!(wrong.unwrap_err().is_connect());
    let plain = client().build().unwrap().get(api.base.replace("https", "http")).send().await;
    assert!(plain.is_err(), "no plain HTTP on the same port");

    let connection = ours.connect(&api, &[b"h2", b"http/1.1"]).await.unwrap();
    let session = connection.get_ref().1;
    assert_eq!(session.alpn_protocol(), Some(b"http/1.1".as_slice()));
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[tokio::test]
async fn readiness_and_metrics_tell_when_the_certificate_ends() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    authority.issue(&files(folder.path()), 2049);
    let api = start(&authority, Tls::open(files(folder.path())).unwrap()).await;
    assert_eq!(api.get("/readyz").await.expect(200)["certificate_expires"], "2049-01-01T00:00:00Z");
    let text = api.client.get(format!("{}/metrics", api.base)).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("sublet_tls_certificate_expiry_timestamp_seconds 2493072000"), "{text}");
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_old_ones_go_on() {
    let folder = TempDir::new().unwrap();
    let (first, second) = (Authority::new(), Authority::new());
    first.issue(&files(folder.path()), 2050);
    let tls = Tls::open(files(folder.path())).unwrap();
    let api = start(&first, tls.clone()).await;
    let mut old = first.connect(&api, &[]).await.unwrap();
    assert!(is_healthy(&mut old).await);
    assert_eq!(tls.reload().unwrap(), Reload::Unchanged);

    second.issue(&files(folder.path()), 2051);
    assert_eq!(tls.reload().unwrap(), Reload::Replaced);
    assert_eq!(tls.expires().to_string(), "2051-01-01T00:00:00Z");
    assert!(is_healthy(&mut old).await, "the connection stays");
    assert!(is_healthy(&mut second.connect(&api, &[]).await.unwrap()).await);
    assert!(first.connect(&api, &[]).await.is_err());
}

#[tokio::test]
async fn a_new_pair_that_does_not_fit_keeps_the_old_one_and_is_spoken_of_once() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    let paths = files(folder.path());
    authority.issue(&paths, 2050);
    let tls = Tls::open(paths.clone()).unwrap();
    let api = start(&authority, tls.clone()).await;
    let (chain, key) = (std::fs::read(&paths.certificate).unwrap(), std::fs::read(&paths.key).unwrap());

    authority.issue(&paths, 2051);
    let newer = std::fs::read(&paths.certificate).unwrap();
    // One file is written before the other; then nonsense, nothing, and no file at all.
    let (whole, kept) = (newer.as_slice(), Some(key.as_slice()));
    let cases = [
        (whole, kept, "does not go with"),
        (b"nonsense".as_slice(), kept, "no PEM certificate"),
        (chain.as_slice(), Some(b"".as_slice()), "no PEM private key"),
        (chain.as_slice(), None, "key.pem"),
    ];
    for (certificate, key, word) in cases {
        std::fs::write(&paths.certificate, certificate).unwrap();
        match key {
            Some(key) => std::fs::write(&paths.key, key).unwrap(),
            None => std::fs::remove_file(&paths.key).unwrap(),
        }
        let error = tls.reload().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(tls.reload().unwrap(), Reload::Unchanged, "{word}: not spoken of twice");
        assert!(is_healthy(&mut authority.connect(&api, &[]).await.unwrap()).await);
        let opened = Tls::open(paths.clone()).unwrap_err();
        assert!(opened.to_string().contains(word), "a start with them is refused: {opened}");
    }
    std::fs::write(&paths.key, &key).unwrap();
    assert_eq!(tls.reload().unwrap(), Reload::Replaced, "what fits again is taken");
}

#[tokio::test]
async fn a_client_that_never_shakes_hands_holds_up_nobody() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    authority.issue(&files(folder.path()), 2050);
    let mut api = start(&authority, Tls::open(files(folder.path())).unwrap()).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(api.base.strip_prefix("https://").unwrap()).await.unwrap());
    }
    api.get("/v1/tenants").await.expect(200);
    api.stop();
    api.ended().await;
}
