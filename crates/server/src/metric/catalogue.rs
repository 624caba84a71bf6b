//! Every metric there is: its kind, its labels with all their values, its meaning. docs/metrics.md is this table for
//! people, and a test holds the two together; another holds `/metrics` of a real server to them.
//!
//! A label's values are words of ours and few: what a tenant or a caller chooses is never one.

use metrics::{Key, KeyName, Label, Level, Metadata, SharedString};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug)]
pub(crate) enum Values {
    /// All of them.
    Words(&'static [&'static str]),
    /// Only where they occur; what they are stands in their place.
    Some(#[cfg_attr(not(test), allow(dead_code, reason = "for the document"))] &'static str),
}

#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [(&'static str, Values)],
    pub(crate) help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [(&'static str, Values)], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels: &[], help }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels: &[], help }
}

const OUTCOMES: Values = Values::Words(&["Succeeded", "Failed", "TimedOut", "OutOfMemory", "Crashed", "Cancelled"]);
const ROUTES: Values = Values::Some("a path of the API with its placeholders, or `none`");

pub(crate) const CATALOGUE: &[Metric] = &[
    // Coming in.
    counter(
        "sublet_http_requests_total",
        &[
            ("method", Values::Some("an HTTP method, or `other`")),
            ("route", ROUTES),
            ("status", Values::Some("1xx to 5xx")),
        ],
        "requests answered",
    ),
    Metric {
        name: "sublet_http_request_seconds",
        kind: Kind::Histogram,
        labels: &[("route", ROUTES)],
        help: "from a request's head to its answer's",
    },
    counter(
        "sublet_auth_failures_total",
        &[("status", Values::Words(&["401", "403"]))],
        "requests refused for their key: none or unknown, or not enough",
    ),
    counter(
        "sublet_throttled_total",
        &[("reason", Values::Words(&["key", "backlog", "invoke"]))],
        "requests refused for their key's rate, events and invokes for their tenant's quota",
    ),
    counter(
        "sublet_events_total",
        &[("status", Values::Words(&["matched", "unmatched", "rejected", "repeated", "refused"]))],
        "events published; repeated and refused ones wrote nothing",
    ),
    histogram("sublet_publish_seconds", "a publish within the engine: matching, dispatch and the commit"),
    // The queue.
    gauge("sublet_invocations_waiting", "invocations that wait, delayed ones among them"),
    gauge("sublet_invocations_delayed", "of those, the ones that are not due yet"),
    gauge("sublet_tenants_active", "tenants with something waiting or in flight"),
    histogram("sublet_dwell_seconds", "from due until an attempt starts"),
    counter(
        "sublet_invocations_ended_total",
        &[("state", Values::Words(&["DeadLettered", "Expired", "Cancelled"]))],
        "invocations that ended at their turn without an attempt",
    ),
    counter("sublet_dead_letters_total", &[], "invocations that became dead letters"),
    // Attempts.
    gauge("sublet_slots", "attempts that may run at once"),
    gauge("sublet_attempts_in_flight", "attempts that run"),
    counter("sublet_attempts_total", &[("outcome", OUTCOMES)], "attempts that ended, synchronous invokes apart"),
    counter("sublet_invokes_total", &[("outcome", OUTCOMES)], "synchronous invokes that ended"),
    histogram("sublet_attempt_wall_seconds", "wall time of an attempt or invoke in its worker"),
    histogram("sublet_attempt_cpu_seconds", "CPU time of an attempt or invoke in its worker"),
    counter("sublet_attempts_rescued_total", &[], "attempts given back because their lease ran out"),
    counter("sublet_settles_refused_total", &[], "attempts whose end the store did not take"),
    counter(
        "sublet_functions_quarantined_total",
        &[("cause", Values::Words(&["crashes", "timeouts"]))],
        "functions quarantined for crashing alone or for running into their limits",
    ),
    counter(
        "sublet_tenants_moved_total",
        &[],
        "tenants moved to worker processes of their own for what their code did",
    ),
    counter("sublet_stops_total", &[("of", Values::Words(&["function", "tenant"]))], "stops by the kill switch"),
    counter("sublet_versions_total", &[], "versions deployed"),
    counter(
        "sublet_rollout_steps_total",
        &[("outcome", Values::Words(&["made", "failed", "passed_over"]))],
        "functions that a layer's rollout came to",
    ),
    counter("sublet_layers_taken_back_total", &[], "versions of layers that were rolled back"),
    // Workers.
    gauge("sublet_workers", "worker processes ready for attempts"),
    gauge("sublet_workers_dedicated", "worker processes of one tenant's own"),
    counter(
        "sublet_worker_starts_total",
        &[("result", Values::Words(&["ready", "failed"]))],
        "worker processes started",
    ),
    counter("sublet_worker_faults_total", &[], "worker processes that died or broke the protocol"),
    // Tenants' own requests.
    counter(
        "sublet_egress_requests_total",
        &[("outcome", Values::Words(&["answered", "refused", "failed", "given_up"]))],
        "requests by tenants' code; refused ones were not sent, those given up were aborted or their attempt ended",
    ),
    counter(
        "sublet_egress_bytes_total",
        &[("direction", Values::Words(&["out", "in"]))],
        "bytes of tenants' requests and of the answers to them, heads included",
    ),
    gauge("sublet_egress_in_flight", "requests by tenants' code that are under way or wait for their turn"),
    histogram("sublet_egress_seconds", "a request by tenants' code that was not refused, to the end of its answer"),
    // Going out.
    counter("sublet_results_total", &[], "result events published"),
    gauge("sublet_outbox_waiting", "settled results whose result event is not yet published"),
    counter(
        "sublet_deliveries_total",
        &[("outcome", Values::Words(&["delivered", "retried", "failed", "dropped"]))],
        "tries of deliveries",
    ),
    histogram("sublet_delivery_seconds", "a try of a delivery, from its request to its answer"),
    gauge("sublet_deliveries_waiting", "deliveries that wait for a try"),
    gauge("sublet_deliveries_in_flight", "tries that run"),
    counter(
        "sublet_webhooks_disabled_total",
        &[],
        "webhooks switched off because their receiver said so or failed for days",
    ),
    gauge("sublet_stream_readers", "open readers of the live stream"),
    counter("sublet_messages_received_total", &[], "messages handed out from named queues"),
    counter("sublet_messages_acked_total", &[], "messages acknowledged"),
    counter("sublet_messages_refused_total", &[], "messages that a full named queue did not take"),
    counter(
        "sublet_messages_lost_total",
        &[("how", Values::Words(&["dead", "expired"]))],
        "messages that ran out of receives or of time",
    ),
    // The store.
    histogram("sublet_store_commit_seconds", "a commit of the store, its writes and the flush to disk"),
    histogram("sublet_store_batch_commands", "commands of one commit"),
    histogram("sublet_store_checkpoint_seconds", "bringing the write-ahead log into the database"),
    histogram("sublet_ledger_flush_seconds", "a commit that also wrote a slice of the ledger's sums"),
    gauge("sublet_store_log_bytes", "length of the write-ahead log's file, which is never shortened"),
    gauge("sublet_disk_free_bytes", "room left on the data folder's file system"),
    gauge("sublet_disk_reserve_bytes", "publishing is refused while there is less room than this"),
    // TLS.
    gauge("sublet_tls_certificate_expiry_timestamp_seconds", "when the certificate ends, since 1970; NaN without TLS"),
    counter("sublet_tls_handshake_failures_total", &[], "connections whose TLS handshake failed"),
    // The node.
    gauge("sublet_shards", "shards this node owns"),
    gauge("sublet_draining", "1 while the node ends and starts nothing more"),
    gauge("sublet_uptime_seconds", "since the process began to count"),
    Metric {
        name: "sublet_build_info",
        kind: Kind::Gauge,
        labels: &[("version", Values::Some("the program's version"))],
        help: "always 1",
    },
    // Telemetry itself.
    counter(
        "sublet_telemetry_spans_total",
        &[("result", Values::Words(&["sent", "dropped"]))],
        "spans handed to the collector, and spans dropped because it is down or slow",
    ),
    counter(
        "sublet_telemetry_exports_total",
        &[("result", Values::Words(&["sent", "failed"]))],
        "requests to the collector",
    ),
    // The process, under the names that Prometheus' clients use.
    gauge("process_cpu_seconds_total", "CPU time of the server itself, its workers apart"),
    gauge("process_resident_memory_bytes", "memory in use"),
    gauge("process_virtual_memory_bytes", "memory mapped"),
    gauge("process_open_fds", "open file descriptors"),
    gauge("process_max_fds", "most file descriptors it may have"),
    gauge("process_threads", "threads"),
    gauge("process_start_time_seconds", "when it started, since 1970"),
];

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// Tells the recorder what there is, and begins everything with 0 whose labels are known.
pub(super) fn describe() {
    metrics::with_recorder(|recorder| {
        for metric in CATALOGUE {
            let name = KeyName::from_const_str(metric.name);
            let help = SharedString::const_str(metric.help);
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram => recorder.describe_histogram(name, None, help),
            }
            for key in metric.known_keys() {
                match metric.kind {
                    Kind::Counter => recorder.register_counter(&key, &METADATA).increment(0),
                    Kind::Gauge => recorder.register_gauge(&key, &METADATA).increment(0.0),
                    Kind::Histogram => drop(recorder.register_histogram(&key, &METADATA)),
                }
            }
        }
    });
}

impl Metric {
    fn known_keys(&self) -> Vec<Key> {
        match self.labels {
            [] => vec![Key::from_static_name(self.name)],
            [(label, Values::Words(words))] => {
                words.iter().map(|word| Key::from_parts(self.name, vec![Label::new(*label, *word)])).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of the document.
    fn row(metric: &Metric) -> String {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|(label, values)| match values {
                Values::Words(words) => format!("`{label}`: {}", words.join(", ")),
                Values::Some(meaning) => format!("`{label}`: {meaning}"),
            })
            .collect();
        format!("| `{}` | {kind} | {} | {} |", metric.name, labels.join("; "), metric.help)
    }

    #[test]
    fn the_document_lists_exactly_the_catalogue() {
        let document = include_str!("../../../../docs/metrics.md");
        let written: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();
        let rows: Vec<String> = CATALOGUE.iter().map(row).collect();
        assert_eq!(written, rows, "docs/metrics.md should have these rows:\n{}", rows.join("\n"));
    }

    #[test]
    fn names_say_their_unit_and_kind() {
        for metric in CATALOGUE {
            let is_total = metric.name.ends_with("_total");
            // The one that Prometheus' clients call a counter is read from the kernel, not counted here.
            let is_read = metric.name == "process_cpu_seconds_total";
            assert_eq!(is_total, metric.kind == Kind::Counter || is_read, "{}", metric.name);
            let has_unit = ["_seconds", "_commands", "_bytes"].iter().any(|unit| metric.name.ends_with(unit));
            assert!(metric.kind != Kind::Histogram || has_unit, "{}", metric.name);
        }
    }
}
