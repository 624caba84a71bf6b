//! What must be true of every parser whatever it is handed: one body each, called by `tests/seeded.rs` with mutated
//! seeds and by libFuzzer (`targets/`). A body panics when a promise is broken; refusing is never wrong.

mod bodies;
mod seeds;

pub use bodies::{
    binary_cloudevent, cloudevents_batch, content_decoding, content_type, event_view, module_graph, names_and_units,
    native_event, pattern, rule, structured_cloudevent, transformer,
};

/// A parser's body, and what mutation starts from.
pub struct Target {
    pub name: &'static str,
    pub body: fn(&[u8]),
    pub seeds: &'static [&'static [u8]],
}

/// Every parser.
pub const TARGETS: &[Target] = &[
    Target { name: "native_event", body: native_event, seeds: seeds::EVENTS },
    Target { name: "structured_cloudevent", body: structured_cloudevent, seeds: seeds::CLOUDEVENTS },
    Target { name: "cloudevents_batch", body: cloudevents_batch, seeds: seeds::CLOUDEVENTS },
    Target { name: "binary_cloudevent", body: binary_cloudevent, seeds: seeds::HEADERS },
    Target { name: "content_type", body: content_type, seeds: seeds::CONTENT_TYPES },
    Target { name: "content_decoding", body: content_decoding, seeds: seeds::PACKED },
    Target { name: "pattern", body: pattern, seeds: seeds::PATTERNS },
    Target { name: "event_view", body: event_view, seeds: seeds::EVENTS },
    Target { name: "transformer", body: transformer, seeds: seeds::TRANSFORMERS },
    Target { name: "rule", body: rule, seeds: seeds::RULES },
    Target { name: "names_and_units", body: names_and_units, seeds: seeds::NAMES },
    Target { name: "module_graph", body: module_graph, seeds: seeds::MODULES },
];
