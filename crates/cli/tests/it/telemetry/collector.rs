//! A collector: takes OTLP over http/protobuf, and the product's webhook beside it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::metric;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::scene::DEADLINE;

#[derive(Debug, Default, Clone)]
pub(super) struct Taken {
    pub(super) spans: Vec<Span>,
    pub(super) resources: Vec<Resource>,
    pub(super) metrics: Vec<ExportMetricsServiceRequest>,
    /// Of exports and of the webhook's requests.
    pub(super) headers: Vec<HeaderMap>,
    pub(super) hooks: Vec<HeaderMap>,
}

impl Taken {
    pub(super) fn span(&self, name: &str) -> Option<&Span> {
        self.spans.iter().find(|span| span.name == name)
    }

    /// The newest sum of this name whose label has this value.
    pub(super) fn sum(&self, name: &str, label: &str) -> Option<f64> {
        let request = self.metrics.last()?;
        let all = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
        let Some(metric::Data::Sum(sum)) = &all.into_iter().find(|metric| metric.name == name)?.data else {
            return None;
        };
        let has_label = |point: &&opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
            let texts = point.attributes.iter().filter_map(|attribute| text(attribute.value.as_ref()?.value.as_ref()?));
            texts.into_iter().any(|text| text == label)
        };
        match sum.data_points.iter().find(has_label)?.value? {
            Number::AsDouble(value) => Some(value),
            Number::AsInt(value) => Some(value as f64),
        }
    }
}

fn text(value: &any_value::Value) -> Option<&str> {
    match value {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The text of a span's attribute.
pub(super) fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key)?;
    text(attribute.value.as_ref()?.value.as_ref()?)
}

pub(super) struct Collector {
    pub(super) address: SocketAddr,
    taken: watch::Receiver<Taken>,
}

type Shared = State<Arc<watch::Sender<Taken>>>;

impl Collector {
    pub(super) async fn start() -> Result<Collector> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, taken) = watch::channel(Taken::default());
        let app = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .route("/hook", post(hook))
            .with_state(Arc::new(sender));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Collector { address, taken })
    }

    /// What has come, once it is enough.
    pub(super) async fn until(&self, enough: impl FnMut(&Taken) -> bool) -> Result<Taken> {
        let mut taken = self.taken.clone();
        let found = tokio::time::timeout(DEADLINE, taken.wait_for(enough)).await;
        let found = found.with_context(|| format!("what should have come did not: {:?}", self.taken.borrow().spans))?;
        Ok(found?.clone())
    }
}

async fn traces(State(taken): Shared, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    taken.send_modify(|taken| {
        taken.headers.push(headers);
        for part in request.resource_spans {
            taken.resources.extend(part.resource);
            taken.spans.extend(part.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    });
    StatusCode::OK
}

async fn metrics(State(taken): Shared, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Ok(request) = ExportMetricsServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    taken.send_modify(|taken| {
        taken.headers.push(headers);
        taken.metrics.push(request);
    });
    StatusCode::OK
}

async fn hook(State(taken): Shared, headers: HeaderMap) -> StatusCode {
    taken.send_modify(|taken| taken.hooks.push(headers));
    StatusCode::NO_CONTENT
}
