//! One layer around the router: an operation of the document that is not a plain read gets a line, with no word from its
//! handler. Whoever adds an operation has it in the log unless it is named here.
//!
//! The line is durable before the handler runs and gets its end after it, in a commit of its own: a change that was made
//! has a line, and a line without an end says that nobody knows how it ended. The handler runs to its end even when the
//! client goes away, so that the line gets one. If the line cannot be written, nothing is changed.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::{Method, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sublet_model::{AuditId, Error, Name, TenantId};
use sublet_store::{AuditEnd, KeyScope, NewAudit};
use tracing::Instrument;
use utoipa::openapi::path::{Operation, Paths};

use crate::auth::{Admitted, AppState, admit};
use crate::problem::Problem;
use crate::visit::Visit;

/// What is no change of how the installation is set up: the traffic itself, and questions that have a body.
const TRAFFIC: [(&str, &str); 7] = [
    ("POST", "/v1/events"),
    ("POST", "/v1/patterns/test"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/invoke"),
    ("POST", "/v1/queues/{queue}/receive"),
    ("POST", "/v1/queues/{queue}/ack"),
    ("POST", "/v1/queues/{queue}/extend"),
    ("POST", "/v1/queues/{queue}/release"),
];
/// Bytes of a path that a line keeps.
const TARGET_BYTES_MAX: usize = 512;

/// The operations that leave a line: by the path's template, their methods and names.
#[derive(Clone)]
pub(crate) struct Changes {
    state: AppState,
    operations: Arc<HashMap<String, Vec<(Method, String)>>>,
}

impl Changes {
    pub(crate) fn of(paths: &Paths, state: AppState) -> Changes {
        let mut operations: HashMap<String, Vec<(Method, String)>> = HashMap::new();
        for (path, item) in &paths.paths {
            let found: [(Method, &Option<Operation>); 4] = [
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in found {
                let Some(operation) = operation else { continue };
                let is_traffic = TRAFFIC.iter().any(|(verb, route)| *verb == method.as_str() && route == path);
                if !is_traffic {
                    let name = operation.operation_id.clone().unwrap_or_else(|| format!("{method} {path}"));
                    operations.entry(path.clone()).or_default().push((method, name));
                }
            }
        }
        Changes { state, operations: Arc::new(operations) }
    }

    fn operation(&self, request: &Request) -> Option<String> {
        let route = request.extensions().get::<MatchedPath>()?.as_str();
        let methods = self.operations.get(route)?;
        methods.iter().find(|(method, _)| method == request.method()).map(|(_, name)| name.clone())
    }
}

pub(crate) async fn record(State(changes): State<Changes>, request: Request, next: Next) -> Response {
    match changes.operation(&request) {
        Some(operation) => around(changes.state, operation, request, next).await.unwrap_or_else(Problem::into_response),
        None => next.run(request).await,
    }
}

/// Errors: no valid key (whom would the line name?), too many changes by it, a line that cannot be written.
async fn around(state: AppState, operation: String, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let admitted = admit(&parts, &state).await?;
    // So that the handler's extractor does not count the request a second time.
    parts.extensions.insert(admitted.clone());
    state.take_change(&admitted)?;
    let Some(visit) = parts.extensions.get::<Visit>().cloned() else {
        return Err(Error::internal("a request without its visit").into());
    };
    let path_tenant = path_tenant(&mut parts, &state).await;
    let (store, clock) = (Arc::clone(state.store()), state.clock());
    let begun = clock.now();
    let line = NewAudit {
        key: admitted.key.id,
        label: admitted.key.label.clone(),
        scope: admitted.scope(),
        role: admitted.key.role,
        operation,
        target: target_of(&parts),
        tenant: about(&state, &admitted, &path_tenant).await?,
        request: visit.id().0.to_string(),
        from: visit.origin().address,
    };
    let id = store.begin_audit(line, begun).await?;
    let request = Request::from_parts(parts, body);
    let work = async move {
        let response = next.run(request).await;
        let status = response.status().as_u16();
        // A tenant that the change made is known only now.
        let made = match visit.about() {
            Some(known) => Some(known),
            None => about(&state, &admitted, &path_tenant).await.unwrap_or(None),
        };
        end(&state, id, status, made).await;
        response
    };
    // A task of its own: dropping this future, as happens when the client is gone, does not stop it.
    let done = tokio::spawn(work.in_current_span()).await;
    done.map_err(|panic| Error::internal(panic).into())
}

/// The change stands, so its answer goes out whether or not the line gets its end.
async fn end(state: &AppState, id: AuditId, status: u16, tenant: Option<(TenantId, Name)>) {
    let end = AuditEnd { at: state.clock().now(), status };
    if let Err(error) = state.store().end_audit(id, end, tenant).await {
        tracing::error!(%error, audit.id = %id, "the end of audit line {id} (status {status}) was not written");
    }
}

fn target_of(parts: &Parts) -> String {
    let path = parts.uri.path();
    path.get(..TARGET_BYTES_MAX).unwrap_or(path).to_owned()
}

async fn path_tenant(parts: &mut Parts, state: &AppState) -> Option<Name> {
    let params = RawPathParams::from_request_parts(parts, state).await.ok()?;
    params.iter().find(|(key, _)| *key == "tenant").and_then(|(_, named)| named.parse().ok())
}

/// A tenant's key is told of under its own tenant, whatever name it called: another's log must not show who tried.
async fn about(
    state: &AppState,
    admitted: &Admitted,
    path_tenant: &Option<Name>,
) -> Result<Option<(TenantId, Name)>, Error> {
    let found = match (admitted.scope(), path_tenant) {
        (KeyScope::Tenant(id), _) => state.registry().tenant_by_id(id).await?,
        (KeyScope::Operator, Some(name)) => state.registry().tenant(name.as_str()).await?,
        (KeyScope::Operator, None) => None,
    };
    Ok(found.map(|tenant| (tenant.id, tenant.name.clone())))
}
