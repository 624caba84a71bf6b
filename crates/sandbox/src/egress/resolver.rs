//! From a name to addresses, once for each step of a request.

use std::net::{IpAddr, ToSocketAddrs};

use async_trait::async_trait;

/// Finds the addresses of a name. Real: the system's resolver; for tests: a scripted one.
#[async_trait]
pub trait Resolve: std::fmt::Debug + Send + Sync + 'static {
    /// `None` when there are none, or they could not be found.
    async fn resolve(&self, host: &str) -> Option<Vec<IpAddr>>;
}

/// As every program of this machine resolves names.
#[derive(Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> Option<Vec<IpAddr>> {
        let host = host.to_owned();
        // The system's resolver blocks its thread and cannot be called off: the caller bounds how many there are.
        let found = tokio::task::spawn_blocking(move || (host.as_str(), 0).to_socket_addrs());
        let addresses: Vec<IpAddr> = found.await.ok()?.ok()?.map(|address| address.ip()).collect();
        (!addresses.is_empty()).then_some(addresses)
    }
}
