//! `/v1/usage` and `/v1/tenants/{tenant}/usage`: the ledger in sum, and what it costs by the operator's price sheet.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sublet_engine::Engine;
use sublet_model::{FunctionId, PriceSheet, TenantId, Timestamp, UsageSum};
use sublet_store::{Store, UsageQuery, UsageRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{AppState, Operator, TenantScope};
use crate::param::Query;
use crate::problem::Problem;

const HOUR: Duration = Duration::from_secs(3_600);
/// What is shown when no time is named.
const SPAN_DEFAULT: Duration = Duration::from_secs(24 * 3_600);
/// The longest time one answer sums over, because its rows are read to do so.
const SPAN_MAX: Duration = Duration::from_secs(93 * 24 * 3_600);

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_usage)).routes(routes!(get_tenant_usage))
}

/// What a row sums over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Group {
    Tenant,
    Function,
    Hour,
    Total,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UsageParams {
    /// From the start of this time's hour on; 24 hours before `to` if left out.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// Up to the end of this time's hour; now if left out.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    /// What each row sums over. For the operator `tenant` when left out, for a tenant `function`.
    #[param(inline)]
    group: Option<Group>,
}

/// Usage in sum.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageView {
    from: String,
    /// Before this.
    to: String,
    /// ISO 4217, of the costs.
    currency: String,
    group: Group,
    items: Vec<UsageItem>,
    total: UsageNumbers,
}

#[derive(Debug, Serialize, ToSchema)]
struct UsageItem {
    /// The tenant's name; its id once it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// The function's name; its id once it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    /// The start of the hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    hour: Option<String>,
    #[serde(flatten)]
    numbers: UsageNumbers,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "attempts": 1200, "succeeded": 1190, "failed": 10, "wall_us": 480000, "cpu_us": 410000,
    "memory_peak_bytes": 4194304, "gb_seconds": 0.06, "bytes_in": 240000, "bytes_out": 96000, "fetches": 40,
    "egress_bytes": 81920, "cost_micros": 241
}))]
struct UsageNumbers {
    attempts: u64,
    succeeded: u64,
    failed: u64,
    wall_us: u64,
    cpu_us: u64,
    memory_peak_bytes: u64,
    /// GB are 2³⁰ bytes, as in Lambda.
    gb_seconds: f64,
    bytes_in: u64,
    bytes_out: u64,
    /// Requests by `fetch`, refused ones among them.
    fetches: u64,
    /// Bytes of those requests and of their answers.
    egress_bytes: u64,
    /// In millionths of the currency's unit.
    cost_micros: u64,
}

impl UsageNumbers {
    fn of(sum: &UsageSum, prices: &PriceSheet) -> UsageNumbers {
        UsageNumbers {
            attempts: sum.attempts,
            succeeded: sum.succeeded,
            failed: sum.failed,
            wall_us: sum.wall_us,
            cpu_us: sum.cpu_us,
            memory_peak_bytes: sum.memory_peak_bytes,
            gb_seconds: sum.gb_seconds(),
            bytes_in: sum.bytes_in,
            bytes_out: sum.bytes_out,
            fetches: sum.fetches,
            egress_bytes: sum.egress_bytes,
            cost_micros: prices.cost_micros(sum),
        }
    }
}

/// Usage of every tenant.
#[utoipa::path(
    get,
    path = "/v1/usage",
    tag = "usage",
    params(UsageParams),
    responses((status = 200, description = "Rows and their total", body = UsageView)),
    security(("key" = []))
)]
async fn get_usage(operator: Operator, Query(params): Query<UsageParams>) -> Result<axum::Json<UsageView>, Problem> {
    let request = Request::new(&params, None, Group::Tenant, operator.now())?;
    request.answer(operator.engine(), operator.store(), operator.prices()).await
}

/// Usage of one tenant.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/usage",
    tag = "usage",
    params(UsageParams),
    responses((status = 200, description = "Rows and their total", body = UsageView)),
    security(("key" = []))
)]
async fn get_tenant_usage(
    scope: TenantScope,
    Query(params): Query<UsageParams>,
) -> Result<axum::Json<UsageView>, Problem> {
    let request = Request::new(&params, Some(scope.tenant.id), Group::Function, scope.now())?;
    request.answer(scope.engine(), scope.store(), scope.prices()).await
}

struct Request {
    query: UsageQuery,
    group: Group,
}

/// What a row is found again by. Names are looked up afterwards, once per row.
type Key = (Option<TenantId>, Option<FunctionId>, Option<Timestamp>);

impl Request {
    fn new(params: &UsageParams, tenant: Option<TenantId>, group: Group, now: Timestamp) -> Result<Request, Problem> {
        // A sum is by the hour, so both ends lie on hours: the one that `to` lies in is included.
        let last = params.to.unwrap_or(now);
        let to = if last == last.hour() && params.to.is_some() { last } else { last.hour() + HOUR };
        let from = params.from.unwrap_or(to - SPAN_DEFAULT).hour();
        if from >= to {
            return Err(Problem::invalid("from", "must be before `to`"));
        }
        if u128::from(to.since(from)) > SPAN_MAX.as_millis() {
            return Err(Problem::invalid("from", "must be at most 93 days before `to`"));
        }
        Ok(Request { query: UsageQuery { tenant, function: None, from, to }, group: params.group.unwrap_or(group) })
    }

    fn key(&self, row: &UsageRow) -> Key {
        match self.group {
            Group::Tenant => (Some(row.tenant), None, None),
            Group::Function => (Some(row.tenant), Some(row.function), None),
            Group::Hour => (None, None, Some(row.hour)),
            Group::Total => (None, None, None),
        }
    }

    async fn answer(
        &self,
        engine: &Engine,
        store: &Arc<dyn Store>,
        prices: &PriceSheet,
    ) -> Result<axum::Json<UsageView>, Problem> {
        let mut sums: BTreeMap<Key, UsageSum> = BTreeMap::new();
        let mut total = UsageSum::default();
        for row in store.usage(self.query).await? {
            *sums.entry(self.key(&row)).or_default() += row.sum;
            total += row.sum;
        }
        let mut names = Names { engine, tenants: HashMap::new() };
        let mut items = Vec::with_capacity(sums.len());
        for ((tenant, function, hour), sum) in sums {
            let function = match (tenant, function) {
                (Some(tenant), Some(function)) => Some(names.function(tenant, function).await?),
                _ => None,
            };
            let tenant = match tenant {
                Some(tenant) => Some(names.tenant(tenant).await?),
                None => None,
            };
            let hour = hour.map(|hour| hour.to_string());
            items.push(UsageItem { tenant, function, hour, numbers: UsageNumbers::of(&sum, prices) });
        }
        Ok(axum::Json(UsageView {
            from: self.query.from.to_string(),
            to: self.query.to.to_string(),
            currency: prices.currency.clone(),
            group: self.group,
            items,
            total: UsageNumbers::of(&total, prices),
        }))
    }
}

struct Names<'a> {
    engine: &'a Engine,
    tenants: HashMap<TenantId, String>,
}

impl Names<'_> {
    async fn tenant(&mut self, id: TenantId) -> Result<String, Problem> {
        if let Some(name) = self.tenants.get(&id) {
            return Ok(name.clone());
        }
        let found = self.engine.registry().tenant_by_id(id).await?;
        let name = found.map_or_else(|| id.to_string(), |record| record.name.to_string());
        self.tenants.insert(id, name.clone());
        Ok(name)
    }

    async fn function(&mut self, tenant: TenantId, id: FunctionId) -> Result<String, Problem> {
        let found = self.engine.registry().function_by_id(tenant, id).await?;
        Ok(found.map_or_else(|| id.to_string(), |record| record.name.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: Option<&str>, to: Option<&str>) -> Result<(String, String), Problem> {
        let parse = |text: Option<&str>| text.map(|text| Timestamp::parse(text).unwrap());
        let params = UsageParams { from: parse(from), to: parse(to), group: None };
        let now = Timestamp::parse("2026-01-31T09:30:00Z").unwrap();
        Request::new(&params, None, Group::Total, now).map(|r| (r.query.from.to_string(), r.query.to.to_string()))
    }

    #[test]
    fn the_hour_that_runs_is_included() {
        let (from, to) = span(None, None).unwrap();
        assert_eq!((from.as_str(), to.as_str()), ("2026-01-30T10:00:00Z", "2026-01-31T10:00:00Z"));
    }

    #[test]
    fn an_end_on_the_hour_leaves_that_hour_out() {
        let (from, to) = span(Some("2026-01-31T07:59:00Z"), Some("2026-01-31T09:00:00Z")).unwrap();
        assert_eq!((from.as_str(), to.as_str()), ("2026-01-31T07:00:00Z", "2026-01-31T09:00:00Z"));
    }

    #[test]
    fn a_time_that_ends_before_it_starts_or_is_too_long_is_refused() {
        assert!(span(Some("2026-01-31T10:00:00Z"), Some("2026-01-31T09:00:00Z")).is_err());
        assert!(span(Some("2025-01-31T10:00:00Z"), None).is_err());
    }
}
