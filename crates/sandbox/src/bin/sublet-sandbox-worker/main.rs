//! The worker process of this crate's own tests and benchmarks: as `sublet __sandbox`, but an event may ask for native
//! code in place of an attempt (see `sublet_sandbox::attack`). Never shipped.

use std::ffi::OsString;
use std::process::ExitCode;

use serde_json::Value;
use sublet_sandbox::attack;

/// As first argument: leaves the system call filter out without saying so to anybody but the report.
const WITHOUT_FILTER: &str = "--without-filter";

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if args.first().is_some_and(|arg| arg == WITHOUT_FILTER) {
        args.remove(0);
        args = args.iter().map(without_filter).collect();
    }
    attack::worker_main(args.into_iter())
}

fn without_filter(orders: &OsString) -> OsString {
    let mut orders: Value = serde_json::from_str(&orders.to_string_lossy()).unwrap_or_default();
    orders["plan"]["leave_out"] = Value::from(vec!["system_calls"]);
    orders.to_string().into()
}
