//! Every parser over mutated seeds, the same ones every time. What libFuzzer does for hours, this does for a second.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sublet_fuzz::TARGETS;

/// Inputs for each parser; `SUBLET_FUZZ_INPUTS` asks for more.
const INPUTS: u64 = 4_000;
const MUTATIONS_MAX: usize = 6;
/// What the grammars are made of: mutation alone would take long to write them.
const WORDS: &[&[u8]] = &[
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"-0",
    b"1e999",
    b"<",
    b">",
    b"<a>",
    b"%",
    b"%zz",
    b"%E2%82%AC",
    b"\xff",
    b"\xc3\xa9",
    b"$",
    b"$.",
    b"[*]",
    b"..",
    b"*",
    b"$or",
    b"numeric",
    b"exists",
    b"prefix",
    b"wildcard",
    b"cidr",
    b"\n",
    b"\n\n",
    b"ce-",
    b";",
    b"charset=",
    b"\"\"",
    b"9223372036854775808",
    b"\x28\xb5\x2f\xfd",
    b"\x1f\x8b",
    b"<aws.events.event.json>",
    b"input",
    b"=",
    b"-",
    b"+",
    b"\n== a.ts\n",
    b"import ",
    b" from './a'",
    b" as ",
    b"=>",
    b"enum ",
    b"/*",
    b"`",
    b"${",
];

fn mutated(random: &mut SmallRng, seeds: &[&[u8]]) -> Vec<u8> {
    let mut bytes = seeds[random.random_range(0..seeds.len())].to_vec();
    for _ in 0..random.random_range(1..=MUTATIONS_MAX) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..16)).min(bytes.len());
        match random.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = random.random(),
            2 => drop(bytes.splice(at..at, WORDS[random.random_range(0..WORDS.len())].iter().copied())),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let part = bytes[at..end].to_vec();
                let copies = part.repeat(random.random_range(1..40));
                drop(bytes.splice(at..at, copies));
            }
            5 => bytes.truncate(at),
            _ => {
                let other = seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..=other.len());
                drop(bytes.splice(at..end, other[from..].iter().copied()));
            }
        }
    }
    bytes
}

#[test]
fn every_parser_keeps_its_promises_over_mutated_inputs() {
    let inputs = std::env::var("SUBLET_FUZZ_INPUTS").map_or(INPUTS, |text| text.parse().expect("a number of inputs"));
    let mut broken = Vec::new();
    for target in TARGETS {
        target.seeds.iter().for_each(|seed| (target.body)(seed));
        for number in 0..inputs {
            let bytes = mutated(&mut SmallRng::seed_from_u64(number), target.seeds);
            let run = std::panic::catch_unwind(|| (target.body)(&bytes));
            if run.is_err() {
                broken.push(format!("{} broke on {}", target.name, bytes.escape_ascii()));
                break;
            }
        }
        println!("{}: {inputs} inputs", target.name);
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
