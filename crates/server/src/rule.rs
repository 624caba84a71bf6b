//! `/v1/rules` and `/v1/tenants/{tenant}/rules`: which events go where.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sublet_model::rule::FunctionTarget;
use sublet_model::{DeadLetterTarget, InputTransformer, Name, RetryPolicy, RuleSpec, Target, TargetSpec};
use sublet_store::RuleRecord;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Items, put};
use crate::auth::{AppState, Operator, TenantScope};
use crate::body::Json;
use crate::param::Path;
use crate::problem::Problem;
use crate::schema::{DeadLetterSchema, InputTransformerSchema, RetryPolicySchema};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_rules))
        .routes(routes!(put_rule, get_rule, delete_rule))
        .routes(routes!(list_tenant_rules))
        .routes(routes!(put_tenant_rule, get_tenant_rule, delete_tenant_rule))
}

/// A pattern, and the targets of the events that match it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "pattern": {"source": ["todo"], "detail-type": ["todo.created"]},
    "targets": [{"tenant": "enrich"}, {"webhook": "crm", "retry": {"attempts": 10}}]
}))]
pub(crate) struct RuleBody {
    /// EventBridge's pattern language.
    #[schema(value_type = Object)]
    pattern: Box<RawValue>,
    /// 1 to 5.
    targets: Vec<TargetBody>,
    /// `true` when left out.
    #[serde(default = "enabled")]
    enabled: bool,
}

fn enabled() -> bool {
    true
}

/// Where a matched event goes: exactly one of `tenant`, `function`, `webhook` and `queue`, and its policies.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TargetBody {
    /// The dispatch: the function of this name that the event's own tenant has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    tenant: Option<Name>,
    /// One named function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<FunctionTargetBody>,
    /// A webhook of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    webhook: Option<Name>,
    /// A named queue of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    queue: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RetryPolicySchema>)]
    retry: Option<RetryPolicy>,
    /// What the target gets instead of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<InputTransformerSchema>)]
    transformer: Option<InputTransformer>,
    /// The named queue that what this target gives up is put into besides. The operator's to set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DeadLetterSchema>)]
    dead_letter: Option<DeadLetterTarget>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FunctionTargetBody {
    /// Left out in a tenant's own rule: its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    tenant: Option<Name>,
    #[schema(value_type = String)]
    name: Name,
}

/// A rule as it is in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleView {
    /// `rul_…`
    id: String,
    name: String,
    /// The tenant whose rule it is; absent for the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[schema(value_type = Object)]
    pattern: Box<RawValue>,
    targets: Vec<TargetBody>,
    enabled: bool,
    changed: String,
}

impl RuleBody {
    fn into_spec(self) -> Result<RuleSpec, Problem> {
        let targets = self.targets.into_iter().enumerate().map(|(index, body)| body.into_spec(index));
        Ok(RuleSpec { pattern: self.pattern, targets: targets.collect::<Result<_, _>>()?, enabled: self.enabled })
    }
}

impl TargetBody {
    fn into_spec(self, index: usize) -> Result<TargetSpec, Problem> {
        let target = match (self.tenant, self.function, self.webhook, self.queue) {
            (Some(function), None, None, None) => Target::Tenant(function),
            (None, Some(function), None, None) => {
                Target::Function(FunctionTarget { tenant: function.tenant, name: function.name })
            }
            (None, None, Some(webhook), None) => Target::Webhook(webhook),
            (None, None, None, Some(queue)) => Target::Queue(queue),
            _ => {
                let wanted = "must name exactly one of `tenant`, `function`, `webhook` and `queue`";
                return Err(Problem::invalid(format!("targets[{index}]"), wanted));
            }
        };
        Ok(TargetSpec { target, retry: self.retry, transformer: self.transformer, dead_letter: self.dead_letter })
    }

    fn of(spec: TargetSpec) -> TargetBody {
        let (retry, transformer, dead_letter) = (spec.retry, spec.transformer, spec.dead_letter);
        let mut body =
            TargetBody { tenant: None, function: None, webhook: None, queue: None, retry, transformer, dead_letter };
        match spec.target {
            Target::Tenant(function) => body.tenant = Some(function),
            Target::Function(FunctionTarget { tenant, name }) => {
                body.function = Some(FunctionTargetBody { tenant, name });
            }
            Target::Webhook(webhook) => body.webhook = Some(webhook),
            Target::Queue(queue) => body.queue = Some(queue),
        }
        body
    }
}

impl RuleView {
    fn of(record: RuleRecord, tenant: Option<&Name>) -> RuleView {
        RuleView {
            id: record.id.to_string(),
            name: record.name.to_string(),
            tenant: tenant.map(Name::to_string),
            pattern: record.spec.pattern,
            targets: record.spec.targets.into_iter().map(TargetBody::of).collect(),
            enabled: record.spec.enabled,
            changed: record.changed.to_string(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct RulePath {
    rule: Name,
}

fn no_rule(name: &Name) -> Problem {
    Problem::not_found(format_args!("rule {name}"))
}

type PutRule = (StatusCode, axum::Json<RuleView>);

/// Make or replace a rule of the operator's.
#[utoipa::path(
    put,
    path = "/v1/rules/{rule}",
    tag = "rules",
    request_body = RuleBody,
    responses(
        (status = 201, description = "Made", body = RuleView),
        (status = 200, description = "Replaced", body = RuleView),
    ),
    security(("key" = []))
)]
async fn put_rule(
    operator: Operator,
    Path(path): Path<RulePath>,
    Json(body): Json<RuleBody>,
) -> Result<PutRule, Problem> {
    let (record, is_new) = operator.engine().registry().put_rule(None, &path.rule, body.into_spec()?).await?;
    Ok(put(RuleView::of(record, None), is_new))
}

/// A rule of the operator's.
#[utoipa::path(
    get,
    path = "/v1/rules/{rule}",
    tag = "rules",
    responses((status = 200, description = "The rule", body = RuleView)),
    security(("key" = []))
)]
async fn get_rule(operator: Operator, Path(path): Path<RulePath>) -> Result<axum::Json<RuleView>, Problem> {
    let record = operator.engine().registry().rule(None, &path.rule).ok_or_else(|| no_rule(&path.rule))?;
    Ok(axum::Json(RuleView::of(record, None)))
}

/// Delete a rule of the operator's.
#[utoipa::path(
    delete,
    path = "/v1/rules/{rule}",
    tag = "rules",
    responses((status = 204, description = "Deleted")),
    security(("key" = []))
)]
async fn delete_rule(operator: Operator, Path(path): Path<RulePath>) -> Result<StatusCode, Problem> {
    operator.engine().registry().delete_rule(None, &path.rule).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The operator's rules, by name.
#[utoipa::path(
    get,
    path = "/v1/rules",
    tag = "rules",
    responses((status = 200, description = "All of them", body = Items<RuleView>)),
    security(("key" = []))
)]
async fn list_rules(operator: Operator) -> axum::Json<Items<RuleView>> {
    let rules = operator.engine().registry().rules(None);
    axum::Json(Items { items: rules.into_iter().map(|record| RuleView::of(record, None)).collect() })
}

/// Make or replace a tenant's rule. It sees the tenant's own events and targets its own functions alone.
#[utoipa::path(
    put,
    path = "/v1/tenants/{tenant}/rules/{rule}",
    tag = "rules",
    request_body = RuleBody,
    responses(
        (status = 201, description = "Made", body = RuleView),
        (status = 200, description = "Replaced", body = RuleView),
    ),
    security(("key" = []))
)]
async fn put_tenant_rule(
    scope: TenantScope,
    Path(path): Path<RulePath>,
    Json(body): Json<RuleBody>,
) -> Result<PutRule, Problem> {
    let owner = Some((scope.tenant.id, &scope.tenant.name));
    let (record, is_new) = scope.engine().registry().put_rule(owner, &path.rule, body.into_spec()?).await?;
    Ok(put(RuleView::of(record, Some(&scope.tenant.name)), is_new))
}

/// A tenant's rule.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/rules/{rule}",
    tag = "rules",
    responses((status = 200, description = "The rule", body = RuleView)),
    security(("key" = []))
)]
async fn get_tenant_rule(scope: TenantScope, Path(path): Path<RulePath>) -> Result<axum::Json<RuleView>, Problem> {
    let found = scope.engine().registry().rule(Some(scope.tenant.id), &path.rule);
    let record = found.ok_or_else(|| no_rule(&path.rule))?;
    Ok(axum::Json(RuleView::of(record, Some(&scope.tenant.name))))
}

/// Delete a tenant's rule.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{tenant}/rules/{rule}",
    tag = "rules",
    responses((status = 204, description = "Deleted")),
    security(("key" = []))
)]
async fn delete_tenant_rule(scope: TenantScope, Path(path): Path<RulePath>) -> Result<StatusCode, Problem> {
    scope.engine().registry().delete_rule(Some(scope.tenant.id), &path.rule).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A tenant's rules, by name.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/rules",
    tag = "rules",
    responses((status = 200, description = "All of them", body = Items<RuleView>)),
    security(("key" = []))
)]
async fn list_tenant_rules(scope: TenantScope) -> axum::Json<Items<RuleView>> {
    let rules = scope.engine().registry().rules(Some(scope.tenant.id));
    let items = rules.into_iter().map(|record| RuleView::of(record, Some(&scope.tenant.name))).collect();
    axum::Json(Items { items })
}
