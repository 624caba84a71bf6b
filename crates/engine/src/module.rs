//! A tenant's own WebAssembly module, as it was uploaded: the file itself, or a zip that holds it.

use bytes::Bytes;
use sublet_model::limit::PACKAGE_BYTES_MAX;
use sublet_sandbox::SourceFile;

use crate::package::{PackageError, open_zip};

/// What every module and every zip begins with.
const MODULE_MARK: &[u8] = b"\0asm";
const ZIP_MARK: &[u8] = b"PK";

/// The module in an upload; `handler` says which, if a zip holds several.
pub(crate) fn module_of(package: &Bytes, handler: &str) -> Result<Bytes, PackageError> {
    if package.len() > PACKAGE_BYTES_MAX {
        return Err(PackageError::TooLong);
    }
    if package.starts_with(ZIP_MARK) { chosen(open_zip(package)?, handler) } else { checked(package.clone()) }
}

fn chosen(files: Vec<SourceFile>, handler: &str) -> Result<Bytes, PackageError> {
    let mut modules: Vec<SourceFile> = files.into_iter().filter(|file| file.path.ends_with(".wasm")).collect();
    let stem = handler.rsplit_once('.').map_or(handler, |(stem, _)| stem);
    let named = |file: &SourceFile| file.path == handler || file.path.strip_suffix(".wasm") == Some(stem);
    let index = match modules.as_slice() {
        [] => return Err(PackageError::NoModule),
        [_] => 0,
        several => several.iter().position(named).ok_or_else(|| PackageError::WhichModule(handler.to_owned()))?,
    };
    checked(modules.swap_remove(index).content)
}

/// What is in it is for the builder to see; this much tells a wrong upload from a broken module.
fn checked(module: Bytes) -> Result<Bytes, PackageError> {
    if module.len() > PACKAGE_BYTES_MAX {
        return Err(PackageError::TooLong);
    }
    if module.starts_with(MODULE_MARK) { Ok(module) } else { Err(PackageError::NotAModule) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &'static [u8]) -> SourceFile {
        SourceFile { path: path.to_owned(), content: Bytes::from_static(content) }
    }

    #[test]
    fn the_only_module_is_taken_and_the_handler_chooses_among_several() {
        let one = || file("a.wasm", b"\0asm1");
        let two = || file("lib/b.wasm", b"\0asm2");
        let text = || file("README.md", b"hello");
        assert_eq!(chosen(vec![text(), one()], "index.handler").unwrap(), one().content);
        for handler in ["lib/b.wasm", "lib/b.handler"] {
            assert_eq!(chosen(vec![one(), text(), two()], handler).unwrap(), two().content, "{handler}");
        }
        let which = chosen(vec![one(), two()], "index.handler").unwrap_err();
        assert_eq!(which, PackageError::WhichModule("index.handler".to_owned()));
        assert_eq!(chosen(vec![text()], "index.handler").unwrap_err(), PackageError::NoModule);
        assert_eq!(chosen(vec![file("a.wasm", b"hello")], "a.wasm").unwrap_err(), PackageError::NotAModule);
        assert_eq!(module_of(&Bytes::from_static(b"export"), "a.b").unwrap_err(), PackageError::NotAModule);
    }
}
