//! TLS by rustls: a certificate and its key from two files, read again when they change, without a connection noticing.
//!
//! The files are compared by what is in them, not by their times, so that every way of replacing them is seen. A new pair
//! that does not fit keeps the old one in use; that happens for a moment whenever one file is written before the other.

mod validity;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use sha2::{Digest, Sha256};
use sublet_model::{Error, Timestamp};
use tokio_rustls::TlsAcceptor;

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Bytes of one file that are read at most.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// An end of the certificate within this is spoken of once a day.
const WARN_WITHIN: Duration = Duration::from_secs(14 * 86_400);
const WARN_EVERY_MS: u64 = 86_400_000;

/// Where the certificate chain and its key are, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// TLS as the server speaks it. Cheap to clone; all clones speak with the same certificate.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    certificate: Arc<InUse>,
    acceptor: TlsAcceptor,
    provider: Arc<CryptoProvider>,
    /// Of what was read last, in use or refused: a pair that does not fit is spoken of once.
    looked_at: Mutex<Option<[u8; 32]>>,
}

/// What a look at the files led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    Unchanged,
    Replaced,
}

impl Tls {
    /// Errors: `Invalid`, with the file and what is wrong with it.
    pub fn open(files: TlsFiles) -> Result<Tls, Error> {
        let provider = Arc::new(ring::default_provider());
        let read = read(&files)?;
        let certificate = Arc::new(InUse(RwLock::new(read.certify(&files, &provider)?)));
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(Error::internal)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as Arc<_>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let looked_at = Mutex::new(Some(read.hash()));
        Ok(Tls(Arc::new(Inner { files, certificate, acceptor, provider, looked_at })))
    }

    /// Reads the files again. Errors: as `open`; the certificate in use stays, and the same content is not an error
    /// twice.
    pub fn reload(&self) -> Result<Reload, Error> {
        let inner = &self.0;
        let mut looked_at = inner.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let read = match read(&inner.files) {
            Ok(read) => read,
            Err(_) if looked_at.is_none() => return Ok(Reload::Unchanged),
            Err(error) => {
                *looked_at = None;
                return Err(error);
            }
        };
        if *looked_at == Some(read.hash()) {
            return Ok(Reload::Unchanged);
        }
        *looked_at = Some(read.hash());
        let certified = read.certify(&inner.files, &inner.provider)?;
        *inner.certificate.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(Reload::Replaced)
    }

    /// When the certificate in use ends.
    pub fn expires(&self) -> Timestamp {
        self.0.certificate.get().expires
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.0.acceptor
    }

    /// Looks at the files for as long as it is awaited. `now` reads the clock.
    pub(crate) async fn watch(&self, now: impl Fn() -> Timestamp) {
        let mut warned: Option<Timestamp> = None;
        loop {
            let moment = now();
            if self.expires() <= moment + WARN_WITHIN && warned.is_none_or(|at| moment.since(at) >= WARN_EVERY_MS) {
                warned = Some(moment);
                tracing::warn!("the TLS certificate ends at {}", self.expires());
            }
            tokio::time::sleep(LOOK_EVERY).await;
            // Files may be slow to answer; others must not wait with them.
            let tls = self.clone();
            let _ = tokio::task::spawn_blocking(move || tls.look()).await;
        }
    }

    /// A reload whose outcome goes to the log.
    pub fn look(&self) {
        match self.reload() {
            Ok(Reload::Unchanged) => {}
            Ok(Reload::Replaced) => tracing::info!("the TLS certificate was replaced; it ends at {}", self.expires()),
            Err(error) => tracing::error!("the TLS certificate in use stays: {error}"),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.files).finish()
    }
}

#[derive(Debug)]
struct Certified {
    key: Arc<CertifiedKey>,
    expires: Timestamp,
}

#[derive(Debug)]
struct InUse(RwLock<Arc<Certified>>);

impl InUse {
    fn get(&self) -> Arc<Certified> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for InUse {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.get().key))
    }
}

/// Both files as they are.
struct Read {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

fn read(files: &TlsFiles) -> Result<Read, Error> {
    let one = |path: &Path, field: &str| {
        let unreadable = |error: std::io::Error| wrong(field, path, &error.to_string());
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > FILE_BYTES_MAX {
            return Err(wrong(field, path, "is too long for a PEM file"));
        }
        std::fs::read(path).map_err(unreadable)
    };
    Ok(Read { certificate: one(&files.certificate, "certificate")?, key: one(&files.key, "key")? })
}

fn wrong(field: &str, path: &Path, why: &str) -> Error {
    Error::invalid(format!("server.tls.{field}"), format!("{}: {why}", path.display()))
}

impl Read {
    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update((self.certificate.len() as u64).to_be_bytes());
        hash.update(&self.certificate);
        hash.update(&self.key);
        hash.finalize().into()
    }

    fn certify(&self, files: &TlsFiles, provider: &CryptoProvider) -> Result<Arc<Certified>, Error> {
        let bad_chain = |why: &str| wrong("certificate", &files.certificate, why);
        let bad_key = |why: &str| wrong("key", &files.key, why);
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| bad_chain("holds a damaged PEM block"))?;
        let leaf = chain.first().ok_or_else(|| bad_chain("holds no PEM certificate"))?;
        let expires = validity::not_after(leaf).ok_or_else(|| bad_chain("holds a certificate that cannot be read"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| bad_key("holds no PEM private key"))?;
        let certified = CertifiedKey::from_der(chain, key, provider);
        // A key of a kind that is not supported, or one of another certificate.
        let key = certified.map_err(|error| bad_key(&format!("does not go with the certificate: {error}")))?;
        Ok(Arc::new(Certified { key: Arc::new(key), expires }))
    }
}
