//! The jail from outside and from inside. Each case is a fresh process: this program again, started with a role (see
//! `child`) and a standing: as root, as an ordinary user, and as either in a container that forbids namespaces.
//! Nothing is skipped: where this kernel lacks a layer, the case holds the report to saying so.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, but not marked as such")]

mod child;
mod hostile;
mod inside;
mod outside;
mod standing;
