//! What tests and benchmarks of several crates share: the real program as a child process on a free port, ended with
//! the test, and just enough HTTP to talk to it.
//!
//! Nothing here knows the product's types: what a test says and sees is the JSON that a customer would. Nothing waits
//! by sleeping: a start is over when the program says so, and everything that is awaited has a deadline.

mod http;
mod installed;
mod need;
mod server;
mod stream;

pub use http::{Answer, Http};
pub use installed::{installed, root};
pub use need::is_there;
pub use server::{Home, Server};
pub use stream::{Line, Stream};
