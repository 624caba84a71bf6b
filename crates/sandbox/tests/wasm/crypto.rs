//! Cryptography as tenants' code finds it, against published test vectors.

use crate::support::{Options, build, from, package, run};
use crate::webapi::holds;

#[test]
fn subtle_crypto_knows_the_published_answers() {
    holds(include_str!("js/subtle.mjs"));
}

#[test]
fn node_crypto_knows_the_published_answers() {
    holds(include_str!("js/crypto.mjs"));
}

#[test]
fn two_attempts_of_one_image_draw_unlike_random_numbers() {
    let built = package(&[(
        "index.mjs",
        "import { randomBytes } from 'node:crypto';
        export const handler = () => [crypto.randomUUID(), randomBytes(16).toString('hex'), Math.random()];",
    )]);
    let first: (String, String, f64) = from(&run(&built, "{}"));
    let second: (String, String, f64) = from(&run(&built, "{}"));
    assert_ne!(first.0, second.0);
    assert_ne!(first.1, second.1);
    // The same seed gives the same numbers there, which is why those are not for secrets.
    assert_eq!(first.2, second.2);
}

#[test]
fn top_level_code_that_draws_secrets_fails_the_build_with_its_line() {
    for (name, call) in [
        ("randomUUID", "crypto.randomUUID()"),
        ("getRandomValues", "crypto.getRandomValues(new Uint8Array(8))"),
        ("randomBytes", "(await import('node:crypto')).randomBytes(8)"),
        ("randomInt", "(await import('crypto')).randomInt(8)"),
        ("generateKey", "await crypto.subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, ['encrypt'])"),
    ] {
        let code = format!("const a = 1;\nexport const secret = {call};\nexport const handler = () => 1;\n");
        let failure = build(Options { files: &[("index.mjs", &code)], ..Options::default() }).err().unwrap();
        let message = &failure.error_message;
        assert!(message.starts_with("index.mjs:2:"), "{call}: {failure:?}");
        assert!(
            message.contains(name) && message.contains("cannot be called by top-level code"),
            "{call}: {failure:?}"
        );
    }
}

#[test]
fn hashes_work_at_the_top_level_and_one_that_is_open_goes_on_in_the_attempt() {
    let built = package(&[(
        "index.mjs",
        "import { createHash } from 'crypto';
        const whole = createHash('sha256').update('a'.repeat(1_000_000)).digest('hex');
        const open = createHash('sha256').update('a'.repeat(400_000));
        export const handler = () => [whole, open.update('a'.repeat(600_000)).digest('hex')];",
    )]);
    let (whole, open): (String, String) = from(&run(&built, "{}"));
    assert_eq!(whole, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_eq!(open, whole);
}
