//! Code that takes more than its share: of the stack, of memory, of time.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sublet_model::Outcome;
use sublet_sandbox::Failure;

use super::support::{Options, Ticker, build, failure, js, log, package, run, task};

const MEMORY_BYTES: u64 = 32 << 20;

#[test]
fn deep_recursion_is_a_range_error() {
    for code in [
        "const down = (n) => down(n + 1) + 1; export const handler = () => down(0);",
        "export const handler = () => { let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a; };",
        "export const handler = () => JSON.parse('['.repeat(1e6));",
        "export const handler = () => { const f = (a) => [1].map(() => f(a)).concat(`${a}`.replace(/1/g, () => f(a)));
            f(1); };",
        "export const handler = () => new RegExp('('.repeat(1e5) + ')'.repeat(1e5)).test('x');",
        "export const handler = () => eval('('.repeat(1e5));",
        "export const handler = () => { let s = {}; for (let i = 0; i < 1e5; i++) s = new Proxy(s, {}); return s.a; };",
        "export const handler = () => { const f = () => { new Proxy({}, { get: f }).a; }; f(); };",
    ] {
        let built = package(&[("index.mjs", code)]);
        let end = run(&built, "{}");
        assert_eq!(end.outcome, Outcome::Failed, "{code} {end:?}");
        let failure = failure(&end);
        let told = format!("{code}: {failure:?}");
        assert!(["RangeError", "Runtime.MarshalError", "SyntaxError"].contains(&&*failure.error_type), "{told}");
    }
}

#[test]
fn recursion_can_be_caught() {
    let built = package(&[(
        "index.mjs",
        "const down = (n) => { try { return down(n + 1); } catch (e) { return `${e.name} ${n > 100}`; } };
        export const handler = () => down(0);",
    )]);
    assert_eq!(js(&run(&built, "{}")), r#""RangeError true""#);
}

#[test]
fn an_allocation_bomb_is_out_of_memory() {
    for code in [
        "const all = []; for (;;) all.push(new Array(1000).fill(all.length));",
        "const all = []; for (;;) all.push('x'.repeat(1e6) + all.length);",
        "const all = []; for (;;) all.push(new Uint8Array(1 << 20));",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, {});",
        "let a = {}; for (;;) a = { a };",
    ] {
        let built = build(Options {
            files: &[("index.mjs", &format!("export const handler = () => {{ {code} }};"))],
            memory_bytes: MEMORY_BYTES,
            ..Options::default()
        })
        .unwrap();
        let end = run(&built, "{}");
        let told = format!("{code}: {:?} {:?}", end.outcome, end.failure);
        assert_eq!(end.outcome, Outcome::OutOfMemory, "{told}");
        assert!(end.memory_peak_bytes <= MEMORY_BYTES, "{told}");
    }
}

#[test]
fn a_bomb_at_the_top_level_fails_the_build() {
    let refused = build(Options {
        files: &[("index.mjs", "const all = []; for (;;) all.push([all.length]); export const handler = () => 1;")],
        memory_bytes: MEMORY_BYTES,
        ..Options::default()
    });
    assert_eq!(refused.err().unwrap().error_type, "Runtime.OutOfMemory");
}

/// The engine does not let its out-of-memory error be caught.
#[test]
fn catching_does_not_hide_the_end_of_memory() {
    let built = build(Options {
        files: &[(
            "index.mjs",
            "export const handler = () => {
                try { const all = []; for (;;) all.push(new Uint8Array(1 << 20)); } catch (e) { return e.message; }
            };",
        )],
        memory_bytes: MEMORY_BYTES,
        ..Options::default()
    })
    .unwrap();
    let end = run(&built, "{}");
    assert_eq!(end.outcome, Outcome::OutOfMemory, "{end:?}");
    assert!(failure(&end).stack_trace[0].starts_with("at handler (index.mjs:2:"), "{end:?}");
}

#[test]
fn an_endless_loop_yields_at_ticks_and_can_be_stopped() {
    let built = package(&[("index.mjs", "export const handler = () => { console.log('begun'); for (;;); };")]);
    let mut running = built.runner.start(&built.image, task("{}", 1));
    let ticker = Ticker::start(built.runner.epoch_handle(), Duration::from_millis(1));
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..20 {
        assert_eq!(running.poll(&mut cx), Poll::Pending);
    }
    drop(ticker);
    let told = Failure { error_type: "Timeout".into(), error_message: "3 s are over".into(), stack_trace: vec![] };
    let end = running.stop(Outcome::TimedOut, told.clone());
    assert_eq!((end.outcome, end.failure.as_ref()), (Outcome::TimedOut, Some(&told)));
    assert_eq!(log(&end), "INFO begun\n");
    assert!(end.memory_peak_bytes > 0);
}

#[test]
fn many_attempts_take_turns() {
    let built = package(&[(
        "index.mjs",
        "export const handler = (n) => { let sum = 0; for (let i = 0; i < 2e5; i++) sum += n; return sum; };",
    )]);
    let ticker = Ticker::start(built.runner.epoch_handle(), Duration::from_millis(1));
    let mut cx = Context::from_waker(Waker::noop());
    let mut waiting: Vec<_> = (0..8).map(|n| (n, built.runner.start(&built.image, task(&n.to_string(), n)))).collect();
    let mut done = Vec::new();
    let mut turns = 0;
    while !waiting.is_empty() {
        waiting.retain_mut(|(n, running)| match running.poll(&mut cx) {
            Poll::Ready(end) => {
                done.push((*n, js(&end)));
                false
            }
            Poll::Pending => {
                turns += 1;
                true
            }
        });
    }
    drop(ticker);
    done.sort();
    assert_eq!(done, (0..8).map(|n| (n, (n * 200_000).to_string())).collect::<Vec<_>>());
    assert!(turns > 0);
}
