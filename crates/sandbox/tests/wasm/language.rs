//! The language itself, by checks of our own: a sample, not test262 (whose results for this engine its makers publish).

use crate::webapi::holds;

#[test]
fn the_language_is_that_of_2025() {
    holds(include_str!("js/language.mjs"));
}
