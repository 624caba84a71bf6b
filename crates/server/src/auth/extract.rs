//! The extractors: each checks the key, then the reach, then hands over what the handler may use.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header;
use axum::http::request::Parts;
use sublet_engine::{Engine, Viewer};
use sublet_model::{Name, PriceSheet, Timestamp};
use sublet_store::{KeyScope, Page, Store, TenantRecord};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use super::secret::{KEY_CHARS_MAX, KEY_CHARS_MIN, hash_of};
use super::state::AppState;
use crate::problem::Problem;

/// Any valid key.
pub(crate) struct Caller {
    reach: Reach,
    scope: KeyScope,
    hash: [u8; 32],
}

/// An operator's key.
pub(crate) struct Operator(Reach);

/// The tenant in the path, for the operator or for itself.
pub(crate) struct TenantScope {
    reach: Reach,
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
    Operator: 0;
    TenantScope: reach;
    TenantAdmin: reach;
}

impl Caller {
    pub(crate) fn viewer(&self) -> Viewer {
        match self.scope {
            KeyScope::Operator => Viewer::Operator,
            KeyScope::Tenant(id) => Viewer::Tenant(id),
        }
    }

    /// Which tenant a listing is about, from its `?tenant=`: for an operator the named one, or all; for a tenant its
    /// own, and anyone else's name is 404.
    pub(crate) async fn tenant_filter(&self, named: Option<&str>) -> Result<Option<Arc<TenantRecord>>, Problem> {
        match (self.scope, named) {
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

    /// Whether the key is still there: for answers that go on for long.
    pub(crate) async fn is_still_known(&self) -> bool {
        let found = self.reach.engine().registry().key(&self.hash).await;
        found.is_ok_and(|record| record.is_some_and(|record| record.scope == self.scope))
    }

    /// Becomes true when the server stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.reach.0.inner.stopping.subscribe()
    }
}

impl Open {
    pub(crate) fn stats(&self) -> sublet_engine::Stats {
        self.0.engine().stats()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.0.inner.stopping.borrow()
    }

    /// Whether the store answers, by a question that costs next to nothing.
    pub(crate) async fn store_answers(&self) -> bool {
        self.0.engine().store().tenants(Page::new(None, 1)).await.is_ok()
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Caller, Problem> {
        let (scope, hash) = authenticate(parts, state).await?;
        Ok(Caller { reach: Reach(state.clone()), scope, hash })
    }
}

impl FromRequestParts<AppState> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Operator, Problem> {
        match authenticate(parts, state).await?.0 {
            KeyScope::Operator => Ok(Operator(Reach(state.clone()))),
            KeyScope::Tenant(_) => Err(operator_only()),
        }
    }
}

impl FromRequestParts<AppState> for TenantScope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<TenantScope, Problem> {
        let (by, _) = authenticate(parts, state).await?;
        let reach = Reach(state.clone());
        let named = path_tenant(parts, state).await?;
        let tenant = match by {
            KeyScope::Operator => by_name(&reach, &parse(&named)?).await?,
            KeyScope::Tenant(id) => {
                let own = own(&reach, id).await?;
                if own.name.as_str() != named {
                    return Err(no_tenant(&named));
                }
                own
            }
        };
        Ok(TenantScope { reach, tenant })
    }
}

impl FromRequestParts<AppState> for TenantAdmin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<TenantAdmin, Problem> {
        let (by, _) = authenticate(parts, state).await?;
        let reach = Reach(state.clone());
        let named = path_tenant(parts, state).await?;
        match by {
            KeyScope::Operator => Ok(TenantAdmin { reach, name: parse(&named)? }),
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

/// The key's scope, and its hash.
async fn authenticate(parts: &Parts, state: &AppState) -> Result<(KeyScope, [u8; 32]), Problem> {
    let value = parts
        .headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| Problem::unauthorized("send a key as `Authorization: Bearer …`"))?;
    let secret = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .ok_or_else(|| Problem::unauthorized("the authorization must be `Bearer` and a key"))?;
    let unknown = || Problem::unauthorized("this key is not known");
    // What cannot be a key costs no look-up.
    if !(KEY_CHARS_MIN..=KEY_CHARS_MAX).contains(&secret.len()) {
        return Err(unknown());
    }
    let hash = hash_of(secret);
    let record = state.inner.engine.registry().key(&hash).await?.ok_or_else(unknown)?;
    // The look-up was by a hash of the secret, so its timing tells nothing of the secret; comparing what it found once
    // more, in constant time, does not rely on how a cache or a backend compares.
    if bool::from(record.hash.ct_eq(&hash)) { Ok((record.scope, hash)) } else { Err(unknown()) }
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
