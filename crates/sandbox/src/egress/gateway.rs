//! The gateway: what all attempts' requests share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use sublet_model::{TenantId, limit};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::MissedTickBehavior;

use super::Egress;
use super::attempt::{Admission, Door};
use super::meter::Meters;
use super::pool::Pool;
use super::resolver::{Resolve, SystemResolver};

/// Names being resolved at once, of one tenant and of all; a name whose servers do not answer holds a thread for long.
const LOOKUPS_PER_TENANT_MAX: usize = 16;
const LOOKUPS_MAX: usize = 256;
/// Between two looks for connections and tenants that are not used any more.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySettings {
    /// How long a server may take to answer, and between two pieces of its answer. The attempt's own deadline holds
    /// besides.
    pub timeout: Duration,
    /// Requests of one tenant and of all tenants at once; further ones wait.
    pub at_once_per_tenant: usize,
    pub at_once: usize,
    /// Of one attempt.
    pub fetches: u32,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

impl Default for GatewaySettings {
    fn default() -> GatewaySettings {
        GatewaySettings {
            timeout: Duration::from_secs(60),
            at_once_per_tenant: 64,
            at_once: 1_024,
            fetches: limit::FETCHES_PER_ATTEMPT_MAX,
            request_bytes: limit::FETCH_REQUEST_BYTES_MAX,
            response_bytes: limit::FETCH_RESPONSE_BYTES_MAX,
        }
    }
}

/// What a gateway is made of.
#[derive(Debug)]
pub struct GatewayParts {
    pub settings: GatewaySettings,
    pub resolver: Arc<dyn Resolve>,
    /// Addresses that are reached although they are not public. For tests and for trying things out: everything that
    /// listens there is open to every tenant whose lists name it.
    pub insecure_allow: Vec<SocketAddr>,
    /// Certificates that are trusted beside the system's.
    pub roots: Vec<CertificateDer<'static>>,
}

impl Default for GatewayParts {
    fn default() -> GatewayParts {
        GatewayParts {
            settings: GatewaySettings::default(),
            resolver: Arc::new(SystemResolver),
            insecure_allow: Vec::new(),
            roots: Vec::new(),
        }
    }
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

impl Default for Gateway {
    fn default() -> Gateway {
        Gateway::with(GatewayParts::default())
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: GatewaySettings,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) insecure_allow: Vec<SocketAddr>,
    roots: Vec<CertificateDer<'static>>,
    tls: OnceCell<Arc<ClientConfig>>,
    pub(super) pool: Pool,
    pub(super) at_once: Semaphore,
    pub(super) lookups: Arc<Semaphore>,
    gates: Mutex<HashMap<TenantId, Weak<Gate>>>,
    /// Somebody looks after what is not used any more: from the first request on.
    is_swept: AtomicBool,
    pub(super) meters: Meters,
}

/// What all attempts of one tenant share while any of them asks for something.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) at_once: Semaphore,
    pub(super) lookups: Arc<Semaphore>,
}

impl Gateway {
    pub fn new(settings: GatewaySettings) -> Gateway {
        Gateway::with(GatewayParts { settings, ..GatewayParts::default() })
    }

    pub fn with(parts: GatewayParts) -> Gateway {
        let GatewayParts { settings, resolver, insecure_allow, roots } = parts;
        for address in &insecure_allow {
            tracing::warn!("INSECURE: tenants' code may reach {address} as if it were a public address");
        }
        let shared = Arc::new(Shared {
            at_once: Semaphore::new(settings.at_once.clamp(1, Semaphore::MAX_PERMITS)),
            settings,
            resolver,
            insecure_allow,
            roots,
            tls: OnceCell::new(),
            pool: Pool::default(),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            gates: Mutex::default(),
            is_swept: AtomicBool::new(false),
            meters: Meters::new(),
        });
        Gateway { shared }
    }

    /// One attempt's way out.
    pub fn admit(&self, admission: Admission) -> Arc<dyn Egress> {
        Arc::new(Door::new(Arc::clone(&self.shared), admission))
    }
}

/// Until the gateway is gone.
async fn sweep(shared: Weak<Shared>) {
    let mut turns = tokio::time::interval(SWEEP_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        shared.pool.sweep();
        shared.gates.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, gate| gate.strong_count() > 0);
    }
}

impl Shared {
    pub(super) fn gate(self: &Arc<Shared>, tenant: TenantId) -> Arc<Gate> {
        if !self.is_swept.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(&tenant).and_then(Weak::upgrade) {
            return gate;
        }
        let most = self.settings.at_once_per_tenant.clamp(1, Semaphore::MAX_PERMITS);
        let lookups = Arc::new(Semaphore::new(LOOKUPS_PER_TENANT_MAX));
        let gate = Arc::new(Gate { at_once: Semaphore::new(most), lookups });
        gates.insert(tenant, Arc::downgrade(&gate));
        gate
    }

    /// Made at the first request: reading the system's certificates takes a while. `None`: there are none to trust at the
    /// moment, and the next request looks again.
    pub(super) async fn tls(&self) -> Option<Arc<ClientConfig>> {
        let made = self.tls.get_or_try_init(async || {
            let roots = self.roots.clone();
            tokio::task::spawn_blocking(move || client_config(&roots)).await.ok().flatten().ok_or(())
        });
        made.await.ok().cloned()
    }
}

fn client_config(roots: &[CertificateDer<'static>]) -> Option<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots.iter().cloned(), Arc::clone(&provider));
    let made = verifier.and_then(|verifier| {
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
    });
    match made {
        Ok(mut config) => {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            // A session that is resumed would carry what one tenant's handshake learnt into another's.
            config.resumption = rustls::client::Resumption::disabled();
            Some(Arc::new(config))
        }
        Err(error) => {
            tracing::error!(%error, "tenants' code cannot use https: the system's certificates could not be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn certificates_that_could_not_be_read_once_are_read_again() {
        let roots = vec![CertificateDer::from(b"no certificate".to_vec())];
        let mut gateway = Gateway::with(GatewayParts { roots, ..GatewayParts::default() });
        assert!(gateway.shared.tls().await.is_none());
        let own = rcgen::generate_simple_self_signed(vec!["api.test".to_owned()]).unwrap();
        Arc::get_mut(&mut gateway.shared).unwrap().roots = vec![own.cert.der().clone()];
        let made = gateway.shared.tls().await.unwrap();
        assert!(Arc::ptr_eq(&made, &gateway.shared.tls().await.unwrap()), "and then kept");
    }
}
