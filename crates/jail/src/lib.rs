//! Confines one untrusted process. It knows nothing of the product: a [`Plan`] goes in, a [`Report`] comes out.
//!
//! A worker starts as a fresh program with one thread and closes the doors from the outside inwards, because each door
//! needs something that the next one takes away:
//!
//! 1. [`begin`], first thing in `main`: own session, death signal, all descriptors closed but the plan's. Nothing of
//!    the server is left in hand.
//! 2. The worker opens what has a path. For wasmtime that is the engine with its pool, which holds on to
//!    `/proc/self/pagemap`: behind the next door there is no `/proc`, and without that file every reset of an instance is
//!    slower, silently. Still no threads: users, namespaces and Landlock belong to threads.
//! 3. [`Begun::enter`], the outer layers: out-of-memory score (needs `/proc`), user namespace (gives the right to
//!    make the others), mount, network, IPC, host name and cgroup namespaces, empty root, then the identity of nobody and
//!    no capability (nothing above could be built without them, nothing must undo it), limits (counted within the user
//!    namespace), no new privileges (the ticket for Landlock and seccomp without privilege), not dumpable (closes
//!    `/proc/self`), death signal again (a change of user disarms it), Landlock.
//! 4. The worker starts threads and timers, which inherit all that.
//! 5. [`Entered::seal`]: the system call filter for all threads at once. Last, since building the rest needs the very
//!    calls that it refuses.
//!
//! Layers are [required](Need::Required) (what an unprivileged process in an ordinary container can always set on
//! itself) or [optional](Need::Optional), on top where the kernel allows. The jail fails closed: a required layer that is
//! missing is an error with its name and the errno, and the process must exit. An optional one that is missing is in the
//! report with its reason. [`probe`] makes the same report without changing the caller.
//!
//! What the caller must know:
//! - The death signal comes when the *thread* that spawned the worker ends. Spawn workers from a thread that lives as
//!   long as the server, never from a pool that lets idle threads go.
//! - Give the worker pipes, not files, as standard streams: the file size limit counts a log file too.
//! - An open descriptor passes every layer but the filter. What is in [`Plan::keep`] is the worker's power.
//! - The memory ceiling bounds what an honest allocator takes; native code that has taken the worker over can hide pages
//!   from it. Watch [`resident_bytes`] from outside and kill. A cgroup is the layer to come for that: the server enters the
//!   worker into it before it runs, so that it will be a [`Layer`] and a field of [`Plan`], but no step here.
//!
//! To find the system call that a profile lacks: [`install_sigsys_reporter`] and [`Action::Trap`].

mod domain;
mod enter;
mod error;
mod filter;
mod hostile;
mod identity;
mod layer;
mod ledger;
mod limit;
mod namespace;
mod open_file;
mod plan;
mod probe;
mod process;
mod sigsys;
mod worker;

pub use enter::{Begun, Entered, Sealed, begin};
pub use error::Error;
pub use filter::{Action, Answer, Check, Is, Profile, Row};
pub use hostile::{HostileCall, Outside, Refused, Victim, hostile_calls};
pub use layer::{Layer, LayerReport, Need, Report, Status};
pub use limit::resident_bytes;
pub use open_file::answer_status_of_open_files;
pub use plan::{Limits, NOBODY, Plan};
pub use probe::probe;
pub use sigsys::install_sigsys_reporter;
pub use worker::{MEMORY_FILES, NEW_THREADS};
