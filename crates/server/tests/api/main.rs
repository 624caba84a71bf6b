//! The API as its callers meet it: the real server on a free port, over the in-memory store and a scripted sandbox.
//! Every answer is held against the OpenAPI document as it passes.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are not themselves marked as tests")]

mod administering;
mod audit;
mod authorisation;
mod delivering;
mod deploying;
mod document;
mod egress;
mod harness;
mod key;
mod patterns;
mod problem;
mod publishing;
mod queue;
mod sandbox;
mod secret;
mod shutdown;
mod stopping;
mod tls;
mod transforming;
mod ways_in;
