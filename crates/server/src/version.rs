//! `…/functions/{function}/versions`: uploading code, and what was uploaded. A version never changes.

use axum::extract::Request;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sublet_engine::{DeployError, PackageKind};
use sublet_model::{FunctionConfig, Name, limit};
use sublet_store::{FunctionRecord, VersionRecord};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Listing;
use crate::auth::{AppState, TenantScope};
use crate::body;
use crate::function::{FunctionPath, find};
use crate::param::{PageQuery, Path, Query, number};
use crate::problem::Problem;
use crate::schema::FunctionConfigSchema;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(deploy_version, list_versions)).routes(routes!(get_version))
}

/// An immutable version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionView {
    function: String,
    /// 1, 2, 3 …
    version: u32,
    /// Whether `live` points to it.
    live: bool,
    /// Of the package as uploaded, in hexadecimal.
    package_sha256: String,
    package_bytes: u64,
    /// The versions of the layers it froze.
    layers: Vec<LayerVersion>,
    /// What it froze of the function.
    #[schema(value_type = FunctionConfigSchema)]
    config: FunctionConfig,
    created: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct LayerVersion {
    name: String,
    version: u32,
}

impl VersionView {
    fn of(record: &VersionRecord, function: &FunctionRecord) -> VersionView {
        VersionView {
            function: function.name.to_string(),
            version: record.number,
            live: function.live == Some(record.number),
            package_sha256: record.package.to_string(),
            package_bytes: record.package_bytes,
            layers: record
                .layers
                .iter()
                .map(|(name, version)| LayerVersion { name: name.to_string(), version: *version })
                .collect(),
            config: record.config.clone(),
            created: record.created.to_string(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeployQuery {
    /// `false` leaves `live` where it is; `true` when left out.
    publish: Option<bool>,
}

/// Upload code: a new version, live at once unless `?publish=false`.
///
/// The code's top level runs now, once, in isolation; what it leaves is what every attempt starts from. Code that does
/// not load is 422 with the error, its file and its line. Of a function whose runtime is `wasm`, nothing runs now: the module
/// is compiled in isolation, and one that cannot run here is 422 with the feature or the limit.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/functions/{function}/versions",
    tag = "functions",
    params(DeployQuery),
    request_body(
        description = "A zip, one JavaScript file, or one WebAssembly module; at most 16 MiB",
        content(
            (String = "text/javascript", example = "export const handler = async (event) => event.detail"),
            (Vec<u8> = "application/zip"),
            (Vec<u8> = "application/wasm"),
        )
    ),
    responses((status = 201, description = "The version", body = VersionView)),
    security(("key" = []))
)]
async fn deploy_version(
    scope: TenantScope,
    Path(path): Path<FunctionPath>,
    Query(query): Query<DeployQuery>,
    request: Request,
) -> Result<(StatusCode, axum::Json<VersionView>), Problem> {
    let kind = match body::media_type(request.headers()).as_str() {
        "application/zip" | "application/x-zip-compressed" => PackageKind::Zip,
        "text/javascript" | "application/javascript" => PackageKind::JavaScript,
        "application/wasm" => PackageKind::Wasm,
        _ => return Err(Problem::unsupported_media_type("application/zip, text/javascript or application/wasm")),
    };
    // Before the upload is read: a wrong name should not cost the transfer of a package.
    find(&scope, &path.function).await?;
    let package = body::read(request, limit::PACKAGE_BYTES_MAX).await?;
    let publish = query.publish.unwrap_or(true);
    let record = scope.engine().deploy(&scope.tenant, &path.function, package, kind, publish).await?;
    let function = find(&scope, &path.function).await?;
    Ok((StatusCode::CREATED, axum::Json(VersionView::of(&record, &function))))
}

impl From<DeployError> for Problem {
    fn from(error: DeployError) -> Problem {
        match error {
            DeployError::Rejected(failure) => Problem::rejected_code(failure),
            DeployError::Error(error) => error.into(),
        }
    }
}

/// The function's versions, newest first.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/functions/{function}/versions",
    tag = "functions",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Listing<VersionView>)),
    security(("key" = []))
)]
async fn list_versions(
    scope: TenantScope,
    Path(path): Path<FunctionPath>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Listing<VersionView>>, Problem> {
    let function = find(&scope, &path.function).await?;
    let listing = scope.store().versions(scope.tenant.id, function.id, query.page()?).await?;
    let items = listing.items.iter().map(|record| VersionView::of(record, &function)).collect();
    Ok(axum::Json(Listing { items, next: listing.next }))
}

#[derive(Debug, Deserialize)]
struct VersionPath {
    function: Name,
    #[serde(deserialize_with = "number")]
    version: u32,
}

/// One version.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/functions/{function}/versions/{version}",
    tag = "functions",
    responses((status = 200, description = "The version", body = VersionView)),
    security(("key" = []))
)]
async fn get_version(scope: TenantScope, Path(path): Path<VersionPath>) -> Result<axum::Json<VersionView>, Problem> {
    let function = find(&scope, &path.function).await?;
    let found = scope.engine().registry().version(scope.tenant.id, function.id, path.version).await?;
    let record = found.ok_or_else(|| Problem::not_found(format_args!("version {}", path.version)))?;
    Ok(axum::Json(VersionView::of(&record, &function)))
}
