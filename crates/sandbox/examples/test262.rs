//! A sample of test262 (github.com/tc39/test262) on the runtime as tenants have it and on the bare engine, in one run: what
//! only the first fails is our doing, what both fail is the engine's or this harness's.
//!
//! `cargo run --release -p sublet-sandbox --example test262 -- DIR [every]`: DIR is a checkout; every 10th file is run unless
//! said otherwise. Each file runs as one script by indirect eval, in a fresh environment.

#![allow(clippy::disallowed_methods, reason = "a tool that ticks and waits, not a test")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use sublet_sandbox::wasm::{Initializer, LoadedImage, Runner, Task, compile_engine, compile_engine_with, seal_image};
use sublet_sandbox::{BuildRequest, ImageKind, Limits, SourceFile};

/// As little as the engine needs around a handler.
const BARE: &str = include_str!("../benches/bare.js");
/// `null` if the script did what it should.
const HANDLER: &str = r#"exports.handler = async ({ script, isAsync, negative }) => {
    // Some scripts leave rejections that nobody is to listen to; the bare engine tells nobody of them.
    globalThis.process?.on("unhandledRejection", () => {});
    let tell;
    const told = new Promise((resolve) => { tell = resolve; });
    globalThis.print = (text) => tell(String(text));
    globalThis.$262 = { global: globalThis, gc() {}, evalScript: (text) => (0, eval)(text) };
    try {
        (0, eval)(script);
    } catch (error) {
        const name = error?.constructor?.name;
        return negative === name ? null : `${name}: ${error?.message}`;
    }
    if (negative !== null) return `no ${negative}`;
    if (!isAsync) return null;
    const text = await told;
    return text === "Test262:AsyncTestComplete" ? null : text;
};"#;
const FOLDERS: [&str; 3] = ["test/language", "test/built-ins", "test/annexB"];
const EVERY_DEFAULT: usize = 10;
/// Failures of one area that it takes to be named.
const AREA_COUNT_MIN: usize = 3;
const SPAN_MAX: Duration = Duration::from_secs(5);

struct Stage {
    runner: Runner,
    image: LoadedImage,
}

impl Stage {
    fn new(prelude: Option<&'static str>) -> Result<Stage> {
        let code = prelude.map_or_else(compile_engine, compile_engine_with)?;
        // SAFETY: compiled just above, and nobody else has the files.
        let (initializer, runner) = unsafe {
            let initializer = Initializer::new(&code.run, memory_file(&code.start)?)?;
            (initializer, Runner::new(&code.run, memory_file(&code.base.module)?, 1)?)
        };
        let file = SourceFile { path: "index.js".into(), content: HANDLER.into() };
        let request = BuildRequest {
            files: vec![file],
            layers: Vec::new(),
            handler: ("index".into(), "handler".into()),
            environment: BTreeMap::new(),
            secret_names: Vec::new(),
            memory_bytes: 256 << 20,
            timeout: SPAN_MAX,
        };
        let Ok(raw) = initializer.evaluate(&request) else { bail!("the handler does not build") };
        let sealed = memory_file(&seal_image(&raw, &code.base)?)?;
        // SAFETY: sealed just above.
        let image = unsafe { runner.load_image(sealed, ImageKind::Snapshot) }?;
        Ok(Stage { runner, image })
    }

    /// `None` if the script did what it should.
    fn run(&self, event: &Value) -> Option<String> {
        let limits = Limits {
            wall: SPAN_MAX,
            cpu: SPAN_MAX,
            memory_bytes: 256 << 20,
            result_bytes: 1 << 16,
            log_bytes: 1 << 12,
        };
        let task = Task {
            event: event.to_string().into(),
            context_json: "{}".into(),
            environment_json: bytes::Bytes::new(),
            limits,
            seed: 1,
            now_ms: 0,
        };
        let begun = Instant::now();
        let mut running = self.runner.start(&self.image, task);
        while begun.elapsed() < SPAN_MAX {
            if let Poll::Ready(end) = running.poll(&mut Context::from_waker(Waker::noop())) {
                let result = end.result.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
                return match result {
                    Some(Value::Null) => None,
                    Some(said) => Some(said.as_str().unwrap_or("?").to_owned()),
                    None => Some(end.failure.map_or_else(String::new, |failure| failure.error_message)),
                };
            }
            if running.wake_at().is_some() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Some("it does not end".to_owned())
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("say where a checkout of test262 is")?);
    let every = arguments.next().map_or(Ok(EVERY_DEFAULT), |text| text.parse())?;
    let stages = [Stage::new(None)?, Stage::new(Some(BARE))?];
    for stage in &stages {
        let ticks = stage.runner.epoch_handle();
        // Ends with the process.
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(20));
                ticks.increment();
            }
        });
    }
    let mut files = Vec::new();
    for part in FOLDERS {
        collect(&folder.join(part), &mut files)?;
    }
    files.sort();
    let (mut ran, mut skipped, mut engines, mut ours) = (0, 0, BTreeMap::<String, usize>::new(), Vec::new());
    for path in files.iter().step_by(every) {
        let Some(event) = event(&folder, path)? else {
            skipped += 1;
            continue;
        };
        ran += 1;
        match (stages[0].run(&event), stages[1].run(&event)) {
            (Some(_), Some(_)) => *engines.entry(area(path.strip_prefix(&folder)?)).or_default() += 1,
            (Some(why), None) => ours.push((path, why)),
            (None, _) => {}
        }
    }
    for (path, why) in &ours {
        println!("{}: {}", path.strip_prefix(&folder)?.display(), why.lines().next().unwrap_or_default());
    }
    for (area, count) in engines.iter().filter(|(_, count)| **count >= AREA_COUNT_MIN) {
        println!("{count} on the bare engine too: {area}");
    }
    let engines: usize = engines.values().sum();
    println!(
        "{ran} of {} files ran (modules and {skipped} others did not): {} passed, {engines} fail on the bare engine too, {} on \
         this runtime alone",
        files.len(),
        ran - engines - ours.len(),
        ours.len()
    );
    Ok(())
}

/// `test/built-ins/Temporal`.
fn area(path: &Path) -> String {
    path.iter().take(3).map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            collect(&path, files)?;
        } else if name.ends_with(".js") && !name.contains("_FIXTURE") {
            files.push(path);
        }
    }
    Ok(())
}

/// The script with what it includes; none for what cannot run as one script.
fn event(folder: &Path, path: &Path) -> Result<Option<Value>> {
    let source = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
    let front =
        source.split_once("/*---").and_then(|(_, rest)| rest.split_once("---*/")).map_or("", |(front, _)| front);
    let list = |key: &str| -> Vec<&str> {
        let line = front.lines().find_map(|line| line.trim().strip_prefix(key));
        let inner = line.and_then(|line| line.trim().strip_prefix('[')?.strip_suffix(']'));
        inner.map_or_else(Vec::new, |inner| inner.split(',').map(str::trim).collect())
    };
    let flags = list("flags:");
    let has = |flag: &str| flags.contains(&flag);
    if has("module") || has("CanBlockIsTrue") || front.contains("resolution") {
        return Ok(None);
    }
    let negative = front
        .split_once("negative:")
        .and_then(|(_, rest)| rest.lines().find_map(|line| line.trim().strip_prefix("type:")).map(str::trim));
    let mut script = String::new();
    if has("onlyStrict") {
        script.push_str("\"use strict\";\n");
    }
    if !has("raw") {
        let mut includes = vec!["assert.js", "sta.js", "doneprintHandle.js"];
        includes.extend(list("includes:"));
        for include in includes {
            script.push_str(&std::fs::read_to_string(folder.join("harness").join(include))?);
            script.push('\n');
        }
    }
    script.push_str(&source);
    Ok(Some(json!({"script": script, "isAsync": has("async"), "negative": negative})))
}

fn memory_file(bytes: &[u8]) -> Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file)
}
