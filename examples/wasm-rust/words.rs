//! A tenant's function in Rust: the event comes on standard input, the result goes to standard output as JSON, and what is
//! written to standard error is the log.
//!
//! It counts the words of `detail.title` and greets by the variable GREETING. Real programs use serde_json; this one looks
//! for what it needs by hand, so that the compiler alone builds it.

use std::io::Read;
use std::process::ExitCode;

/// The text behind `"name": "`, up to its closing quote. Escapes are left as they are.
fn text_of<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let rest = json.split_once(&format!("\"{name}\""))?.1;
    let rest = rest.trim_start_matches([' ', '\t', '\r', '\n', ':']).strip_prefix('"')?;
    let mut escaped = false;
    let end = rest.find(|letter| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    })?;
    Some(&rest[..end])
}

fn main() -> ExitCode {
    let mut event = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut event) {
        eprintln!("the event cannot be read: {error}");
        return ExitCode::from(2);
    }
    let Some(title) = text_of(&event, "title") else {
        eprintln!("{}: the event has no title", std::env::args().next().unwrap_or_default());
        return ExitCode::from(3);
    };
    let words = title.split(' ').filter(|word| !word.is_empty()).count();
    eprintln!("counted {words} words");
    let greeting = std::env::var("GREETING").unwrap_or_else(|_| "hello".to_owned());
    println!(r#"{{"words": {words}, "greeting": "{greeting} {title}"}}"#);
    ExitCode::SUCCESS
}
