//! The extractors: each checks the key, then the reach, then hands over what the handler may use.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use sublet_engine::{Engine, Viewer};
use sublet_model::{KeyId, Name, PriceSheet, Timestamp};
use sublet_store::{KeyScope, KeyUse, Standing, Store, TenantRecord};
use tokio::sync::watch;

use super::admit::{Admitted, admit};
use super::state::AppState;
use crate::problem::Problem;
use crate::visit::Visit;
use crate::{health, metric};

/// Any valid key.
pub(crate) struct Caller {
    reach: Reach,
    admitted: Admitted,
}

/// An operator's key.
pub(crate) struct Operator {
    reach: Reach,
    admitted: Admitted,
    visit: Option<Visit>,
}

/// The tenant in the path, for the operator or for itself.
pub(crate) struct TenantScope {
    reach: Reach,
    admitted: Admitted,
    pub(crate) tenant: Arc<TenantRecord>,
}

/// The tenant in the path, whether it exists or not, for the operator.
pub(crate) struct TenantAdmin {
    reach: Reach,
    pub(crate) name: Name,
}

/// Nobody in particular.
pub(crate) struct Open(Reach);

/// The way to the engine, handed out by the extractors alone.
struct Reach(AppState);

impl Reach {
    fn engine(&self) -> &Engine {
        &self.0.inner.engine
    }
}

// What each scope that passed a check can reach; five times the same three lines would drift.
macro_rules! reaches {
    ($($scope:ty: $reach:tt;)*) => {$(
        #[allow(dead_code, reason = "not every scope needs every way")]
        impl $scope {
            pub(crate) fn engine(&self) -> &Engine {
                self.$reach.engine()
            }

            pub(crate) fn store(&self) -> &Arc<dyn Store> {
                self.$reach.engine().store()
            }

            pub(crate) fn now(&self) -> Timestamp {
                self.$reach.0.inner.config.clock.now()
            }

            pub(crate) fn prices(&self) -> &PriceSheet {
                &self.$reach.0.inner.config.prices
            }
        }
    )*};
}

reaches! {
    Caller: reach;
    Operator: reach;
    TenantScope: reach;
    TenantAdmin: reach;
}

impl Caller {
    pub(crate) fn viewer(&self) -> Viewer {
        match self.admitted.scope() {
            KeyScope::Operator => Viewer::Operator,
            KeyScope::Tenant(id) => Viewer::Tenant(id),
        }
    }

    /// Which tenant a listing is about, from its `?tenant=`: for an operator the named one, or all; for a tenant its
    /// own, and anyone else's name is 404.
    pub(crate) async fn tenant_filter(&self, named: Option<&str>) -> Result<Option<Arc<TenantRecord>>, Problem> {
        match (self.admitted.scope(), named) {
            (KeyScope::Operator, None) => Ok(None),
            (KeyScope::Operator, Some(named)) => by_name(&self.reach, &parse(named)?).await.map(Some),
            (KeyScope::Tenant(id), named) => {
                let own = own(&self.reach, id).await?;
                match named {
                    Some(named) if own.name.as_str() != named => Err(no_tenant(named)),
                    _ => Ok(Some(own)),
                }
            }
        }
    }

    /// Whether the key still lets in: for answers that go on for long.
    pub(crate) async fn is_still_known(&self) -> bool {
        let found = self.reach.engine().registry().key(&self.admitted.hash).await;
        let is_valid = |standing| standing == Standing::Valid;
        found.is_ok_and(|record| {
            record.is_some_and(|record| {
                record.id == self.admitted.key.id && is_valid(record.standing(&self.admitted.hash, self.now()))
            })
        })
    }

    /// Becomes true when the server stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.reach.0.inner.stopping.subscribe()
    }

    /// How often a stream says that it is still there, and looks whether its key is.
    pub(crate) fn keep_alive(&self) -> std::time::Duration {
        self.reach.0.inner.config.keep_alive
    }
}

impl Operator {
    /// Becomes true when the server stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.reach.0.inner.stopping.subscribe()
    }

    /// The key that was used.
    pub(crate) fn key(&self) -> KeyId {
        self.admitted.key.id
    }

    /// Tells the audit log which tenant the change is about, where the path does not say.
    pub(crate) fn about(&self, tenant: &TenantRecord) {
        if let Some(visit) = &self.visit {
            visit.note_about(tenant.id, tenant.name.clone());
        }
    }

    /// A key's last use as it is known here, perhaps ahead of the store.
    pub(crate) fn last_use(&self, id: KeyId) -> Option<KeyUse> {
        self.reach.0.inner.gate.last_use(id)
    }
}

impl TenantScope {
    /// Whether it is the operator who asks.
    pub(crate) fn is_operator(&self) -> bool {
        self.admitted.scope() == KeyScope::Operator
    }
}

impl Open {
    pub(crate) fn metrics(&self) -> String {
        metric::render_metrics(&self.0.0)
    }

    pub(crate) fn health(&self) -> Vec<health::Check> {
        health::health(self.0.engine(), &self.0.0.inner.pulse)
    }

    /// When the TLS certificate in use ends, where there is one.
    pub(crate) fn certificate_expires(&self) -> Option<Timestamp> {
        self.0.0.tls().map(|tls| tls.expires())
    }

    pub(crate) async fn readiness(&self) -> Vec<health::Check> {
        let is_stopping = *self.0.0.inner.stopping.borrow();
        health::readiness(self.0.engine(), &self.0.0.inner.pulse, is_stopping).await
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Caller, Problem> {
        let admitted = admit(parts, state).await?;
        admitted.check_role(parts)?;
        Ok(Caller { reach: Reach(state.clone()), admitted })
    }
}

impl FromRequestParts<AppState> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Operator, Problem> {
        let admitted = admit(parts, state).await?;
        match admitted.scope() {
            KeyScope::Operator => admitted.check_role(parts)?,
            KeyScope::Tenant(_) => return Err(operator_only()),
        }
        Ok(Operator { reach: Reach(state.clone()), admitted, visit: parts.extensions.get().cloned() })
    }
}

impl FromRequestParts<AppState> for TenantScope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<TenantScope, Problem> {
        let admitted = admit(parts, state).await?;
        let reach = Reach(state.clone());
        let named = path_tenant(parts, state).await?;
        let tenant = match admitted.scope() {
            KeyScope::Operator => by_name(&reach, &parse(&named)?).await?,
            KeyScope::Tenant(id) => {
                let own = own(&reach, id).await?;
                if own.name.as_str() != named {
                    return Err(no_tenant(&named));
                }
                own
            }
        };
        admitted.check_role(parts)?;
        Ok(TenantScope { reach, admitted, tenant })
    }
}

impl FromRequestParts<AppState> for TenantAdmin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<TenantAdmin, Problem> {
        let admitted = admit(parts, state).await?;
        let reach = Reach(state.clone());
        let named = path_tenant(parts, state).await?;
        match admitted.scope() {
            KeyScope::Operator => {
                admitted.check_role(parts)?;
                Ok(TenantAdmin { reach, name: parse(&named)? })
            }
            KeyScope::Tenant(id) if own(&reach, id).await?.name.as_str() == named => Err(operator_only()),
            KeyScope::Tenant(_) => Err(no_tenant(&named)),
        }
    }
}

impl FromRequestParts<AppState> for Open {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, state: &AppState) -> Result<Open, Self::Rejection> {
        Ok(Open(Reach(state.clone())))
    }
}

async fn path_tenant(parts: &mut Parts, state: &AppState) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| no_tenant("of that name"))?;
    let named = params.iter().find_map(|(key, value)| (key == "tenant").then(|| value.to_owned()));
    named.ok_or_else(|| sublet_model::Error::internal("this route names no tenant").into())
}

fn parse(named: &str) -> Result<Name, Problem> {
    named.parse().map_err(|error| Problem::invalid("tenant", format!("{error}")))
}

async fn by_name(reach: &Reach, name: &Name) -> Result<Arc<TenantRecord>, Problem> {
    reach.engine().registry().tenant(name.as_str()).await?.ok_or_else(|| no_tenant(name.as_str()))
}

/// The tenant of a key. It may have been deleted since the key was looked up; then the key is no more.
async fn own(reach: &Reach, id: sublet_model::TenantId) -> Result<Arc<TenantRecord>, Problem> {
    let found = reach.engine().registry().tenant_by_id(id).await?;
    found.ok_or_else(|| Problem::unauthorized("this key is not known"))
}

/// The same words whether there is no such tenant or it is not the caller's to see.
fn no_tenant(named: &str) -> Problem {
    let shown: String = named.chars().take(sublet_model::name::NAME_CHARS_MAX).collect();
    Problem::not_found(format_args!("tenant {shown}"))
}

fn operator_only() -> Problem {
    Problem::forbidden("this takes an operator's key")
}
