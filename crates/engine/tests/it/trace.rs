//! One trace from the publish to the webhook: contexts that go through, and the spans that are made of them.

use std::sync::{Arc, Mutex};

use sublet_engine::{Engine, EngineConfig, EngineParts, Span, SpanKind, SpanSink, Tracing};
use sublet_model::{Destinations, EventInput, FunctionConfig, Quota, SystemClock, TraceContext};
use sublet_sandbox::egress::Gateway;
use sublet_store::{Bus, EventStatus, MemoryStore, Page, Store};
use tokio::net::TcpListener;

use crate::delivery::{hook, receive};
use crate::harness::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const STATE: &str = "rojo=00f067aa0ba902b7";

fn remote() -> TraceContext {
    TraceContext::parse(PARENT, Some(STATE)).unwrap()
}

fn traced(input: EventInput, context: Option<TraceContext>) -> EventInput {
    EventInput { trace_context: context, ..input }
}

/// What each attempt was told of its trace, in order.
type Heard = Arc<Mutex<Vec<Option<String>>>>;

/// A sandbox that keeps what its attempts are told of their trace.
fn listening() -> (Arc<Scripted>, Heard) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let sandbox = Scripted::new(move |code, attempt| {
        hears.lock().unwrap().push(attempt.context.traceparent.clone());
        by_name(code, attempt)
    });
    (sandbox, heard)
}

/// The trace of the one result event.
async fn result_context(house: &House) -> Option<TraceContext> {
    loop {
        let events = house.store.events(None, Page::new(None, 10)).await.unwrap().items;
        if let Some(event) = events.iter().find(|event| event.depth == 1) {
            return event.trace_context.clone();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_telemetry_a_trace_goes_through_unchanged() {
    for context in [Some(remote()), None] {
        let (sandbox, heard) = listening();
        let house = House::with(sandbox, RuntimeClock::new()).await;
        let acme = house.tenant("acme", Quota::default()).await;
        house.function(&acme, "enrich", "ok").await;
        house.dispatch_rule().await;
        let receipt = house.publish(traced(event("acme", None, "{}"), context.clone())).await;
        assert_eq!(receipt.status, EventStatus::Matched);
        assert_eq!(result_context(&house).await, context);
        assert_eq!(*heard.lock().unwrap(), [context.as_ref().map(TraceContext::to_string)]);
        let kept = house.store.event(receipt.id).await.unwrap().unwrap();
        assert_eq!(kept.trace_context, context);
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_is_no_part_of_an_events_identity() {
    let house = House::new().await;
    house.tenant("acme", Quota::default()).await;
    let first = house.publish(traced(event("acme", Some("1"), "{}"), Some(remote()))).await;
    let again = house.publish(event("acme", Some("1"), "{}")).await;
    assert_eq!((again.id, again.repeated), (first.id, true));
}

#[derive(Default)]
struct Kept(Mutex<Vec<Span>>);

impl SpanSink for Kept {
    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

impl Kept {
    /// The one span of this name, once it is there.
    async fn find(&self, name: &str) -> Span {
        loop {
            if let Some(span) = self.0.lock().unwrap().iter().find(|span| span.name == name) {
                return span.clone();
            }
            tokio::task::yield_now().await;
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().iter().map(|span| span.name).collect()
    }
}

/// An engine over the house's parts that hands its spans to `kept`. With no slots it runs nothing.
async fn start_traced(house: &House, store: &Arc<MemoryStore>, kept: &Arc<Kept>, node: u16, slots: usize) -> Engine {
    let parts = EngineParts {
        store: Arc::clone(store) as Arc<dyn Store>,
        code: house.code.clone(),
        sandbox: Arc::clone(&house.sandbox) as _,
        gateway: Gateway::default(),
        clock: Arc::clone(&house.clock),
        random_seed: 77 + u64::from(node),
        keyring: keyring(),
        config: EngineConfig { node, slots_max: Some(slots), ..EngineConfig::default() },
    };
    Engine::start_traced(parts, Tracing::to(Arc::clone(kept) as Arc<dyn SpanSink>, 1.0)).await.unwrap()
}

#[tokio::test]
async fn publish_wait_attempt_and_delivery_are_one_trace_across_a_restart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (sandbox, heard) = listening();
    let house = House::with(sandbox, Arc::new(SystemClock)).await;
    let acme = house.tenant("acme", Quota::default()).await;
    let spec = hook(listener.local_addr().unwrap());
    house.engine.registry().put_webhook(&name("crm"), spec, None).await.unwrap();
    let destinations =
        Destinations { on_success: Some(sublet_model::Destination::Webhook(name("crm"))), on_failure: None };
    house.configured(&acme, "enrich", "ok", FunctionConfig { destinations, ..Default::default() }).await;
    house.dispatch_rule().await;

    // Published at an engine that runs nothing, and run by the next one.
    let kept = Arc::new(Kept::default());
    let first = start_traced(&house, &house.store, &kept, 1, 0).await;
    let (context, span) = first.begin_trace(Some(remote()));
    first.publish(vec![traced(event("acme", None, "{}"), context)]).await.unwrap().remove(0).unwrap();
    first.end_span(span.unwrap(), "publish", Vec::new(), None);
    assert_eq!(kept.names(), ["dispatch", "store.publish", "publish"]);
    drop(first);
    let _second = start_traced(&house, &house.store.reopen(), &kept, 2, 16).await;
    let request = receive(&listener, "204 No Content").await;

    let publish = kept.find("publish").await;
    assert_eq!((publish.parent, publish.is_parent_remote), (Some(remote().span_id()), true));
    let attempt = kept.find("attempt").await;
    let delivery = kept.find("deliver").await;
    kept.find("settle").await;
    for (child, parent) in [
        ("dispatch", &publish),
        ("store.publish", &publish),
        ("dwell", &publish),
        ("attempt", &publish),
        ("settle", &attempt),
        ("deliver", &attempt),
    ] {
        let child = kept.find(child).await;
        assert_eq!((child.parent, child.is_parent_remote), (Some(parent.context.span_id()), false), "{child:?}");
        assert_eq!(child.context.trace_id(), remote().trace_id(), "{child:?}");
        assert!(child.start_ns <= child.end_ns && child.error.is_none(), "{child:?}");
    }
    assert_eq!((attempt.kind, delivery.kind), (SpanKind::Consumer, SpanKind::Client));
    assert_eq!(*heard.lock().unwrap(), [Some(attempt.context.to_string())]);
    assert_eq!(request.header("traceparent"), delivery.context.to_string());
    assert_eq!(request.header("tracestate"), STATE);
    assert_eq!(kept.names().len(), 7, "{:?}", kept.names());
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_does_not_record_is_not_recorded_here() {
    let house = House::new().await;
    let kept = Arc::new(Kept::default());
    let unsampled = TraceContext::parse(&PARENT.replace("-01", "-00"), None);
    assert!(unsampled.is_some());
    let engine = start_traced(&house, &house.store, &kept, 1, 16).await;
    let (context, span) = engine.begin_trace(unsampled.clone());
    assert!(span.is_none());
    assert_eq!(context, unsampled, "it goes through all the same");
    engine.publish(vec![traced(event("acme", None, "{}"), context)]).await.unwrap().remove(0).unwrap();
    assert_eq!(kept.names(), [""; 0]);
    // A trace that begins here is recorded by the ratio, which is all of them.
    let (context, span) = engine.begin_trace(None);
    assert!(span.is_some() && context.is_some_and(|context| context.is_sampled()));
}
