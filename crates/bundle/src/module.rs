//! One file as the engine gets it.

use oxc_allocator::Allocator;
use oxc_parser::{ParseOptions, Parser, ParserReturn};
use oxc_span::SourceType;

use crate::fault::Fault;
use crate::manifest::{PackageType, strip_mark};
use crate::path::directory;
use crate::scan::{Request, Scan, scan};
use crate::strip::strip;

/// Bytes of one source file.
const SOURCE_BYTES_MAX: usize = 6 << 20;
/// How deep brackets may nest in a source file: the parser recurses. What recurses without brackets is not bounded; see
/// the crate's documentation.
const NESTING_MAX: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleKind {
    Esm,
    CommonJs,
    Json,
}

/// A file as JavaScript (or JSON), every token on the line and, but for what enums and their like become, in the column where
/// its author wrote it.
#[derive(Debug, Clone)]
pub struct Module {
    pub kind: ModuleKind,
    pub text: String,
    pub requests: Vec<Request>,
    /// It asks for modules whose names it computes.
    pub is_computed: bool,
}

/// How a file's name says it is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Esm,
    CommonJs,
    /// By what stands in it.
    Either,
}

/// Errors: what is wrong with the file, where.
pub fn module(key: &str, bytes: &[u8], package_type: Option<PackageType>) -> Result<Module, Fault> {
    if bytes.len() > SOURCE_BYTES_MAX {
        return Err(Fault::at(key, "", 0, format!("the file has more than {SOURCE_BYTES_MAX} bytes")));
    }
    let unmarked = strip_mark(bytes);
    let text = match std::str::from_utf8(unmarked) {
        Ok(text) => text,
        Err(error) => {
            let good = String::from_utf8_lossy(&unmarked[..error.valid_up_to()]).into_owned();
            return Err(Fault::at(key, &good, good.len(), "the file is not UTF-8 text"));
        }
    };
    let ending = key.rfind('.').map_or("", |at| &key[at..]);
    match ending {
        ".json" => json(key, text),
        ".js" => source(key, text, by_package(package_type)),
        ".mjs" => source(key, text, Reading::Esm),
        ".cjs" => source(key, text, Reading::CommonJs),
        ".ts" | ".mts" | ".cts" => typescript(key, text, ending, package_type),
        ".tsx" | ".jsx" => Err(Fault::at(key, text, 0, "JSX cannot be run as it is: compile it to .js first")),
        ".node" => Err(Fault::at(key, "", 0, "native addons do not run here")),
        _ => Err(Fault::at(key, "", 0, "only .js, .mjs, .cjs, .json, .ts, .mts and .cts files can be imported")),
    }
}

/// A package that says `commonjs` may still hold a file written with `import` and `export`: that is then what counts.
fn by_package(package_type: Option<PackageType>) -> Reading {
    match package_type {
        Some(PackageType::Module) => Reading::Esm,
        Some(PackageType::CommonJs) | None => Reading::Either,
    }
}

fn json(key: &str, text: &str) -> Result<Module, Fault> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let message = error.to_string();
        let why = message.split(" at line ").next().unwrap_or(&message);
        return Err(Fault::at(key, text, before + error.column().saturating_sub(1), format!("not JSON: {why}")));
    }
    Ok(Module { kind: ModuleKind::Json, text: text.to_owned(), requests: Vec::new(), is_computed: false })
}

fn typescript(key: &str, text: &str, ending: &str, package_type: Option<PackageType>) -> Result<Module, Fault> {
    let reading = match ending {
        ".mts" => Reading::Esm,
        ".cts" => Reading::CommonJs,
        _ => by_package(package_type),
    };
    check_nesting(key, text)?;
    let stripped = {
        let allocator = Allocator::default();
        let parsed = parse(&allocator, text, SourceType::ts().with_module(true));
        if let Some(fault) = first_fault(key, text, &parsed) {
            return Err(fault);
        }
        strip(key, text, &parsed.program)?
    };
    // What comes out is read as JavaScript, which also proves that nothing of TypeScript is left.
    source(key, &stripped, reading)
}

fn source(key: &str, text: &str, reading: Reading) -> Result<Module, Fault> {
    check_nesting(key, text)?;
    let allocator = Allocator::default();
    let (esm, commonjs) = (SourceType::mjs(), SourceType::cjs());
    let (parsed, kind) = match reading {
        Reading::Esm => (parse(&allocator, text, esm), ModuleKind::Esm),
        Reading::CommonJs => (parse(&allocator, text, commonjs), ModuleKind::CommonJs),
        Reading::Either => {
            let parsed = parse(&allocator, text, esm);
            if parsed.module_record.has_module_syntax {
                (parsed, ModuleKind::Esm)
            } else {
                let script = parse(&allocator, text, commonjs);
                // A top-level `await` alone makes a module too.
                let is_module = script.diagnostics.has_errors() && !parsed.diagnostics.has_errors();
                if is_module { (parsed, ModuleKind::Esm) } else { (script, ModuleKind::CommonJs) }
            }
        }
    };
    if let Some(fault) = first_fault(key, text, &parsed) {
        return Err(fault);
    }
    let Scan { requests, is_computed, uses_meta } = scan(text, &parsed.program);
    let mut text = text.to_owned();
    if let Some(hashbang) = &parsed.program.hashbang {
        let end = hashbang.span.end as usize;
        let blank = " ".repeat(text[..end].chars().count());
        text.replace_range(..end, &blank);
    }
    if uses_meta && kind == ModuleKind::Esm {
        text.insert_str(0, &meta(key));
    }
    Ok(Module { kind, text, requests, is_computed })
}

/// `import.meta` as Node.js has it: on the first line, so that the others stay where they are.
fn meta(key: &str) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let file = format!("/{}", key.trim_start_matches('/'));
    let (url, name) = (quoted(&format!("file://{file}")), quoted(&file));
    let folder = match directory(&file) {
        "" => quoted("/"),
        folder => quoted(folder),
    };
    format!("import.meta.url={url};import.meta.filename={name};import.meta.dirname={folder};")
}

fn parse<'a>(allocator: &'a Allocator, text: &'a str, source_type: SourceType) -> ParserReturn<'a> {
    let options = ParseOptions { allow_return_outside_function: source_type.is_commonjs(), ..ParseOptions::default() };
    Parser::new(allocator, text, source_type).with_options(options).parse()
}

/// The first mistake that the parser found, in its words.
fn first_fault(key: &str, text: &str, parsed: &ParserReturn<'_>) -> Option<Fault> {
    let found = parsed.diagnostics.errors().next()?;
    let offset = found.labels.iter().map(|label| label.offset() as usize).min().unwrap_or(0);
    let mut message = found.message.to_string();
    for label in found.labels.iter().filter_map(|label| label.label()) {
        message = format!("{message} ({label})");
    }
    if let Some(help) = &found.help {
        message = format!("{message}; {help}");
    }
    Some(Fault::at(key, text, offset, message))
}

/// Counts brackets wherever they stand, in strings too: a good file has not this many open anywhere.
fn check_nesting(key: &str, text: &str) -> Result<(), Fault> {
    let mut depth = 0_usize;
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth > NESTING_MAX {
            return Err(Fault::at(key, text, offset, format!("brackets nest more than {NESTING_MAX} deep")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf_8_has_its_place_with_a_byte_order_mark_and_without() {
        for bytes in [&b"ab\n c\xff"[..], &b"\xef\xbb\xbfab\n c\xff"[..]] {
            let fault = module("a.js", bytes, None).unwrap_err();
            assert_eq!((fault.place().as_str(), fault.message.as_str()), ("a.js:2:3", "the file is not UTF-8 text"));
        }
    }

    /// Brackets as deep as they may nest, and chains longer than anybody writes.
    #[test]
    fn the_stack_suffices_for_what_people_write() {
        const LINKS: usize = 1_000;
        let nested = |open: &str, inner: &str, close: &str| {
            format!("{}{inner}{}", open.repeat(NESTING_MAX), close.repeat(NESTING_MAX))
        };
        let texts = [
            format!("x = {};", nested("(", "1", ")")),
            format!("x = {};", nested("[", "1", "]")),
            nested("{", "", "}"),
            format!("x = {}1;", "!".repeat(LINKS)),
            format!("x = {}1;", "a => ".repeat(LINKS)),
            format!("x = {}1;", "a ? b : ".repeat(LINKS)),
            format!("x = {}1;", "a + ".repeat(LINKS)),
            format!("{};", "if (a); else ".repeat(LINKS)),
        ];
        let reader = std::thread::Builder::new().stack_size(crate::STACK_BYTES);
        let reading = reader.spawn(move || {
            for text in texts {
                for key in ["a.ts", "a.js"] {
                    assert_eq!(module(key, text.as_bytes(), None).map(|read| read.text), Ok(text.clone()));
                }
            }
        });
        reading.unwrap().join().unwrap();
    }
}
