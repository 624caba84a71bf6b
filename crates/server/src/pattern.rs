//! `/v1/patterns/test`: does this pattern match this event, and if not, why?

use serde::{Deserialize, Serialize};
use sublet_pattern::{EventView, Mismatch, Pattern};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{AppState, Caller};
use crate::body::Json;
use crate::problem::Problem;
use crate::schema::MismatchSchema;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(check_pattern))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "pattern": "{\"detail-type\": [{\"prefix\": \"todo.\"}]}", "event": "{\"detail-type\": \"todo.created\"}"
}))]
pub(crate) struct PatternTest {
    /// The pattern's JSON text.
    pattern: String,
    /// The event's JSON text.
    event: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PatternAnswer {
    matches: bool,
    /// Empty exactly when it matches.
    #[schema(value_type = Vec<MismatchSchema>)]
    reasons: Vec<Mismatch>,
}

/// Try a pattern on an event. Nothing is stored.
#[utoipa::path(
    post,
    path = "/v1/patterns/test",
    operation_id = "test_pattern",
    tag = "rules",
    request_body = PatternTest,
    responses((status = 200, description = "Whether it matches, and why not", body = PatternAnswer)),
    security(("key" = []))
)]
async fn check_pattern(_: Caller, Json(test): Json<PatternTest>) -> Result<axum::Json<PatternAnswer>, Problem> {
    // A hostile pattern may take tenths of a second: not on a thread that answers others.
    let tried = tokio::task::spawn_blocking(move || try_on(&test)).await;
    tried.map_err(sublet_model::Error::internal)?.map(axum::Json)
}

fn try_on(test: &PatternTest) -> Result<PatternAnswer, Problem> {
    let pattern = Pattern::parse(&test.pattern).map_err(|error| Problem::invalid("pattern", error.to_string()))?;
    let event = EventView::parse(&test.event).map_err(|error| Problem::invalid("event", error.to_string()))?;
    // Patterns match anything, but this tries them on events: what has neither of the envelope's two is none.
    if ["source", "detail-type"].iter().all(|name| event.scalars_at(name).next().is_none()) {
        return Err(Problem::invalid("event", "is no event: it has neither `source` nor `detail-type`"));
    }
    let explanation = pattern.explain(&event);
    Ok(PatternAnswer { matches: explanation.matches, reasons: explanation.reasons })
}
