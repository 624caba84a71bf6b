//! The egress gateway against servers and a resolver of our own.

mod address;
mod answer;
mod attempts;
mod limits;
mod redirects;
mod requests;
mod secrets;
mod server;
mod tls;
mod world;
