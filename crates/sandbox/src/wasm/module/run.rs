//! One attempt of a tenant's module: a fresh instance, its `_start`, and what its end means.

use bytes::Bytes;
use serde::de::IgnoredAny;
use sublet_model::{Outcome, limit, nests_deeper_than};
use wasmtime::{Engine, InstancePre, Linker, Module, Store, Trap};

use super::super::WasmError;
use super::super::count;
use super::super::runner::{FIRST_TICKS, NEXT_TICKS, RunEnd, Task};
use super::super::wasi::{Exit, Setting, Wasi};
use crate::Failure;

/// Why the variables that say what an attempt is about have this name.
const CONTEXT_VARIABLE: &str = "SUBLET_CONTEXT";

/// A module ready for attempts; cheap to clone.
#[derive(Clone)]
pub(in crate::wasm) struct LoadedModule {
    instance: InstancePre<Wasi>,
    /// It was compiled to count its instructions.
    counts: bool,
}

impl LoadedModule {
    pub(in crate::wasm) fn new(linker: &Linker<Wasi>, module: &Module) -> Result<LoadedModule, WasmError> {
        let counts = module.get_export(count::COUNTER).is_some();
        Ok(LoadedModule { instance: linker.instantiate_pre(module)?, counts })
    }

    pub(in crate::wasm) fn host(&self, task: &Task) -> Wasi {
        Wasi::new(Setting {
            stdin: task.event.clone(),
            arguments: vec![function_name(&task.context_json)],
            environment: variables(task),
            now_ms: task.now_ms,
            limits: task.limits,
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    function_name: String,
}

fn function_name(context_json: &[u8]) -> String {
    serde_json::from_slice::<Named>(context_json).map(|named| named.function_name).unwrap_or_default()
}

/// The function's own, in the order of their names, and the context as JSON.
fn variables(task: &Task) -> Vec<(String, String)> {
    let own = serde_json::from_slice::<std::collections::BTreeMap<String, String>>(&task.environment_json);
    let mut variables: Vec<(String, String)> = own.unwrap_or_default().into_iter().collect();
    if let Ok(context) = std::str::from_utf8(&task.context_json) {
        variables.push((CONTEXT_VARIABLE.to_owned(), context.to_owned()));
    }
    variables
}

pub(in crate::wasm) async fn attempt(engine: Engine, module: LoadedModule, wasi: Wasi, task: Task) -> RunEnd {
    let observed = wasi.observed.clone();
    let mut store = Store::new(&engine, wasi);
    store.limiter(|wasi| wasi);
    store.set_epoch_deadline(FIRST_TICKS);
    store.epoch_deadline_async_yield_and_update(NEXT_TICKS);
    let called = call(&module, &mut store).await;
    if let Some(counter) = store.data().counter {
        observed.count_instructions(counter.get(&mut store).i64());
    }
    let ending = ending(called, store.data_mut(), &task);
    RunEnd::of(&observed, ending)
}

/// A start function runs here too, under the same limits.
async fn call(module: &LoadedModule, store: &mut Store<Wasi>) -> wasmtime::Result<()> {
    let instance = module.instance.instantiate_async(&mut *store).await?;
    if module.counts
        && let Some(counter) = count::counter(store, &instance)
    {
        store.data_mut().counter = Some(counter);
        count::follow(store, counter, store.data().observed.clone());
    }
    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
    start.call_async(&mut *store, ()).await
}

fn ending(called: wasmtime::Result<()>, wasi: &mut Wasi, task: &Task) -> Result<Bytes, (Outcome, Failure)> {
    let last_line = wasi.stderr.finish();
    let Err(error) = called else { return result(wasi, task) };
    let said = |what: String| if last_line.is_empty() { what } else { format!("{what}: {last_line}") };
    match (error.downcast_ref::<Exit>(), error.downcast_ref::<Trap>()) {
        (Some(Exit(0)), _) => result(wasi, task),
        _ if wasi.was_denied_memory() => {
            let most = task.limits.memory_bytes;
            failed(Outcome::OutOfMemory, "Runtime.OutOfMemory", format!("more than {most} bytes of memory"))
        }
        (Some(Exit(code)), _) => failed(Outcome::Failed, "Wasm.Exit", said(format!("exit code {code}"))),
        // A panic of Rust's and an abort of C's are traps: the program's own failure, unlike one of our engine's.
        (None, Some(trap)) => failed(Outcome::Failed, "Wasm.Trap", said(trap.to_string())),
        (None, None) => failed(Outcome::Crashed, "Runtime.Crashed", "the environment broke off".to_owned()),
    }
}

/// Standard output is the result: one JSON text, or nothing.
fn result(wasi: &mut Wasi, task: &Task) -> Result<Bytes, (Outcome, Failure)> {
    let refused = |kind: &str, why: String| failed(Outcome::Failed, kind, why);
    let written = match wasi.stdout.take() {
        Ok(written) => written,
        Err(bytes) => {
            let most = task.limits.result_bytes;
            return refused("Runtime.ResultTooLarge", format!("standard output has {bytes} bytes, {most} are allowed"));
        }
    };
    let text = written.trim_ascii();
    if text.is_empty() {
        return Ok(Bytes::from_static(b"null"));
    }
    match serde_json::from_slice::<IgnoredAny>(text) {
        // The server would take it for a lie of a worker that was taken over.
        Ok(_) if nests_deeper_than(text, limit::JSON_DEPTH_MAX) => refused(
            "Runtime.ResultTooDeep",
            format!("standard output nests deeper than {} levels of JSON", limit::JSON_DEPTH_MAX),
        ),
        Ok(_) if std::str::from_utf8(text).is_ok() => Ok(Bytes::copy_from_slice(text)),
        Ok(_) => refused("Wasm.ResultNotJson", "standard output is not UTF-8".to_owned()),
        Err(error) => refused("Wasm.ResultNotJson", format!("standard output is not one JSON text: {error}")),
    }
}

fn failed(outcome: Outcome, error_type: &str, mut error_message: String) -> Result<Bytes, (Outcome, Failure)> {
    error_message.truncate(error_message.floor_char_boundary(limit::ERROR_TEXT_BYTES_MAX));
    Err((outcome, Failure { error_type: error_type.into(), error_message, stack_trace: Vec::new() }))
}
