//! The worker process of this crate's own tests and benchmarks: as `sublet __sandbox`, but an event may ask for native
//! code in place of an attempt (see [`escape`]). Never shipped.

mod escape;

use std::process::ExitCode;

use sublet_sandbox::worker::{Hooks, main_with};

fn main() -> ExitCode {
    main_with(std::env::args_os().skip(1), Hooks { play: Some(escape::play) })
}
