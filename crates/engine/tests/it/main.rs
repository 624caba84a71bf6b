//! The engine over the in-memory store and a scripted sandbox. Time is the runtime's paused clock wherever nothing
//! goes over a socket.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod cordon;
mod delivery;
mod egress;
mod explain;
mod harness;
mod invoke;
mod named_queue;
mod package;
mod path;
mod rollout;
mod secret;
mod simulation;
mod stop;
mod trace;
