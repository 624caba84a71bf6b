//! The native HTTP API over an [`Engine`](sublet_engine::Engine): design.md's "The outside", as axum handlers whose
//! descriptions are the OpenAPI document.
//!
//! It knows no backend of the store and no jail. One family of endpoints is one file, with its shapes and errors; what
//! all have in common is beside them: `auth` (who may reach what), `audit` (who changed what),
//! `origin` and `visit` (where a request came from), `body` and `param` (what comes in), `answer` and
//! `problem` (what goes out), `edge` (what happens to every request), `router` (the table of routes), [`serve`].
//!
//! Invariants:
//! - a handler reaches the engine only through an extractor of `auth`, which has checked the key;
//! - every body has a maximum of bytes, of nesting and of seconds;
//! - everything that is refused is an RFC 9457 problem that names its field, and holds no text of ours;
//! - the routes and the OpenAPI document are the same table.

mod alias;
mod answer;
mod audit;
mod auth;
mod body;
mod dead_letter;
mod delivery;
mod edge;
mod event;
mod function;
mod health;
mod idempotency;
mod invocation;
mod invoke;
mod key;
mod layer;
mod metric;
mod openapi;
mod origin;
mod param;
mod pattern;
mod problem;
mod publish;
mod queue;
mod rollout;
mod router;
mod rule;
mod schema;
mod secret;
mod serve;
mod stop;
mod stream;
mod tenant;
mod tls;
mod trace;
mod usage;
mod version;
mod visit;
mod webhook;

pub use auth::{AppState, Failures, Secret, ServerConfig, ensure_operator_key};
pub use metric::{install_metrics, render_metrics};
pub use origin::Network;
pub use serve::{serve, serve_metrics};
pub use tls::{Reload, Tls, TlsFiles};
