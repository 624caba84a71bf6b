//! Traces and metrics to an OpenTelemetry collector: OTLP, http/protobuf.
//!
//! Not the SDK's pipeline: spans come with explicit parents and times from the engine, metrics are what `/metrics`
//! shows, and both leave through one bounded queue each, so that a collector that is down or slow costs spans, which are
//! counted, and nothing else. Off unless an endpoint is set; then the engine makes no spans at all.

mod metric;
mod send;
mod setting;
mod span;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use metrics::{Counter, counter};
use sublet_engine::{Span, SpanSink, Tracing};
use sublet_model::{Clock, SystemClock};
use sublet_server::AppState;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub(crate) use setting::Setting;

use self::send::Sender;

/// Spans that wait to be sent; further ones are dropped and counted. Each is about half a KiB.
const SPANS_WAITING_MAX: usize = 8_192;
/// Spans of one request.
const BATCH_SPANS_MAX: usize = 512;
/// How long a span waits for others to leave with.
const LINGER: Duration = Duration::from_secs(1);
/// How long what waits may take to leave when the server ends.
pub(crate) const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// A running exporter.
pub(crate) struct Exporter {
    queue: Arc<Queue>,
    sender: Arc<Sender>,
    setting: Setting,
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

/// The engine's end.
struct Queue {
    spans: mpsc::Sender<Span>,
    dropped: Counter,
}

impl SpanSink for Queue {
    fn record(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.dropped.increment(1);
        }
    }
}

impl Exporter {
    /// Begins to send spans; metrics follow with [`Exporter::watch`]. The recorder of metrics must be installed.
    pub(crate) fn start(setting: Setting) -> Result<Exporter> {
        let sender = Arc::new(Sender::new(&setting)?);
        let (spans, received) = mpsc::channel(SPANS_WAITING_MAX);
        let dropped = counter!("sublet_telemetry_spans_total", "result" => "dropped");
        let (stop, stopped) = watch::channel(false);
        let export = export_spans(received, Arc::clone(&sender), stopped, dropped.clone());
        let tasks = vec![tokio::spawn(export)];
        tracing::info!(otlp.endpoint = %setting.shown_endpoint(), "traces and metrics go to {}", setting.shown_endpoint());
        Ok(Exporter { queue: Arc::new(Queue { spans, dropped }), sender, setting, tasks, stop })
    }

    pub(crate) fn tracing(&self) -> Tracing {
        Tracing::to(Arc::clone(&self.queue) as Arc<dyn SpanSink>, self.setting.sample_ratio)
    }

    /// Sends the metrics of this server at every interval.
    pub(crate) fn watch(&mut self, state: AppState) {
        let (sender, every) = (Arc::clone(&self.sender), self.setting.metrics_interval);
        let mut stopped = self.stop.subscribe();
        let began_ns = SystemClock.now_ns();
        self.tasks.push(tokio::spawn(async move {
            loop {
                let is_last = tokio::time::timeout(every, stopped.wait_for(|stopped| *stopped)).await.is_ok();
                let text = sublet_server::render_metrics(&state);
                sender.metrics(metric::data_of(&text, began_ns, SystemClock.now_ns())).await;
                if is_last {
                    return;
                }
            }
        }));
    }

    /// Sends what waits, up to a deadline.
    pub(crate) async fn finish(self) {
        self.stop.send_replace(true);
        let aborts: Vec<_> = self.tasks.iter().map(JoinHandle::abort_handle).collect();
        let all = async {
            for task in self.tasks {
                // A task that panicked has said so.
                let _ = task.await;
            }
        };
        if tokio::time::timeout(FLUSH_WITHIN, all).await.is_err() {
            tracing::warn!("the collector did not take what was left within {} s", FLUSH_WITHIN.as_secs());
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }
}

/// Gathers spans and sends them, until it is stopped and the queue is empty.
async fn export_spans(
    mut received: mpsc::Receiver<Span>,
    sender: Arc<Sender>,
    mut stopped: watch::Receiver<bool>,
    dropped: Counter,
) {
    let sent = counter!("sublet_telemetry_spans_total", "result" => "sent");
    let mut batch: Vec<Span> = Vec::with_capacity(BATCH_SPANS_MAX);
    loop {
        let is_stopped = *stopped.borrow();
        if is_stopped {
            // Takes nothing more in, and what is there comes out.
            received.close();
        }
        tokio::select! {
            biased;
            count = received.recv_many(&mut batch, BATCH_SPANS_MAX) => {
                if count == 0 {
                    return;
                }
            }
            _ = stopped.wait_for(|stopped| *stopped), if !is_stopped => continue,
        }
        let linger = tokio::time::sleep(LINGER);
        tokio::pin!(linger);
        while batch.len() < BATCH_SPANS_MAX && !*stopped.borrow() {
            let room = BATCH_SPANS_MAX - batch.len();
            tokio::select! {
                biased;
                count = received.recv_many(&mut batch, room) => if count == 0 { break },
                () = &mut linger => break,
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
        let count = batch.len() as u64;
        if sender.spans(batch.drain(..)).await { sent.increment(count) } else { dropped.increment(count) }
    }
}
