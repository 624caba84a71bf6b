//! An attempt's way out: what its version wishes for, under what the operator allows the tenant at its start.

use std::sync::Arc;

use bytes::Bytes;
use sublet_model::{EgressPolicy, TenantId};
use sublet_sandbox::egress::{Admission, Egress, FetchRecord, Placeholder};

use crate::core::Core;
use crate::runnable::Runnable;

impl Core {
    /// A tenant that is gone, or cannot be read, is allowed nothing.
    pub(crate) async fn way_out(
        &self,
        tenant: TenantId,
        runnable: &Runnable,
        placeholders: Arc<[Placeholder]>,
    ) -> Arc<dyn Egress> {
        let record = match self.directory.tenant_by_id_if_held(tenant) {
            Some(held) => Some(held),
            None => self.directory.tenant_by_id(tenant).await.unwrap_or_default(),
        };
        let ceiling = record.map(|record| Arc::clone(&record.spec.egress)).unwrap_or_default();
        let policy = EgressPolicy { wish: Arc::clone(&runnable.egress), ceiling };
        self.gateway.admit(Admission { tenant, policy, placeholders })
    }
}

/// As it is written with the attempt; `None` when nothing was asked for.
pub(crate) fn fetch_log(records: &[FetchRecord]) -> Option<Bytes> {
    // Texts and numbers alone: it cannot fail.
    if records.is_empty() { None } else { serde_json::to_vec(records).ok().map(Bytes::from) }
}
