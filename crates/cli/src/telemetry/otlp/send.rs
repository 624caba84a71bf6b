//! Requests to the collector: tried again a few times as OTLP says, then given up. One that fails is said once in the
//! log, and once more when it is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use metrics::{Counter, counter};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;
use reqwest::{Client, StatusCode, Url, redirect};
use sublet_engine::Span;

use super::setting::Setting;
use super::span;

/// Wall time of one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Requests for one batch, and the pause before the second; each further one is twice as long.
const TRIES_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Sender {
    client: Client,
    setting: Setting,
    sent: Counter,
    failed: Counter,
    is_failing: AtomicBool,
}

impl Sender {
    pub(super) fn new(setting: &Setting) -> Result<Sender> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("sublet/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Sender {
            client,
            setting: setting.clone(),
            sent: counter!("sublet_telemetry_exports_total", "result" => "sent"),
            failed: counter!("sublet_telemetry_exports_total", "result" => "failed"),
            is_failing: AtomicBool::new(false),
        })
    }

    /// Whether the collector took them.
    pub(super) async fn spans(&self, spans: impl Iterator<Item = Span>) -> bool {
        let scope_spans =
            ScopeSpans { scope: Some(scope()), spans: spans.map(span::data_of).collect(), ..Default::default() };
        let resource_spans =
            ResourceSpans { resource: Some(self.resource()), scope_spans: vec![scope_spans], ..Default::default() };
        let request = ExportTraceServiceRequest { resource_spans: vec![resource_spans] };
        self.send(&self.setting.traces, request.encode_to_vec()).await
    }

    pub(super) async fn metrics(&self, metrics: Vec<Metric>) -> bool {
        let scope_metrics = ScopeMetrics { scope: Some(scope()), metrics, ..Default::default() };
        let resource_metrics = ResourceMetrics {
            resource: Some(self.resource()),
            scope_metrics: vec![scope_metrics],
            ..Default::default()
        };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] };
        self.send(&self.setting.metrics, request.encode_to_vec()).await
    }

    fn resource(&self) -> Resource {
        let attributes = vec![
            attribute("service.name", Value::StringValue(self.setting.service_name.clone())),
            attribute("service.version", Value::StringValue(env!("CARGO_PKG_VERSION").to_owned())),
            attribute("process.pid", Value::IntValue(i64::from(std::process::id()))),
        ];
        Resource { attributes, ..Default::default() }
    }

    async fn send(&self, url: &Url, body: Vec<u8>) -> bool {
        // Cheap to clone for another try.
        let body = bytes::Bytes::from(body);
        let mut pause = PAUSE;
        for turn in 1.. {
            let failure = match self.try_send(url, body.clone()).await {
                Ok(status) if status.is_success() => {
                    self.sent.increment(1);
                    if self.is_failing.swap(false, Ordering::Relaxed) {
                        tracing::info!("the collector takes telemetry again");
                    }
                    return true;
                }
                // Those that OTLP calls worth another try.
                Ok(status) if matches!(status.as_u16(), 429 | 502..=504) => format!("answered {status}"),
                Ok(status) => {
                    self.give_up(&format!("answered {status}"));
                    return false;
                }
                // Without the URL, which may hold a token.
                Err(error) => error.without_url().to_string(),
            };
            if turn >= TRIES_MAX {
                self.give_up(&failure);
                return false;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        false
    }

    fn give_up(&self, failure: &str) {
        self.failed.increment(1);
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::warn!("the collector at {} does not take telemetry: {failure}", self.setting.shown_endpoint());
        }
    }

    async fn try_send(&self, url: &Url, body: bytes::Bytes) -> reqwest::Result<StatusCode> {
        let mut request = self.client.post(url.clone()).header("content-type", "application/x-protobuf").body(body);
        for (name, value) in &self.setting.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await?;
        Ok(answer.status())
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "sublet".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    }
}

pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}
