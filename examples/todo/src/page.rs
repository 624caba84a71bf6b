//! The product's own HTTP: the page, its items, the live news, and the webhook's receiver.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Json, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_stream::wrappers::BroadcastStream;

use crate::item::{ItemState, Items};
use crate::sublet::Client;
use crate::webhook::Secret;

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) items: Arc<Items>,
    pub(crate) sublet: Arc<Client>,
    pub(crate) secret: Arc<Secret>,
    /// Becomes true when the process ends.
    pub(crate) ending: watch::Receiver<bool>,
}

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/api/{tenant}/items", get(items).post(add))
        .route("/api/{tenant}/usage", get(usage))
        .route("/api/live", get(live))
        .route("/hooks/sublet", post(hook))
        .with_state(app)
}

fn refusal(status: StatusCode, why: impl std::fmt::Display) -> Response {
    (status, Json(json!({"error": why.to_string()}))).into_response()
}

async fn items(State(app): State<App>, Path(tenant): Path<String>) -> Response {
    Json(app.items.of(&tenant)).into_response()
}

#[derive(Deserialize)]
struct NewItem {
    title: String,
    /// The browser's or client's time, RFC 3339.
    created: String,
}

async fn add(State(app): State<App>, Path(tenant): Path<String>, Json(new): Json<NewItem>) -> Response {
    let item = match app.items.add(&tenant, &new.title) {
        Ok(item) => item,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, error),
    };
    match app.sublet.publish(&item, &new.created).await {
        Ok(()) => (StatusCode::CREATED, Json(item)).into_response(),
        // The item is kept: a product does not lose its own data because an extension cannot run now.
        Err(error) => refusal(StatusCode::BAD_GATEWAY, format!("{error:#}")),
    }
}

async fn usage(State(app): State<App>, Path(tenant): Path<String>) -> Response {
    match app.sublet.usage(&tenant).await {
        Ok(usage) => Json(usage).into_response(),
        Err(error) => refusal(StatusCode::BAD_GATEWAY, format!("{error:#}")),
    }
}

async fn live(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut ending = app.ending;
    let end = async move {
        // An error means that `main` is gone: that is the end too.
        let _ = ending.wait_for(|ends| *ends).await;
    };
    let news = BroadcastStream::new(app.items.follow()).take_until(Box::pin(end)).map(|item| {
        let event = Event::default();
        Ok(match item {
            Ok(item) => event.json_data(&item).unwrap_or_else(|_| Event::default().comment("unreadable item")),
            Err(_) => event.event("reload").data("missed some changes"),
        })
    });
    Sse::new(news).keep_alive(KeepAlive::default())
}

/// A result event of Sublet: `detail` names the request's id and carries the result or the error.
async fn hook(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(error) = app.secret.verify(&headers, &body) {
        return refusal(StatusCode::UNAUTHORIZED, error);
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else {
        return refusal(StatusCode::BAD_REQUEST, "not JSON");
    };
    let (tenant, detail) = (event["tenant"].as_str().unwrap_or_default(), &event["detail"]);
    let id = detail["event"].as_str().unwrap_or_default();
    let (state, extra) = match event["detail-type"].as_str() {
        Some("Invocation Succeeded") => (ItemState::Enriched, detail["result"].clone()),
        _ => (ItemState::Failed, detail["error"].clone()),
    };
    match app.items.settle(tenant, id, state, extra) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
    }
}
