//! The crate from outside: published cases, tables of our own, and properties.

mod conformance;
mod event;
mod explain;
mod matching;
mod properties;
mod refusal;
mod rule_set;
