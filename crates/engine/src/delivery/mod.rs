//! Carrying events out to webhooks.

pub mod address;
pub mod signature;
