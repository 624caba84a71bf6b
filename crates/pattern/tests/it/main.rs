//! The crate from outside: published cases, tables of our own, and properties.

// Helpers of tests are tests too; clippy's own exception knows only the functions marked as such.
#![allow(clippy::unwrap_used)]

mod conformance;
mod event;
mod explain;
mod matching;
mod properties;
mod refusal;
mod rule_set;
