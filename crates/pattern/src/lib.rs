//! Does this event match? The whole EventBridge pattern language, and many patterns compiled into one matcher.
//!
//! [`Pattern::parse`] checks and compiles one pattern; [`EventView`] is an event flattened once and matched against many;
//! [`Pattern::explain`] says why it did not match; [`RuleSet`] finds, among many patterns, those that match.
//! This crate knows nothing of rules, tenants, storage or transport: text in, yes or no and reasons out.
//!
//! Meaning, where the language leaves room:
//! - A path is the keys joined by dots, so the key `"a.b"` and the key `"b"` inside `"a"` are the same place.
//! - Only scalars exist: an object, an empty object and an empty array are nothing to `exists`.
//! - Fields that go through the same array must be satisfied in the same element of it (see `matching`).
//! - A key that is repeated in one object counts with its last value, in patterns and events alike, as it does for the
//!   function that receives the event.
//!
//! What transforms events later reads them through [`EventView::scalars_at`].

mod cidr;
mod error;
mod event;
mod explain;
mod flatten;
mod fold;
mod index;
pub mod limit;
mod matching;
mod number;
mod operator;
mod parse;
mod path;
mod pattern;
mod rule_set;
mod scalar;
mod test;
mod wildcard;

pub use error::{EventError, PatternError};
pub use event::EventView;
pub use explain::{Explanation, Mismatch};
pub use number::Number;
pub use pattern::Pattern;
pub use rule_set::RuleSet;
pub use scalar::Scalar;
