//! Not in yet.
