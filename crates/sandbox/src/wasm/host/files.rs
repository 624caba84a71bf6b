//! The package that is being evaluated, file by file: which one a specifier means, what is in it as JavaScript, what of
//! it the handler may ask for later. Nothing of this is there in an attempt.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sublet_bundle::{
    Fault, Importer, LAYER_ROOT, Module, ModuleKind, Package, Resolver, SourceMap, Tree, late, module,
};

use super::call::{Answer, CallContext, CallError};
use crate::{BuildRequest, SourceFile};

const RESOLVE: i32 = 120;
const FILE: i32 = 121;
const SOURCE_MAP: i32 = 122;
const LATE: i32 = 123;
/// Bytes of sources that an image keeps for its handler to import.
const LATE_BYTES_MAX: usize = 2 << 20;
/// Bytes of source maps that an image keeps.
const MAPS_BYTES_MAX: usize = 4 << 20;

/// One package with its layers.
pub(in crate::wasm) struct Files {
    resolver: Resolver<Package>,
    loaded: BTreeMap<String, Module>,
    /// Bytes that are left for source maps.
    map_room: usize,
    /// The layers that are wrappers, with what their manifests say: `file.export`.
    wrappers: Vec<(String, String)>,
}

/// What was brought in, as the prelude reads it.
#[derive(Serialize)]
struct Late<'a> {
    /// Kind, text, source map.
    files: BTreeMap<&'a str, (char, &'a str, Option<String>)>,
    /// Per importing file: how and what, and the key that it means.
    links: BTreeMap<&'a str, BTreeMap<String, &'a str>>,
}

/// A layer that wraps the handler, the key of its module, and the export.
pub(in crate::wasm) type Wrapper<'a> = (&'a str, String, &'a str);

impl Files {
    pub(in crate::wasm) fn new(request: &BuildRequest) -> Files {
        let mut files = HashMap::new();
        for file in &request.files {
            files.insert(file.path.clone(), file.content.clone());
        }
        for (name, layer) in &request.layers {
            for file in layer {
                files.insert(format!("{LAYER_ROOT}/{name}/{}", file.path), file.content.clone());
            }
        }
        let layers = request.layers.iter().map(|(name, _)| name.clone()).collect();
        let wrappers: Vec<(String, String)> =
            request.layers.iter().filter_map(|(name, files)| Some((name.clone(), wrapper_of(files)?))).collect();
        let hidden = wrappers.iter().map(|(name, _)| name.clone()).collect();
        Files {
            resolver: Resolver::new(Package::new(files), layers).hiding(hidden),
            wrappers,
            loaded: BTreeMap::new(),
            map_room: MAPS_BYTES_MAX,
        }
    }

    /// The key of the handler's module.
    pub(in crate::wasm) fn handler(&self, path: &str) -> Option<String> {
        self.resolver.handler(path)
    }

    /// The wrappers among the layers: name, key of the module, export. Errors: the name of one without such a module, and
    /// what it says.
    pub(in crate::wasm) fn wrappers(&self) -> Result<Vec<Wrapper<'_>>, (&str, &str)> {
        let found = self.wrappers.iter().map(|(layer, wrapper)| {
            let (module, export) = wrapper.rsplit_once('.').unwrap_or((wrapper, ""));
            let key = self.resolver.in_layer(layer, module).ok_or((layer.as_str(), wrapper.as_str()))?;
            Ok((layer.as_str(), key, export))
        });
        found.collect()
    }

    /// `+key`, or `-place` (where it is known), a zero and why not.
    fn resolve(&self, importer: Importer, base: &str, specifier: &str) -> String {
        match self.resolver.resolve(base, specifier, importer) {
            Ok(key) => format!("+{key}"),
            Err(missing) => {
                // `require` is called somewhere, and the engine's stack says where.
                let module = self.loaded.get(base).filter(|_| importer == Importer::Import);
                let request = module.and_then(|module| module.requests.iter().find(|one| one.specifier == specifier));
                let place = request.map(|one| format!("{base}:{}:{}", one.line, one.column)).unwrap_or_default();
                format!("-{place}\0{}", missing.0)
            }
        }
    }

    /// Its kind and its text, or `!`, the place, a zero and what is wrong there.
    fn file(&mut self, key: &str) -> Result<String, CallError> {
        if !self.loaded.contains_key(key) {
            let bytes = self.resolver.tree().read(key);
            let bytes = bytes.ok_or_else(|| CallError::new("Error", format!("there is no file {key}")))?;
            match module(key, &bytes, self.resolver.package_type(key)) {
                Ok(module) => self.loaded.insert(key.to_owned(), module),
                Err(fault) => return Ok(told(&fault)),
            };
        }
        let module = &self.loaded[key];
        Ok(format!("{}{}", letter(module.kind), module.text))
    }

    /// JSON text, or nothing.
    fn source_map(&mut self, key: &str) -> String {
        let module = self.loaded.get(key).filter(|module| module.kind != ModuleKind::Json);
        let map = module.and_then(|module| SourceMap::of(key, &module.text, self.resolver.tree()));
        let Some(map) = map.filter(|map| map.bytes() <= self.map_room) else { return String::new() };
        self.map_room -= map.bytes();
        serde_json::to_string(&map).unwrap_or_default()
    }

    fn late(&self) -> Answer {
        let found = late(&self.resolver, &self.loaded, LATE_BYTES_MAX);
        let files = found.modules.iter().map(|(key, (module, map))| {
            let map = map.as_ref().and_then(|map| serde_json::to_string(map).ok());
            (key.as_str(), (letter(module.kind), module.text.as_str(), map))
        });
        let links = found.links.iter().map(|(base, links)| {
            let links = links.iter().map(|(is_import, specifier, key)| {
                (format!("{}{specifier}", if *is_import { 'i' } else { 'r' }), key.as_str())
            });
            (base.as_str(), links.collect())
        });
        let late = Late { files: files.collect(), links: links.collect() };
        serde_json::to_vec(&late).map_err(|error| CallError::new("Error", error.to_string()))
    }
}

/// What a layer's `sublet.json` says, or its `package.json` under `sublet`.
fn wrapper_of(files: &[SourceFile]) -> Option<String> {
    let json_of = |path: &str| -> Option<serde_json::Value> {
        serde_json::from_slice(&files.iter().find(|file| file.path == path)?.content).ok()
    };
    let manifest = json_of("sublet.json").or_else(|| json_of("package.json")?.get("sublet").cloned())?;
    Some(manifest.get("wrapper")?.as_str()?.to_owned())
}

fn letter(kind: ModuleKind) -> char {
    match kind {
        ModuleKind::Esm => 'm',
        ModuleKind::CommonJs => 'c',
        ModuleKind::Json => 'j',
    }
}

fn told(fault: &Fault) -> String {
    let shown = if fault.snippet.is_empty() { String::new() } else { format!("\n{}", fault.snippet) };
    format!("!{}\0{}{shown}", fault.place(), fault.message)
}

pub(super) fn call(operation: i32, context: &mut CallContext<'_>, request: &[u8]) -> Answer {
    let none = || CallError::new("TypeError", "there is no package to read from");
    let files = context.state.files.as_mut().ok_or_else(none)?;
    let text = std::str::from_utf8(request).map_err(|_| CallError::new("TypeError", "not UTF-8"))?;
    match operation {
        RESOLVE => {
            let importer = if text.starts_with('r') { Importer::Require } else { Importer::Import };
            let (base, specifier) = text.get(1..).and_then(|rest| rest.split_once('\0')).unwrap_or_default();
            Ok(files.resolve(importer, base, specifier).into_bytes())
        }
        FILE => files.file(text).map(String::into_bytes),
        SOURCE_MAP => Ok(files.source_map(text).into_bytes()),
        LATE => files.late(),
        _ => Err(CallError::new("TypeError", "the host has no such operation")),
    }
}
