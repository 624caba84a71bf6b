//! The words for attempts that the sandbox itself ended, the same whether the worker or the server says them.

use std::time::Duration;

use crate::Failure;

fn failure(error_type: &str, error_message: String) -> Failure {
    Failure { error_type: error_type.to_owned(), error_message, stack_trace: Vec::new() }
}

/// As Lambda says it.
pub(crate) fn timed_out(wall: Duration) -> Failure {
    failure("Sandbox.Timedout", format!("Task timed out after {:.2} seconds", wall.as_secs_f64()))
}

pub(crate) fn cpu_used_up(cpu: Duration) -> Failure {
    failure("Sandbox.CpuLimit", format!("CPU limit of {} ms used up", cpu.as_millis()))
}

pub(crate) fn cancelled() -> Failure {
    failure("Sandbox.Cancelled", "The attempt was cancelled".to_owned())
}

pub(crate) fn crashed() -> Failure {
    failure("Sandbox.Crashed", "The environment ended while the code was running".to_owned())
}

/// While a package's top level was evaluated.
pub(crate) fn build_timed_out(timeout: Duration) -> Failure {
    let seconds = timeout.as_secs_f64();
    failure("Sandbox.Timedout", format!("Top-level code timed out after {seconds:.2} seconds"))
}

pub(crate) fn build_crashed() -> Failure {
    failure("Sandbox.Crashed", "The environment ended while the package was read and its top-level code run".to_owned())
}

pub(crate) fn compile_timed_out(timeout: Duration) -> Failure {
    let seconds = timeout.as_secs_f64();
    failure("Sandbox.Timedout", format!("The module took longer than {seconds:.0} seconds to compile"))
}

pub(crate) fn compile_crashed() -> Failure {
    let why = "The compiler broke off: the module needs more memory to compile than there is, or is made to break it";
    failure("Sandbox.Crashed", why.to_owned())
}

pub(crate) fn machine_code_too_large(bytes: usize, most: usize) -> Failure {
    let (held, most) = (bytes >> 20, most >> 20);
    failure("Sandbox.CodeTooLarge", format!("The module compiles to {held} MiB of machine code, of at most {most} MiB"))
}

pub(crate) fn snapshot_too_large(bytes: usize, most: usize) -> Failure {
    let (held, most) = (bytes >> 20, most >> 20);
    failure("Sandbox.SnapshotTooLarge", format!("Top-level code leaves {held} MiB in memory, of at most {most} MiB"))
}
