//! How the model's values look in the OpenAPI document. The model does not know HTTP, so it cannot describe itself;
//! these are never built, and the tests hold each to what the model's own type serialises to.

#![allow(dead_code, reason = "schemas are described, never built")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// When a failed attempt is tried again: exponential backoff of which the upper half is random.
#[derive(ToSchema)]
#[schema(as = RetryPolicy, example = json!({"attempts": 3, "age": "1d", "backoff": "1s", "backoff_max": "5m"}))]
pub(crate) struct RetryPolicySchema {
    /// Attempts in all, 1 to 185.
    pub(crate) attempts: Option<u32>,
    /// Age after which it is not started again, at most `7d`.
    pub(crate) age: Option<String>,
    /// Before the first retry.
    pub(crate) backoff: Option<String>,
    /// Never longer than this between two attempts.
    pub(crate) backoff_max: Option<String>,
}

/// What a target gets instead of the event, as EventBridge's input transformers: exactly one of `input_path`, `template`
/// and `input`. EventBridge's own keys (`InputPath`, `InputPathsMap`, `InputTemplate`, `Input`) are read as well.
#[derive(ToSchema)]
#[schema(as = InputTransformer, example = json!({
    "input_paths": {"title": "$.detail.title"}, "template": "{\"text\": \"new: <title>\"}"
}))]
pub(crate) struct InputTransformerSchema {
    /// The part of the event that this path leads to.
    pub(crate) input_path: Option<String>,
    /// The template's variables: a path each, at most 100.
    pub(crate) input_paths: Option<BTreeMap<String, String>>,
    /// JSON, or text, with `<variable>`; at most 8192 characters.
    pub(crate) template: Option<String>,
    /// The same JSON for every event.
    pub(crate) input: Option<serde_json::Value>,
}

/// Where a function's result events go besides: exactly one of these, or the bare name of a webhook. Webhooks and queues
/// are the operator's to set.
#[derive(ToSchema)]
#[schema(as = Destination, example = json!({"function": "notify"}))]
pub(crate) struct DestinationSchema {
    pub(crate) webhook: Option<String>,
    pub(crate) queue: Option<String>,
    /// Another function of the same tenant.
    pub(crate) function: Option<String>,
}

/// Shorthand for rules on this function's result events.
#[derive(ToSchema)]
#[schema(as = Destinations)]
pub(crate) struct DestinationsSchema {
    pub(crate) on_success: Option<DestinationSchema>,
    pub(crate) on_failure: Option<DestinationSchema>,
}

/// Where dead letters are put besides: a named queue. The operator's to set.
#[derive(ToSchema)]
#[schema(as = DeadLetterTarget, example = json!({"queue": "lost"}))]
pub(crate) struct DeadLetterSchema {
    pub(crate) queue: String,
}

/// What a variable holds when an attempt runs.
#[derive(ToSchema)]
#[schema(as = SecretUse, example = json!({"secret": "stripe", "hosts": ["api.stripe.com"]}))]
pub(crate) struct SecretUseSchema {
    /// The function's secret of that name, else its tenant's.
    pub(crate) secret: String,
    /// Left out: the variable holds the value. Given: it holds a placeholder, which the egress gateway replaces by the
    /// value in what goes to these hosts and nowhere else.
    pub(crate) hosts: Option<Vec<String>>,
}

/// What a function is; frozen into every version.
#[derive(ToSchema)]
#[schema(as = FunctionConfig, example = json!({
    "runtime": "javascript", "handler": "index.handler", "timeout": "3s", "memory": "128MiB",
    "environment": {"GREETING": "hello"}, "layers": ["helpers"]
}))]
pub(crate) struct FunctionConfigSchema {
    /// `javascript`, which is also what it is when left out, or `wasm`.
    pub(crate) runtime: Option<String>,
    /// `file.export`, as in Lambda; `index.handler` when left out. Of a `wasm` function in a zip with several modules: which.
    pub(crate) handler: Option<String>,
    /// Wall deadline of an attempt, `10ms` to `15m`; `3s` when left out.
    pub(crate) timeout: Option<String>,
    /// CPU time of an attempt; `1s` when left out.
    pub(crate) cpu: Option<String>,
    /// `16MiB` to `512MiB`; `128MiB` when left out.
    pub(crate) memory: Option<String>,
    /// `process.env`, 4 KiB in all.
    pub(crate) environment: Option<BTreeMap<String, String>>,
    /// Variables of `process.env` that hold secrets, by variable; at most 20.
    pub(crate) secrets: Option<BTreeMap<String, SecretUseSchema>>,
    /// The operator's layers, importable by name; the newest version of each at deploy time.
    pub(crate) layers: Option<Vec<String>>,
    #[schema(inline = false)]
    pub(crate) retry: Option<RetryPolicySchema>,
    pub(crate) destinations: Option<DestinationsSchema>,
    pub(crate) dead_letter: Option<DeadLetterSchema>,
    /// Where its code may send requests by `fetch`, as far as the tenant's own list allows it too; nowhere when left out.
    /// At most 64.
    pub(crate) egress: Option<Vec<EgressRuleSchema>>,
}

/// A place on the net that code may send requests to. Also written in short, as a text: `https://api.example.com/v1/`,
/// `*.example.com`, `GET,HEAD https://example.com`.
#[derive(ToSchema)]
#[schema(as = EgressRule, example = json!({
    "host": "api.example.com", "methods": ["GET", "POST"], "path": "/v1/"
}))]
pub(crate) struct EgressRuleSchema {
    /// `https`, which is also what it is when left out, or `http`.
    pub(crate) scheme: Option<String>,
    /// A name or an address, or `*.example.com` for every name below it. A tenant's own list may say `*`: any name.
    pub(crate) host: String,
    /// Exactly this one; the scheme's when left out.
    pub(crate) port: Option<u16>,
    /// Any when left out.
    pub(crate) methods: Option<Vec<String>>,
    /// `/v1` is that path and all below it, `/v1/` all below it; any when left out.
    pub(crate) path: Option<String>,
}

/// One request that code sent, or tried to send, by `fetch`.
#[derive(ToSchema)]
#[schema(as = Fetch, example = json!({
    "method": "GET", "url": "https://api.example.com/v1/items?page", "status": 200, "bytes_out": 180, "bytes_in": 912,
    "duration_us": 41250
}))]
pub(crate) struct FetchSchema {
    pub(crate) method: String,
    /// Without user name, fragment and the values of its query.
    pub(crate) url: String,
    pub(crate) status: Option<u16>,
    /// Why it was refused or failed, as the code was told.
    pub(crate) error: Option<String>,
    /// It was not sent, or not on to where a redirect led: a list, an address or a quota forbids it.
    pub(crate) refused: Option<bool>,
    /// Redirects that were followed.
    pub(crate) redirects: Option<u32>,
    /// Heads included.
    pub(crate) bytes_out: u64,
    pub(crate) bytes_in: u64,
    pub(crate) duration_us: u64,
}

/// What an attempt used: its ledger line.
#[derive(ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageSchema {
    /// Wall time in microseconds.
    pub(crate) wall_us: u64,
    /// CPU time in microseconds.
    pub(crate) cpu_us: u64,
    /// The most memory held.
    pub(crate) memory_peak_bytes: u64,
    /// The memory the function asked for: what GB-seconds are reckoned on.
    pub(crate) memory_limit_bytes: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Requests by `fetch`, refused ones among them.
    pub(crate) fetches: u64,
    /// Bytes of those requests and of their answers.
    pub(crate) egress_bytes: u64,
    /// WebAssembly instructions, where the call asked for them: the same for the same call on every machine.
    pub(crate) instructions: Option<u64>,
}

/// An event as functions and webhooks see it: EventBridge's envelope with `tenant` beside it.
#[derive(ToSchema)]
#[schema(as = Envelope, example = json!({
    "version": "0", "id": "order-17", "detail-type": "todo.created", "source": "todo", "account": "000000000000",
    "time": "2026-01-31T09:30:00Z", "region": "local", "resources": [], "tenant": "acme", "detail": {"title": "buy milk"}
}))]
pub(crate) struct EnvelopeSchema {
    pub(crate) version: String,
    /// The publisher's id, or Sublet's `evt_…` where it gave none.
    pub(crate) id: String,
    #[schema(rename = "detail-type")]
    pub(crate) detail_type: String,
    pub(crate) source: String,
    pub(crate) account: String,
    pub(crate) time: String,
    pub(crate) region: String,
    pub(crate) resources: Vec<String>,
    pub(crate) tenant: String,
    /// Of an event that came as a CloudEvent: its further attributes, `subject` or `datacontenttype` among them.
    #[schema(value_type = Option<Object>)]
    pub(crate) cloudevents: Option<()>,
    #[schema(value_type = Object)]
    pub(crate) detail: (),
}

/// An event to publish.
#[derive(ToSchema)]
#[schema(as = EventInput, example = json!({
    "id": "order-17", "source": "todo", "detail-type": "todo.created", "tenant": "acme", "detail": {"title": "buy milk"}
}))]
pub(crate) struct EventInputSchema {
    /// The publisher's own id. Repeated within 10 minutes with the same body, it changes nothing.
    pub(crate) id: Option<String>,
    /// 1 to 256 characters; `sublet` is reserved.
    pub(crate) source: String,
    #[schema(rename = "detail-type")]
    pub(crate) detail_type: String,
    /// When it happened; the time it came when left out.
    pub(crate) time: Option<String>,
    /// The tenant's name.
    pub(crate) tenant: String,
    pub(crate) resources: Option<Vec<String>>,
    /// A JSON object.
    #[schema(value_type = Object)]
    pub(crate) detail: (),
}

/// One field that was in the way of a match.
#[derive(ToSchema)]
#[schema(as = Mismatch, example = json!({
    "path": "detail.state", "operator": "prefix", "expected": "\"run\"", "actual": "\"stopped\""
}))]
pub(crate) struct MismatchSchema {
    /// Keys joined by dots.
    pub(crate) path: String,
    /// As the pattern spells it; `exact` for plain values.
    pub(crate) operator: String,
    pub(crate) expected: String,
    pub(crate) actual: String,
}

/// One try of a delivery.
#[derive(ToSchema)]
#[schema(as = DeliveryAttempt)]
pub(crate) struct DeliveryAttemptSchema {
    pub(crate) at: String,
    /// HTTP status, when there was an answer.
    pub(crate) status: Option<u16>,
    /// Why it failed.
    pub(crate) error: Option<String>,
    pub(crate) latency_ms: u64,
    /// The start of the answer's body, at most 1 KiB.
    pub(crate) response: Option<String>,
}

/// All that became of an event, with reasons. To a tenant, its own part.
#[derive(ToSchema)]
#[schema(as = Explanation)]
pub(crate) struct ExplanationSchema {
    /// `evt_…`
    pub(crate) id: String,
    /// `matched`, `unmatched` or `rejected`.
    pub(crate) status: String,
    /// Why it was rejected: `unknown_tenant`, `suspended_tenant` or `loop`.
    pub(crate) reason: Option<String>,
    pub(crate) accepted: String,
    /// How many events begot it.
    pub(crate) depth: u8,
    /// Left out once it was erased with its tenant.
    pub(crate) event: Option<EnvelopeSchema>,
    /// Those that matched first.
    pub(crate) rules: Vec<RuleExplainedSchema>,
    /// Rules beyond the most that are shown.
    pub(crate) rules_left_out: Option<u64>,
    pub(crate) invocations: Vec<InvocationExplainedSchema>,
    pub(crate) deliveries: Vec<DeliveryExplainedSchema>,
    pub(crate) messages: Vec<MessageExplainedSchema>,
}

/// A rule that matched, or why it did not.
#[derive(ToSchema)]
#[schema(as = RuleExplained)]
pub(crate) struct RuleExplainedSchema {
    /// `operator` or `tenant`.
    pub(crate) owner: String,
    /// `rul_…`; left out where a tenant looks at the operator's rule.
    pub(crate) rule: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) matched: bool,
    /// The rule was changed or deleted after the event, or made after it.
    pub(crate) changed_since: bool,
    pub(crate) targets: Option<Vec<TargetExplainedSchema>>,
    pub(crate) reasons: Option<Vec<MismatchSchema>>,
    pub(crate) note: Option<String>,
}

/// What a target became: one of `invocation`, `delivery`, `message`, `unmatched`.
#[derive(ToSchema)]
#[schema(as = TargetExplained)]
pub(crate) struct TargetExplainedSchema {
    /// `tenant enrich`, `function acme/enrich`, `webhook crm`.
    pub(crate) target: String,
    /// It got what the rule's transformer made of the event.
    pub(crate) transformed: Option<bool>,
    /// `inv_…`
    pub(crate) invocation: Option<String>,
    /// `dlv_…`
    pub(crate) delivery: Option<String>,
    /// `msg_…`
    pub(crate) message: Option<String>,
    /// `no_function`, `no_webhook`, `no_queue`, `queue_full`, `input_too_large` or `input_too_deep`.
    pub(crate) unmatched: Option<String>,
}

#[derive(ToSchema)]
#[schema(as = InvocationExplained)]
pub(crate) struct InvocationExplainedSchema {
    pub(crate) id: String,
    /// The function's name; its id once it was deleted.
    pub(crate) function: String,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) due: Option<String>,
    pub(crate) ended: Option<String>,
    pub(crate) attempts: Vec<AttemptExplainedSchema>,
}

#[derive(ToSchema)]
#[schema(as = AttemptExplained)]
pub(crate) struct AttemptExplainedSchema {
    pub(crate) number: u32,
    pub(crate) version: u32,
    pub(crate) outcome: String,
    pub(crate) started: String,
    pub(crate) ended: String,
    /// From the acceptance, or the end of the attempt before, until it started.
    pub(crate) waited_ms: u64,
    pub(crate) usage: UsageSchema,
    pub(crate) failure: Option<crate::problem::FailureBody>,
    pub(crate) fetches: Option<Vec<FetchSchema>>,
}

#[derive(ToSchema)]
#[schema(as = DeliveryExplained)]
pub(crate) struct DeliveryExplainedSchema {
    pub(crate) id: String,
    pub(crate) webhook: String,
    pub(crate) state: String,
    pub(crate) due: Option<String>,
    pub(crate) attempts: Vec<DeliveryAttemptSchema>,
}

#[derive(ToSchema)]
#[schema(as = MessageExplained)]
pub(crate) struct MessageExplainedSchema {
    /// `msg_…`
    pub(crate) id: String,
    pub(crate) queue: String,
    /// `waiting`, `in_flight`, `acked`, `dead`, `expired` or `erased`.
    pub(crate) state: String,
    pub(crate) due: Option<String>,
    pub(crate) receives: u32,
    pub(crate) ended: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use sublet_model::{EgressRule, FunctionConfig, RetryPolicy, Usage};
    use sublet_sandbox::egress::FetchRecord;

    use super::*;

    fn described<T: ToSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let mut keys: Vec<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    }

    fn written(value: impl serde::Serialize) -> Vec<String> {
        let Value::Object(fields) = serde_json::to_value(value).unwrap() else { panic!("not an object") };
        let mut keys: Vec<String> = fields.keys().cloned().collect();
        keys.sort();
        keys
    }

    #[test]
    fn what_is_described_is_what_the_model_writes() {
        assert_eq!(described::<RetryPolicySchema>(), written(RetryPolicy::default()));
        assert_eq!(described::<FunctionConfigSchema>(), written(FunctionConfig::default()));
        assert_eq!(described::<DestinationsSchema>(), written(FunctionConfig::default().destinations));
        assert_eq!(described::<UsageSchema>(), written(Usage { instructions: Some(1), ..Usage::default() }));
        let rule = r#"{"host": "a.test", "port": 8443, "methods": ["GET"], "path": "/"}"#;
        assert_eq!(described::<EgressRuleSchema>(), written(serde_json::from_str::<EgressRule>(rule).unwrap()));
        let fetch = FetchRecord {
            method: "GET".to_owned(),
            url: "https://a.test/".to_owned(),
            status: Some(200),
            error: Some("fetch failed".to_owned()),
            refused: true,
            redirects: 1,
            bytes_out: 0,
            bytes_in: 0,
            duration_us: 0,
        };
        assert_eq!(described::<FetchSchema>(), written(fetch));
        let attempt = sublet_store::DeliveryAttempt {
            at: sublet_model::Timestamp::ZERO,
            status: None,
            error: None,
            latency_ms: 0,
            response: None,
        };
        assert_eq!(described::<DeliveryAttemptSchema>(), written(attempt));
    }

    #[test]
    fn an_envelope_is_described_as_it_is_written() {
        let input: sublet_model::EventInput =
            serde_json::from_str(r#"{"source": "s", "detail-type": "d", "tenant": "t", "detail": {}}"#).unwrap();
        let cloudevents = serde_json::value::to_raw_value(&serde_json::json!({"specversion": "1.0"})).ok();
        let input = sublet_model::EventInput { cloudevents, ..input };
        let envelope = sublet_model::Envelope::of(input, "evt", sublet_model::Timestamp::ZERO);
        assert_eq!(described::<EnvelopeSchema>(), written(envelope));
    }
}
