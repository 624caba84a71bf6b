//! Tenants' secrets: sealed in the store, opened for one attempt, taken out of whatever that attempt leaves behind.
//!
//! Invariants:
//! - a value is at rest only as `seal` made it, bound to its tenant, its function, its name and its hosts;
//! - opened, it is a [`SecretValue`], which shows itself to no formatter and is wiped when it is dropped;
//! - what a function's attempt reports goes through `redact` before anything else sees it.

mod form;
mod keep;
mod key;
mod redact;
mod seal;
mod unseal;
mod value;

pub use keep::Resealed;
pub use key::{Keyring, MasterKey};
pub(crate) use unseal::OpenSecrets;
pub use value::SecretValue;
