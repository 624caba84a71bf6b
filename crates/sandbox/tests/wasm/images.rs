//! What functions' images share, and that they share nothing else.

use sublet_model::Outcome;

use crate::support::{Built, Options, another_base, build, js, package, run};

/// What a patch may take; see `wasm/patch.rs`.
const PATCH_BYTES_MAX: usize = 200 << 10;

#[test]
fn the_base_comes_out_the_same_however_often_it_is_made() {
    let (again, first) = another_base();
    // The comparison alone: a difference would print megabytes.
    assert!(again == *first);
    assert_eq!(again.engine_hash(), first.engine_hash());
}

#[test]
fn functions_that_take_turns_see_their_own_state_and_nothing_of_each_other() {
    // Every fourth has so much data of its own that its image is kept whole.
    let functions: Vec<(usize, Built)> = (0..12)
        .map(|number| {
            let own = if number % 4 == 3 { 300_000 } else { 10 * number };
            let code = format!(
                r#"
                const own = "{number}:" + "{letter}".repeat({own});
                const list = Array.from({{ length: {number} * 50 }}, (_, at) => ({{ at }}));
                globalThis.seen = [];
                export const handler = (event) => {{
                    const answer = [own.length, own.slice(0, 4), list.length, globalThis.seen.length, [].poison];
                    globalThis.seen.push(own);
                    Array.prototype.poison = "{number}";
                    list.length = 0;
                    globalThis.garbage = "{letter}".repeat(100_000);
                    return answer;
                }};"#,
                letter = char::from(b'a' + number as u8),
            );
            let built = package(&[("index.mjs", &code)]);
            assert_eq!(built.image_bytes > PATCH_BYTES_MAX, number % 4 == 3, "{} bytes", built.image_bytes);
            (own, built)
        })
        .collect();
    for turn in 0..40 {
        for (number, (own, built)) in functions.iter().enumerate() {
            let text = format!("{number}:{}", char::from(b'a' + number as u8).to_string().repeat(*own));
            let expected = format!(r#"[{},"{}",{},0,null]"#, text.len(), &text[..text.len().min(4)], number * 50);
            assert_eq!(js(&run(built, "{}")), expected, "function {number} in turn {turn}");
        }
    }
}

#[test]
fn memory_that_the_top_level_took_and_gave_back_is_there_in_the_attempt() {
    let memory_bytes = 64 << 20;
    let built = build(Options {
        files: &[(
            "index.mjs",
            r#"
            let large = new Uint8Array(24 << 20);
            large = null;
            export const handler = (event) => new Uint8Array(event.bytes).length;"#,
        )],
        memory_bytes,
        ..Options::default()
    })
    .unwrap();
    assert!(built.image_bytes <= PATCH_BYTES_MAX, "{} bytes", built.image_bytes);
    for _ in 0..3 {
        let end = run(&built, r#"{"bytes": 20000000}"#);
        assert_eq!(js(&end), "20000000");
        assert!(end.memory_peak_bytes >= 24 << 20, "{}", end.memory_peak_bytes);
        let end = run(&built, r#"{"bytes": 70000000}"#);
        assert_eq!(end.outcome, Outcome::OutOfMemory, "{end:?}");
        assert!(end.memory_peak_bytes <= memory_bytes, "{}", end.memory_peak_bytes);
    }
}
