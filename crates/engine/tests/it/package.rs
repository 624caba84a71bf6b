//! Archives that lie: each case of the shared conformance set ends as its index says.

use std::path::PathBuf;

use bytes::Bytes;
use sublet_engine::open_zip;

/// The conformance files lie beside a working copy, not in it.
pub(crate) fn shared(file: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance").join(file);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} must be there under CI", path.display());
    println!("not run: {} is not there", path.display());
    None
}

#[test]
fn hostile_archives_are_refused_with_the_entrys_name_and_honest_ones_open() {
    let Some(index) = shared("archives/index.json") else { return };
    let cases: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    assert!(cases.len() >= 10);
    for case in cases {
        let file = case["file"].as_str().unwrap();
        let package = Bytes::from(std::fs::read(index.with_file_name(file)).unwrap());
        let opened = open_zip(&package);
        if case["expect"].as_str().unwrap().starts_with("accepted") {
            let files = opened.unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(!files.is_empty(), "{file}");
            continue;
        }
        let error = opened.expect_err(file).to_string();
        let names_entry = match file {
            "truncated.zip" | "empty.zip" | "not-a-zip.zip" => true,
            _ => error.contains('`'),
        };
        assert!(names_entry, "{file}: {error}");
    }
}

#[test]
fn any_bytes_open_or_are_refused_without_a_panic() {
    let Some(path) = shared("archives/ok.zip") else { return };
    let honest = std::fs::read(path).unwrap();
    for position in 0..honest.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = honest.clone();
            bytes[position] ^= flip;
            let _ = open_zip(&Bytes::from(bytes));
        }
        let _ = open_zip(&Bytes::copy_from_slice(&honest[..position]));
    }
}
