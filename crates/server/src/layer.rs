//! `/v1/layers`: the operator's common code, importable by tenants' functions by its name.

use axum::extract::Request;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sublet_model::{Name, limit};
use sublet_store::LayerRecord;
use utoipa::{IntoParams, ToSchema};
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
    /// Whether it is the one that new versions of functions take: the newest, unless that was taken back.
    current: bool,
    created: String,
}

impl From<&LayerRecord> for LayerView {
    fn from(record: &LayerRecord) -> LayerView {
        LayerView {
            name: record.name.to_string(),
            version: record.number,
            package_sha256: record.package.to_string(),
            current: record.is_current,
            created: record.created.to_string(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct LayerPath {
    pub(crate) layer: Name,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PublishQuery {
    /// `false` leaves live versions as they are; `true` when left out.
    rollout: Option<bool>,
}

/// Upload a new version of a layer.
///
/// Functions take it at their next deploy; and every function whose live version uses the layer gets a new version with it
/// in the background, unless `?rollout=false`.
#[utoipa::path(
    post,
    path = "/v1/layers/{layer}/versions",
    tag = "layers",
    params(PublishQuery),
    request_body(content = Vec<u8>, content_type = "application/zip", description = "At most 16 MiB"),
    responses((status = 201, description = "The version", body = LayerView)),
    security(("key" = []))
)]
async fn publish_layer(
    operator: Operator,
    Path(path): Path<LayerPath>,
    Query(query): Query<PublishQuery>,
    request: Request,
) -> Result<(StatusCode, axum::Json<LayerView>), Problem> {
    match body::media_type(request.headers()).as_str() {
        "application/zip" | "application/x-zip-compressed" => {}
        _ => return Err(Problem::unsupported_media_type("application/zip")),
    }
    let package = body::read(request, limit::PACKAGE_BYTES_MAX).await?;
    let record = operator.engine().publish_layer(&path.layer, package, query.rollout.unwrap_or(true)).await?;
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
    let page = query.page()?;
    if operator.store().layer(&path.layer, None).await?.is_none() {
        return Err(Problem::not_found(format_args!("layer {}", path.layer)));
    }
    let listing = operator.store().layer_versions(&path.layer, page).await?;
    Ok(axum::Json(Listing { items: listing.items.iter().map(LayerView::from).collect(), next: listing.next }))
}

/// The current version of each layer, by name.
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
