//! `/v1/layers`: the operator's common code, importable by tenants' functions by its name.

use axum::extract::Request;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sublet_model::{Name, limit};
use sublet_store::LayerRecord;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Items, Listing};
use crate::auth::{AppState, Operator};
use crate::body;
use crate::param::{PageQuery, Path, Query};
use crate::problem::Problem;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_layers)).routes(routes!(publish_layer, list_layer_versions))
}

/// One version of a layer. It never changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LayerView {
    name: String,
    /// 1, 2, 3 …
    version: u32,
    /// Of the package as uploaded, in hexadecimal.
    package_sha256: String,
    created: String,
}

impl From<&LayerRecord> for LayerView {
    fn from(record: &LayerRecord) -> LayerView {
        LayerView {
            name: record.name.to_string(),
            version: record.number,
            package_sha256: record.package.to_string(),
            created: record.created.to_string(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct LayerPath {
    layer: Name,
}

/// Upload a new version of a layer. Functions take the newest at their next deploy.
#[utoipa::path(
    post,
    path = "/v1/layers/{layer}/versions",
    tag = "layers",
    request_body(content = Vec<u8>, content_type = "application/zip", description = "At most 16 MiB"),
    responses((status = 201, description = "The version", body = LayerView)),
    security(("key" = []))
)]
async fn publish_layer(
    operator: Operator,
    Path(path): Path<LayerPath>,
    request: Request,
) -> Result<(StatusCode, axum::Json<LayerView>), Problem> {
    match body::media_type(request.headers()).as_str() {
        "application/zip" | "application/x-zip-compressed" => {}
        _ => return Err(Problem::unsupported_media_type("application/zip")),
    }
    let package = body::read(request, limit::PACKAGE_BYTES_MAX).await?;
    let record = operator.engine().publish_layer(&path.layer, package).await?;
    Ok((StatusCode::CREATED, axum::Json(LayerView::from(&record))))
}

/// A layer's versions, newest first.
#[utoipa::path(
    get,
    path = "/v1/layers/{layer}/versions",
    tag = "layers",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Listing<LayerView>)),
    security(("key" = []))
)]
async fn list_layer_versions(
    operator: Operator,
    Path(path): Path<LayerPath>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Listing<LayerView>>, Problem> {
    let no_cursor = || Problem::invalid("cursor", "is not what a page gave as `next`");
    let page = query.page()?;
    let newest = operator.store().layer(&path.layer, None).await?;
    let newest = newest.ok_or_else(|| Problem::not_found(format_args!("layer {}", path.layer)))?.number;
    // Numbers have no holes, so a page is a range of them, and the cursor is the number that it starts with.
    let first = match page.cursor {
        Some(cursor) => cursor.parse().ok().filter(|first| (1..=newest).contains(first)).ok_or_else(no_cursor)?,
        None => newest,
    };
    let count = u32::try_from(page.limit).unwrap_or(u32::MAX).min(first);
    let mut items = Vec::new();
    for number in (first - count + 1..=first).rev() {
        let record = operator.store().layer(&path.layer, Some(number)).await?;
        items.extend(record.as_ref().map(LayerView::from));
    }
    let next = (count < first).then(|| (first - count).to_string());
    Ok(axum::Json(Listing { items, next }))
}

/// The newest version of each layer, by name.
#[utoipa::path(
    get,
    path = "/v1/layers",
    tag = "layers",
    responses((status = 200, description = "All of them", body = Items<LayerView>)),
    security(("key" = []))
)]
async fn list_layers(operator: Operator) -> Result<axum::Json<Items<LayerView>>, Problem> {
    let layers = operator.store().layers().await?;
    Ok(axum::Json(Items { items: layers.iter().map(LayerView::from).collect() }))
}
