//! `/v1/tenants/{tenant}/invocations`: what ran for whom, with attempts, logs and usage.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sublet_model::{FunctionId, InvocationId, InvocationState, Name, Usage};
use sublet_sandbox::Failure;
use sublet_sandbox::egress::FetchRecord;
use sublet_store::{AttemptRecord, InvocationFilter, InvocationRecord, Selection};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Count, Listing};
use crate::auth::{AppState, TenantScope};
use crate::body::Json;
use crate::function::find;
use crate::param::{Path, Query, page};
use crate::problem::{FailureBody, Problem};
use crate::schema::{FetchSchema, UsageSchema};

/// Invocations named in one call.
pub(crate) const SELECTED_MAX: usize = 1_000;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_invocations))
        .routes(routes!(get_invocation))
        .routes(routes!(cancel_invocations))
}

/// One durable intention to run a function.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvocationView {
    /// `inv_…`
    id: String,
    /// The function's name; `null` once it was deleted.
    function: Option<String>,
    /// `fn_…`
    function_id: String,
    /// The event it runs for; `null` for a synchronous invoke.
    event: Option<String>,
    /// `Queued`, `Running`, `Retrying`, `Succeeded`, `DeadLettered`, `Expired`, `Cancelled` or `Failed`.
    state: &'static str,
    /// Why it ended other than by success.
    reason: Option<&'static str>,
    /// When it may start, or might have.
    due: String,
    /// Attempts started.
    starts: u32,
    /// Attempts that count against its retry policy.
    failed: u32,
    created: String,
    ended: Option<String>,
}

/// An invocation with its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvocationDetail {
    #[serde(flatten)]
    invocation: InvocationView,
    /// Oldest first.
    attempts: Vec<AttemptView>,
}

/// One run of an invocation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// `att_…`
    id: String,
    /// 1 for the first start.
    number: u32,
    /// The version that ran; 0 when none was reached.
    version: u32,
    /// `Succeeded`, `Failed`, `TimedOut`, `OutOfMemory`, `Crashed` or `Cancelled`.
    outcome: &'static str,
    started: String,
    ended: String,
    #[schema(value_type = UsageSchema)]
    usage: Usage,
    /// What the function returned; `null` where it did not, or where it returned `null`.
    #[schema(value_type = Option<Value>)]
    result: Option<Box<RawValue>>,
    /// What went wrong, otherwise.
    error: Option<FailureBody>,
    /// What it wrote by `console.*`.
    log: String,
    /// What it asked of the world outside by `fetch`, refused requests among them; the first 64.
    #[schema(value_type = Vec<FetchSchema>)]
    fetches: Vec<FetchRecord>,
}

/// The names of a tenant's functions, each looked up once per answer.
pub(crate) struct FunctionNames<'a> {
    scope: &'a TenantScope,
    known: HashMap<FunctionId, Option<String>>,
}

impl FunctionNames<'_> {
    pub(crate) fn of(scope: &TenantScope) -> FunctionNames<'_> {
        FunctionNames { scope, known: HashMap::new() }
    }

    async fn name(&mut self, id: FunctionId) -> Result<Option<String>, Problem> {
        if let Some(name) = self.known.get(&id) {
            return Ok(name.clone());
        }
        let found = self.scope.engine().registry().function_by_id(self.scope.tenant.id, id).await?;
        let name = found.map(|record| record.name.to_string());
        self.known.insert(id, name.clone());
        Ok(name)
    }

    pub(crate) async fn view(&mut self, record: &InvocationRecord) -> Result<InvocationView, Problem> {
        Ok(InvocationView {
            id: record.id.to_string(),
            function: self.name(record.function).await?,
            function_id: record.function.to_string(),
            event: record.event.map(|event| event.to_string()),
            state: record.state.as_str(),
            reason: record.reason.map(|reason| reason.as_str()),
            due: record.due.to_string(),
            starts: record.starts,
            failed: record.failed,
            created: record.id.minted_at().to_string(),
            ended: record.ended.map(|ended| ended.to_string()),
        })
    }
}

impl TryFrom<AttemptRecord> for AttemptView {
    type Error = Problem;

    fn try_from(record: AttemptRecord) -> Result<AttemptView, Problem> {
        let end = record.end;
        let error: Option<Failure> = read(end.failure.as_deref())?;
        Ok(AttemptView {
            id: record.id.to_string(),
            number: record.number,
            version: end.version,
            outcome: end.outcome.as_str(),
            started: end.started.to_string(),
            ended: end.ended.to_string(),
            usage: end.usage,
            result: read(end.result.as_deref())?,
            error: error.map(FailureBody::from),
            log: String::from_utf8_lossy(&end.log).into_owned(),
            fetches: read(end.fetches.as_deref())?.unwrap_or_default(),
        })
    }
}

/// What we wrote ourselves; empty once it was erased.
fn read<'a, T: Deserialize<'a>>(text: Option<&'a [u8]>) -> Result<Option<T>, Problem> {
    match text {
        None | Some([]) => Ok(None),
        Some(text) => Ok(Some(serde_json::from_slice(text).map_err(sublet_model::Error::internal)?)),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct InvocationsQuery {
    /// Of this function alone.
    #[param(value_type = Option<String>)]
    function: Option<Name>,
    /// In this state alone: `Queued`, `Running`, `Retrying`, `Succeeded`, `DeadLettered`, `Expired`, `Cancelled`,
    /// `Failed`.
    #[param(value_type = Option<String>)]
    state: Option<InvocationState>,
    /// What an earlier page gave as `next`.
    cursor: Option<String>,
    /// Rows of the page, 1 to 1000; 50 if left out.
    limit: Option<usize>,
}

/// The tenant's invocations, newest first.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/invocations",
    tag = "invocations",
    params(InvocationsQuery),
    responses((status = 200, description = "A page", body = Listing<InvocationView>)),
    security(("key" = []))
)]
async fn list_invocations(
    scope: TenantScope,
    Query(query): Query<InvocationsQuery>,
) -> Result<axum::Json<Listing<InvocationView>>, Problem> {
    let function = match &query.function {
        Some(name) => Some(find(&scope, name).await?.id),
        None => None,
    };
    let filter = InvocationFilter { function, state: query.state };
    let page = page(query.cursor, query.limit)?;
    let listing = scope.store().invocations(scope.tenant.id, filter, page).await?;
    views(&scope, listing).await
}

/// A page of records as a page of views.
pub(crate) async fn views(
    scope: &TenantScope,
    listing: sublet_store::Listing<InvocationRecord>,
) -> Result<axum::Json<Listing<InvocationView>>, Problem> {
    let mut names = FunctionNames::of(scope);
    let mut items = Vec::with_capacity(listing.items.len());
    for record in &listing.items {
        items.push(names.view(record).await?);
    }
    Ok(axum::Json(Listing { items, next: listing.next }))
}

#[derive(Debug, Deserialize)]
struct InvocationPath {
    id: InvocationId,
}

/// An invocation with its attempts: results, errors, logs, usage.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/invocations/{id}",
    tag = "invocations",
    responses((status = 200, description = "The invocation", body = InvocationDetail)),
    security(("key" = []))
)]
async fn get_invocation(
    scope: TenantScope,
    Path(path): Path<InvocationPath>,
) -> Result<axum::Json<InvocationDetail>, Problem> {
    let found = scope.store().invocation(scope.tenant.id, path.id).await?;
    let record = found.ok_or_else(|| Problem::not_found(format_args!("invocation {}", path.id)))?;
    let attempts = scope.store().attempts(scope.tenant.id, path.id).await?;
    let attempts = attempts.into_iter().map(AttemptView::try_from).collect::<Result<_, _>>()?;
    let invocation = FunctionNames::of(&scope).view(&record).await?;
    Ok(axum::Json(InvocationDetail { invocation, attempts }))
}

/// Which ones: `ids`, or `"all": true`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ids": ["inv_01k8w3c5d7f9g"]}))]
pub(crate) struct SelectionBody {
    /// At most 1,000.
    #[schema(value_type = Option<Vec<String>>)]
    ids: Option<Vec<InvocationId>>,
    all: Option<bool>,
}

impl SelectionBody {
    /// `None`: neither was said.
    pub(crate) fn selection(self) -> Result<Option<Selection>, Problem> {
        match (self.ids, self.all.unwrap_or(false)) {
            (Some(_), true) => Err(Problem::invalid("all", "cannot be together with `ids`")),
            (Some(ids), false) if ids.len() > SELECTED_MAX => {
                Err(Problem::invalid("ids", format!("must name at most {SELECTED_MAX}")))
            }
            (Some(ids), false) => Ok(Some(Selection::Ids(ids))),
            (None, true) => Ok(Some(Selection::All)),
            (None, false) => Ok(None),
        }
    }
}

/// Cancel waiting invocations. What runs already is left to end.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/invocations/cancel",
    tag = "invocations",
    request_body = SelectionBody,
    responses((status = 200, description = "How many were cancelled", body = Count)),
    security(("key" = []))
)]
async fn cancel_invocations(scope: TenantScope, Json(body): Json<SelectionBody>) -> Result<axum::Json<Count>, Problem> {
    // Unlike a redrive it cannot be taken back, so "all" is never what leaving it out means.
    let selection =
        body.selection()?.ok_or_else(|| Problem::invalid("ids", "name the invocations, or say `\"all\": true`"))?;
    let count = scope.engine().cancel(scope.tenant.id, selection).await?;
    Ok(axum::Json(Count { count }))
}
