//! Who is calling, and what that lets them reach.
//!
//! A handler cannot forget to ask: the engine is private to this module, and the only ways to it are these extractors,
//! each of which has checked the key before the handler runs:
//! - [`Operator`]: an operator key; a tenant's key is 403;
//! - [`TenantScope`]: the tenant named in the path, for the operator or for that tenant itself; for anyone else, and
//!   where there is no such tenant, 404;
//! - [`TenantAdmin`]: the tenant named in the path, for the operator alone; the tenant itself is 403, another 404;
//! - [`Caller`]: any key, where what is shown depends on whose it is;
//! - [`Open`]: no key. It reaches numbers about this node and nothing of anyone's.
//!
//! Within its reach a key does what its role allows (`role`); that is looked at last, so that a 403 tells of nothing that
//! a 404 would hide. No key and an unknown key are 401, before anything else about the request is looked at.

mod admit;
mod bucket;
mod extract;
mod gate;
mod role;
mod secret;
mod state;
mod upkeep;

pub(crate) use admit::{Admitted, admit};
pub(crate) use extract::{Caller, Open, Operator, TenantAdmin, TenantScope};
pub use gate::Failures;
pub use secret::{Secret, ensure_operator_key};
pub(crate) use secret::{hash_of, mint};
pub use state::{AppState, ServerConfig};
