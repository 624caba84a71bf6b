//! `/v1/tenants`: who there is, and what each may use.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sublet_engine::Engine;
use sublet_model::{EgressRule, Error, Isolation, Name, Quota};
use sublet_store::{Balance, TenantRecord, TenantSpec, TenantStatus};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Listing, put};
use crate::auth::{AppState, Operator, TenantAdmin, TenantScope};
use crate::body::{Json, JsonOrDefault};
use crate::param::{PageQuery, Query};
use crate::problem::Problem;
use crate::schema::EgressRuleSchema;
use crate::stop::StopView;

/// Bytes of a tenant's attributes as JSON.
const ATTRIBUTES_BYTES_MAX: usize = 16 * 1024;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_tenants))
        .routes(routes!(put_tenant, get_tenant, patch_tenant, delete_tenant))
        .routes(routes!(get_balance))
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Active,
    /// Its events are recorded as rejected, and nothing of it starts; what waits goes on waiting.
    Suspended,
}

/// What to set about a tenant. `PUT` sets what is left out to its default, `PATCH` leaves it as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"status": "active", "quota": {"ceiling": 16, "weight": 200}, "attributes": {"plan": "gold"}}))]
pub(crate) struct TenantBody {
    status: Option<Status>,
    quota: Option<QuotaBody>,
    /// The operator's own labels. Replaced as a whole.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
    /// Where its functions may send requests at most; nowhere by default. A function's own list must allow a request
    /// besides. Replaced as a whole.
    #[schema(value_type = Option<Vec<EgressRuleSchema>>)]
    egress: Option<Vec<EgressRule>>,
    /// Which worker processes its attempts run in; as the configuration says for all by default. Saying it also lifts what
    /// `isolation_reason` tells of.
    isolation: Option<IsolationWord>,
    /// Layers that wrap every function of it from the function's next version on, outermost first, whether the function
    /// names them or not. Replaced as a whole.
    #[schema(value_type = Option<Vec<String>>)]
    wrappers: Option<Vec<Name>>,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[schema(as = Isolation)]
#[serde(rename_all = "lowercase")]
enum IsolationWord {
    /// Beside those of others.
    Shared,
    /// Processes of the tenant's own, started when it has work and gone when it has had none for a while.
    Dedicated,
}

impl From<Isolation> for IsolationWord {
    fn from(isolation: Isolation) -> IsolationWord {
        match isolation {
            Isolation::Shared => IsolationWord::Shared,
            Isolation::Dedicated => IsolationWord::Dedicated,
        }
    }
}

impl From<IsolationWord> for Isolation {
    fn from(word: IsolationWord) -> Isolation {
        match word {
            IsolationWord::Shared => Isolation::Shared,
            IsolationWord::Dedicated => Isolation::Dedicated,
        }
    }
}

/// Counts are of attempts in flight, but for `backlog` and `invoke_slots`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuotaBody {
    /// Guaranteed before anyone's burst; 0 by default.
    floor: Option<u32>,
    /// Never more than this at once, 1 to 10,000; 8 by default.
    ceiling: Option<u32>,
    /// Share of what is left after the floors, 1 to 1,000; 100 by default.
    weight: Option<u32>,
    /// Waiting invocations; beyond it, publishing answers 429. 1,000,000 by default.
    backlog: Option<u64>,
    /// How many of the ceiling synchronous invokes may hold; 4 by default, or the ceiling where that is less.
    invoke_slots: Option<u32>,
    /// How many of the ceiling work from the queue never takes, so that synchronous invokes find them free; 0 by default.
    invoke_reserved: Option<u32>,
}

impl QuotaBody {
    fn over(&self, base: &Quota) -> Quota {
        let ceiling = self.ceiling.unwrap_or(base.ceiling);
        Quota {
            floor: self.floor.unwrap_or(base.floor),
            ceiling,
            weight: self.weight.unwrap_or(base.weight),
            backlog: self.backlog.unwrap_or(base.backlog),
            // Lowering the ceiling alone must not need a second number.
            invoke_slots: self.invoke_slots.unwrap_or(base.invoke_slots.min(ceiling)),
            invoke_reserved: self.invoke_reserved.unwrap_or(base.invoke_reserved.min(ceiling.saturating_sub(1))),
        }
    }
}

impl TenantBody {
    fn check(&self) -> Result<(), Problem> {
        if serde_json::to_vec(&self.attributes).map_or(0, |text| text.len()) > ATTRIBUTES_BYTES_MAX {
            let detail = format!("must not be longer than {ATTRIBUTES_BYTES_MAX} bytes");
            return Err(Problem::invalid("attributes", detail));
        }
        Ok(())
    }

    fn over(self, base: TenantSpec) -> TenantSpec {
        let isolation = self.isolation.map(Isolation::from);
        TenantSpec {
            // Why it is suspended is told for as long as it is.
            stopped: base.stopped.filter(|_| !matches!(self.status, Some(Status::Active))),
            wrappers: self.wrappers.unwrap_or(base.wrappers),
            status: match self.status {
                Some(Status::Active) => TenantStatus::Active,
                Some(Status::Suspended) => TenantStatus::Suspended,
                None => base.status,
            },
            quota: self.quota.map_or_else(|| base.quota.clone(), |quota| quota.over(&base.quota)),
            attributes: self.attributes.unwrap_or(base.attributes),
            egress: self.egress.map_or(base.egress, Arc::from),
            isolation: isolation.or(base.isolation),
            suspicion: base.suspicion.filter(|_| isolation.is_none()),
        }
    }
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "ten_01k8w3c5d7f9g", "name": "acme", "status": "active",
    "quota": {"floor": 0, "ceiling": 8, "weight": 100, "backlog": 1000000, "invoke_slots": 4, "invoke_reserved": 0},
    "attributes": {"plan": "gold"}, "egress": [{"scheme": "https", "host": "api.example.com"}], "isolation": "shared",
    "isolation_reason": null, "stopped": null, "wrappers": [], "created": "2026-01-31T09:30:00Z"
}))]
pub(crate) struct TenantView {
    /// `ten_…`
    id: String,
    name: String,
    status: Status,
    quota: QuotaView,
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    #[schema(value_type = Vec<EgressRuleSchema>)]
    egress: Arc<[EgressRule]>,
    /// Which worker processes its attempts run in.
    isolation: IsolationWord,
    /// Why it was moved to processes of its own without the operator's asking; told to the operator alone. Setting an
    /// `isolation` takes it back.
    isolation_reason: Option<String>,
    /// Why it is suspended, if somebody said so.
    stopped: Option<StopView>,
    /// Layers that wrap every function of it.
    wrappers: Vec<String>,
    created: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct QuotaView {
    floor: u32,
    ceiling: u32,
    weight: u32,
    backlog: u64,
    invoke_slots: u32,
    invoke_reserved: u32,
}

impl TenantView {
    pub(crate) fn of(record: &TenantRecord, engine: &Engine) -> TenantView {
        let Quota { floor, ceiling, weight, backlog, invoke_slots, invoke_reserved } = record.spec.quota;
        TenantView {
            id: record.id.to_string(),
            name: record.name.to_string(),
            status: match record.spec.status {
                TenantStatus::Active => Status::Active,
                TenantStatus::Suspended => Status::Suspended,
            },
            quota: QuotaView { floor, ceiling, weight, backlog, invoke_slots, invoke_reserved },
            attributes: record.spec.attributes.clone(),
            egress: record.spec.egress.clone(),
            isolation: engine.isolation_of(record).into(),
            isolation_reason: record.spec.suspicion.clone(),
            stopped: record.spec.stopped.as_ref().map(StopView::from),
            wrappers: record.spec.wrappers.iter().map(Name::to_string).collect(),
            created: record.created.to_string(),
        }
    }
}

/// Make or replace a tenant. A stop stays unless `status` says `active`.
#[utoipa::path(
    put,
    path = "/v1/tenants/{tenant}",
    tag = "tenants",
    request_body(content = TenantBody, description = "May be left out: everything by default"),
    responses(
        (status = 201, description = "Made", body = TenantView),
        (status = 200, description = "Replaced", body = TenantView),
    ),
    security(("key" = []))
)]
async fn put_tenant(
    admin: TenantAdmin,
    JsonOrDefault(body): JsonOrDefault<TenantBody>,
) -> Result<(StatusCode, axum::Json<TenantView>), Problem> {
    body.check()?;
    let replaced = |former: Option<TenantSpec>| {
        // Neither a suspicion nor a stop is for a set-up script to lift by repeating what it always says.
        let (suspicion, stopped) = former.map_or((None, None), |former| (former.suspicion, former.stopped));
        let status = if stopped.is_some() { TenantStatus::Suspended } else { TenantStatus::Active };
        Ok(body.over(TenantSpec { status, suspicion, stopped, ..TenantSpec::default() }))
    };
    let (record, is_new) = admin.engine().registry().put_tenant_by(&admin.name, replaced).await?;
    Ok(put(TenantView::of(&record, admin.engine()), is_new))
}

/// Change some of a tenant.
#[utoipa::path(
    patch,
    path = "/v1/tenants/{tenant}",
    tag = "tenants",
    request_body = TenantBody,
    responses((status = 200, description = "As it is now", body = TenantView)),
    security(("key" = []))
)]
async fn patch_tenant(admin: TenantAdmin, Json(body): Json<TenantBody>) -> Result<axum::Json<TenantView>, Problem> {
    body.check()?;
    let changed = |former: Option<TenantSpec>| match former {
        Some(former) => Ok(body.over(former)),
        None => Err(Error::not_found(format!("tenant {}", admin.name))),
    };
    let (record, _) = admin.engine().registry().put_tenant_by(&admin.name, changed).await?;
    Ok(axum::Json(TenantView::of(&record, admin.engine())))
}

/// A tenant.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}",
    tag = "tenants",
    responses((status = 200, description = "The tenant", body = TenantView)),
    security(("key" = []))
)]
async fn get_tenant(scope: TenantScope) -> axum::Json<TenantView> {
    let view = TenantView::of(&scope.tenant, scope.engine());
    // What gave its code away is not told to those who wrote it.
    let isolation_reason = view.isolation_reason.filter(|_| scope.is_operator());
    axum::Json(TenantView { isolation_reason, ..view })
}

/// Delete a tenant: its queue is cancelled, its code, bodies, logs and keys are erased; its usage stays in sum.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}",
    tag = "tenants",
    responses((status = 204, description = "Deleted")),
    security(("key" = []))
)]
async fn delete_tenant(admin: TenantAdmin) -> Result<StatusCode, Problem> {
    admin.engine().registry().delete_tenant(&admin.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tenants, by name.
#[utoipa::path(
    get,
    path = "/v1/tenants",
    tag = "tenants",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Listing<TenantView>)),
    security(("key" = []))
)]
async fn list_tenants(
    operator: Operator,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Listing<TenantView>>, Problem> {
    let listing = operator.store().tenants(query.page()?).await?;
    let items = listing.items.iter().map(|record| TenantView::of(record, operator.engine())).collect();
    Ok(axum::Json(Listing { items, next: listing.next }))
}

/// The tenant's queue in numbers: accepted = succeeded + dead_lettered + expired + cancelled + waiting + in_flight.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "accepted": 10, "succeeded": 7, "dead_lettered": 1, "expired": 0, "cancelled": 0, "waiting": 1, "in_flight": 1,
    "holds": true
}))]
pub(crate) struct BalanceView {
    accepted: u64,
    succeeded: u64,
    dead_lettered: u64,
    expired: u64,
    cancelled: u64,
    waiting: u64,
    in_flight: u64,
    /// Whether the sum is right.
    holds: bool,
}

/// The conservation equation of the tenant's invocations, added up from the rows. Synchronous invokes are not in it.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/balance",
    tag = "invocations",
    responses((status = 200, description = "Its terms", body = BalanceView)),
    security(("key" = []))
)]
async fn get_balance(scope: TenantScope) -> Result<axum::Json<BalanceView>, Problem> {
    let balance = scope.engine().balance(scope.tenant.id).await?;
    let Balance { accepted, succeeded, dead_lettered, expired, cancelled, waiting, in_flight } = balance;
    let holds = balance.holds();
    Ok(axum::Json(BalanceView { accepted, succeeded, dead_lettered, expired, cancelled, waiting, in_flight, holds }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowering_the_ceiling_alone_is_a_valid_quota() {
        let body = QuotaBody { ceiling: Some(2), ..QuotaBody::default() };
        let quota = body.over(&Quota::default());
        assert_eq!((quota.ceiling, quota.invoke_slots), (2, 2));
        assert!(quota.validate().is_ok());
    }
}
