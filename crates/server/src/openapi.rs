//! `/openapi.json`: the document, made of the handlers themselves, so that it cannot say what they do not do.
//!
//! What is the same for every operation is added here once: the parameters in the path, the problem that any of them
//! may answer, and how a key is sent.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    Required, ResponseBuilder, Schema, schema::Type,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::AppState;
use crate::problem::{PROBLEM_JSON, ProblemBody};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_openapi))
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "node",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)),
)]
async fn get_openapi(axum::Extension(Document(text)): axum::Extension<Document>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// The document's text, made once.
#[derive(Clone)]
pub(crate) struct Document(pub(crate) Bytes);

/// What the document says before any operation is added.
pub(crate) fn head() -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let about = "Runs your customers' code on your product's events. Operator keys reach everything, a tenant's keys \
                 its own; anything of another tenant is 404, and what a tenant's key may not do to its own is 403. \
                 Every problem is `application/problem+json` and names the field where there is one.";
    let info = InfoBuilder::new()
        .title("Sublet")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about))
        .license(Some(license))
        .build();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("`slo_…` or `slt_…`")).build();
    let mut problem_parts = Vec::new();
    <ProblemBody as ToSchema>::schemas(&mut problem_parts);
    let components = ComponentsBuilder::new()
        .security_scheme("key", SecurityScheme::Http(bearer))
        .schemas_from_iter(problem_parts)
        .schema("Problem", ProblemBody::schema())
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// Adds what is common to the operations, and writes the document.
pub(crate) fn finish(mut document: OpenApi) -> Result<Document, serde_json::Error> {
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            let parameters = operation.parameters.get_or_insert_default();
            for name in parameters_of(path) {
                let parameter = ParameterBuilder::new()
                    .name(name)
                    .parameter_in(ParameterIn::Path)
                    .required(Required::True)
                    .description(Some(described(name)))
                    .schema(Some(RefOr::T(Schema::Object(ObjectBuilder::new().schema_type(Type::String).build()))))
                    .build();
                parameters.insert(0, RefOr::T(parameter));
            }
            let problem = ResponseBuilder::new()
                .description("A problem")
                .content(PROBLEM_JSON, ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build())
                .build();
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
        }
    }
    serde_json::to_vec(&document).map(|text| Document(text.into()))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, patch, delete, .. } = item;
    [get, put, post, patch, delete].into_iter().filter_map(Option::as_mut)
}

fn parameters_of(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    // Inserted at the front one by one, so the last one first.
    path.split('/').rev().filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn described(parameter: &str) -> &'static str {
    match parameter {
        "tenant" => "The tenant's name",
        "function" => "The function's name",
        "rule" => "The rule's name",
        "alias" => "The alias' name; `live` is the one that events run",
        "version" => "The version's number",
        "webhook" => "The webhook's name",
        "layer" => "The layer's name",
        "secret" => "The secret's name",
        "queue" => "The queue's name",
        _ => "The id",
    }
}
