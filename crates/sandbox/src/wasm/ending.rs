//! What a call's end means: from the guest's last word, or its lack, to an outcome.

use bytes::Bytes;
use sublet_model::{Outcome, limit, nests_deeper_than};
use wasmtime::Trap;

use super::host::Finish;
use crate::Failure;

/// The result's JSON text, or the outcome and its failure.
pub(super) type Ending = Result<Bytes, (Outcome, Failure)>;

/// `finish` is the guest's word, `trap` how its call broke off, if it did; `memory_denied` tells that it asked for more
/// memory than it may have at some time.
pub(super) fn classify(
    finish: Option<Finish>,
    trap: Option<&wasmtime::Error>,
    memory_denied: bool,
    memory_bytes: u64,
    result_bytes: usize,
) -> Ending {
    let out_of_memory =
        || failed_as(Outcome::OutOfMemory, "Runtime.OutOfMemory", format!("more than {memory_bytes} bytes of memory"));
    if let Some(error) = trap {
        return match error.downcast_ref::<Trap>() {
            _ if memory_denied => out_of_memory(),
            Some(Trap::StackOverflow) => failed("RangeError", "Maximum call stack size exceeded".into()),
            _ => failed_as(Outcome::Crashed, "Runtime.Crashed", "the environment broke off".into()),
        };
    }
    match finish {
        Some(Finish::Result(text)) if nests_deeper_than(&text, limit::JSON_DEPTH_MAX) => failed(
            "Runtime.ResultTooDeep",
            format!("the handler's result nests deeper than {} levels of JSON", limit::JSON_DEPTH_MAX),
        ),
        Some(Finish::Result(text)) => Ok(text),
        Some(Finish::ResultTooLarge(bytes)) => failed(
            "Runtime.ResultTooLarge",
            format!("the handler's result has {bytes} bytes of JSON, {result_bytes} are allowed"),
        ),
        // Without memory, settling a promise fails too.
        Some(Finish::NeverSettled | Finish::Indescribable) | None if memory_denied => out_of_memory(),
        Some(Finish::NeverSettled) => failed("Runtime.PromiseNeverSettled", "handler's promise never settled".into()),
        Some(Finish::Failure(text)) => match serde_json::from_slice::<Failure>(&text) {
            Ok(failure) if memory_denied && is_out_of_memory(&failure) => out_of_memory()
                .map_err(|(outcome, told)| (outcome, Failure { stack_trace: failure.stack_trace, ..told })),
            Ok(failure) => Err((Outcome::Failed, bounded(failure))),
            Err(_) => failed("Error", "the error cannot be described".into()),
        },
        Some(Finish::Indescribable) | None => failed("Error", "the error cannot be described".into()),
    }
}

fn failed(error_type: &str, error_message: String) -> Ending {
    failed_as(Outcome::Failed, error_type, error_message)
}

fn failed_as(outcome: Outcome, error_type: &str, error_message: String) -> Ending {
    Err((outcome, Failure { error_type: error_type.into(), error_message, stack_trace: Vec::new() }))
}

/// QuickJS's own error (at deploy time a place stands before the message; of a regular expression it makes a syntax error;
/// nobody may have listened to the promise that it rejected), or the `null` that it throws when there is no room for an error
/// object.
fn is_out_of_memory(failure: &Failure) -> bool {
    let told = failure.error_message.as_str();
    match failure.error_type.as_str() {
        "InternalError" => told.ends_with("out of memory"),
        "SyntaxError" => told == "out of memory" || told.ends_with(": out of memory"),
        "Runtime.UnhandledPromiseRejection" => told.ends_with("InternalError: out of memory"),
        "object" => told == "null",
        _ => false,
    }
}

/// Message and stack within their maximum.
fn bounded(mut failure: Failure) -> Failure {
    cut(&mut failure.error_type, limit::ERROR_TYPE_BYTES_MAX);
    cut(&mut failure.error_message, limit::ERROR_TEXT_BYTES_MAX);
    let mut room = limit::ERROR_TEXT_BYTES_MAX;
    failure.stack_trace.retain(|frame| {
        let fits = frame.len() <= room;
        room = if fits { room - frame.len() } else { 0 };
        fits
    });
    failure
}

fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
    }
}
