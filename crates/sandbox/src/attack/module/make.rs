//! Modules as a hostile tenant's own tool would write them: a valid command to begin with, of which every part can be
//! made wrong.

use std::borrow::Cow;

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, ImportSection, InstructionSink, MemArg, MemorySection,
    MemoryType, Module, RefType, StartSection, TableSection, TableType, TagKind, TagSection, TagType, TypeSection,
    ValType,
};

/// The module that WASI preview 1's functions are imported from.
pub(super) const WASI: &str = "wasi_snapshot_preview1";
/// WASI's functions as far as they are called here: `i` is a parameter of 32 bits, `I` one of 64.
const SIGNATURES: &[(&str, &str)] = &[
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_close", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_filestat_get", "ii"),
    ("fd_prestat_get", "ii"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("proc_raise", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// Where [`write`] looks for what it writes (see [`piece`]), and where it has the number of bytes put.
pub(super) const PIECE: i32 = 16;
const WRITTEN: i32 = 8;
/// Where [`saying`] has its text.
const TEXT: i32 = 1024;

/// A function without parameters and results: `_start`'s type, and the first of every module.
pub(super) const PLAIN: u32 = 0;

enum Type {
    Function(Vec<ValType>, Vec<ValType>),
    /// A structure without fields.
    Struct,
}

/// A module that is being written. Without changes it is a command that does nothing, but for its `_start`, which
/// [`Draft::main`] writes. Imported functions are numbered first, so they come first.
pub(super) struct Draft {
    types: Vec<Type>,
    pub(super) imports: Vec<(&'static str, &'static str, EntityType)>,
    functions: Vec<(u32, Function)>,
    /// Functions so far, imported ones among them.
    numbered: u32,
    pub(super) tables: Vec<TableType>,
    pub(super) memories: Vec<MemoryType>,
    /// Exceptions.
    pub(super) tags: usize,
    /// Numbers of 32 bits that can be set.
    pub(super) globals: usize,
    pub(super) exports: Vec<(&'static str, ExportKind, u32)>,
    /// What runs before `_start`.
    pub(super) start: Option<u32>,
    /// Functions by number that the first table holds, from an index on.
    pub(super) elements: Vec<(i32, Vec<u32>)>,
    /// Bytes that the memory begins with, from an address on.
    pub(super) data: Vec<(i32, Vec<u8>)>,
}

impl Draft {
    pub(super) fn new() -> Draft {
        Draft {
            types: vec![Type::Function(Vec::new(), Vec::new())],
            imports: Vec::new(),
            functions: Vec::new(),
            numbered: 0,
            tables: Vec::new(),
            memories: vec![pages(1)],
            tags: 0,
            globals: 0,
            exports: vec![("memory", ExportKind::Memory, 0)],
            start: None,
            elements: Vec::new(),
            data: Vec::new(),
        }
    }

    /// A function's type; its number.
    pub(super) fn ty(&mut self, parameters: Vec<ValType>, results: Vec<ValType>) -> u32 {
        self.types.push(Type::Function(parameters, results));
        (self.types.len() - 1) as u32
    }

    /// The type of a structure, as only modules with a garbage collector have.
    pub(super) fn structure(&mut self) {
        self.types.push(Type::Struct);
    }

    /// A function of WASI's; its number.
    pub(super) fn wasi(&mut self, name: &'static str) -> u32 {
        let value = |letter: char| if letter == 'I' { ValType::I64 } else { ValType::I32 };
        let parameters = signature(name).chars().map(value).collect();
        let results = if name == "proc_exit" { Vec::new() } else { vec![ValType::I32] };
        let ty = self.ty(parameters, results);
        self.import(WASI, name, ty)
    }

    /// A function of anybody's; its number.
    pub(super) fn import(&mut self, module: &'static str, name: &'static str, ty: u32) -> u32 {
        self.imports.push((module, name, EntityType::Function(ty)));
        self.number()
    }

    /// A function of the module's own; its number.
    pub(super) fn function(
        &mut self,
        ty: u32,
        locals: &[(u32, ValType)],
        body: impl FnOnce(&mut InstructionSink<'_>),
    ) -> u32 {
        let mut function = Function::new(locals.iter().copied());
        let mut code = function.instructions();
        body(&mut code);
        code.end();
        self.functions.push((ty, function));
        self.number()
    }

    /// `_start`; its number.
    pub(super) fn main(&mut self, locals: &[(u32, ValType)], body: impl FnOnce(&mut InstructionSink<'_>)) -> u32 {
        let number = self.function(PLAIN, locals, body);
        self.exports.push(("_start", ExportKind::Func, number));
        number
    }

    /// The number of the function that comes next.
    pub(super) fn upcoming(&self) -> u32 {
        self.numbered
    }

    fn number(&mut self) -> u32 {
        self.numbered += 1;
        self.numbered - 1
    }

    /// The module's bytes. A section that would be empty is left out.
    pub(super) fn finish(&self) -> Vec<u8> {
        let mut module = Module::new();
        module.section(&self.type_section());
        if !self.imports.is_empty() {
            module.section(&self.import_section());
        }
        let (functions, code) = self.function_sections();
        if !functions.is_empty() {
            module.section(&functions);
        }
        if !self.tables.is_empty() {
            let mut tables = TableSection::new();
            for table in &self.tables {
                tables.table(*table);
            }
            module.section(&tables);
        }
        if !self.memories.is_empty() {
            let mut memories = MemorySection::new();
            for memory in &self.memories {
                memories.memory(*memory);
            }
            module.section(&memories);
        }
        if self.tags > 0 {
            let mut tags = TagSection::new();
            for _ in 0..self.tags {
                tags.tag(TagType { kind: TagKind::Exception, func_type_idx: PLAIN });
            }
            module.section(&tags);
        }
        if self.globals > 0 {
            let mut globals = GlobalSection::new();
            for _ in 0..self.globals {
                globals.global(number_type(), &ConstExpr::i32_const(0));
            }
            module.section(&globals);
        }
        let mut exports = ExportSection::new();
        for (name, kind, number) in &self.exports {
            exports.export(name, *kind, *number);
        }
        module.section(&exports);
        if let Some(function_index) = self.start {
            module.section(&StartSection { function_index });
        }
        if !self.elements.is_empty() {
            let mut elements = ElementSection::new();
            for (index, functions) in &self.elements {
                let held = Elements::Functions(Cow::Borrowed(functions.as_slice()));
                elements.active(None, &ConstExpr::i32_const(*index), held);
            }
            module.section(&elements);
        }
        if !code.is_empty() {
            module.section(&code);
        }
        if !self.data.is_empty() {
            let mut data = DataSection::new();
            for (address, bytes) in &self.data {
                data.active(0, &ConstExpr::i32_const(*address), bytes.iter().copied());
            }
            module.section(&data);
        }
        module.finish()
    }

    fn type_section(&self) -> TypeSection {
        let mut types = TypeSection::new();
        for ty in &self.types {
            match ty {
                Type::Function(parameters, results) => {
                    types.ty().function(parameters.iter().copied(), results.iter().copied());
                }
                Type::Struct => types.ty().struct_([]),
            }
        }
        types
    }

    fn import_section(&self) -> ImportSection {
        let mut imports = ImportSection::new();
        for (module, name, ty) in &self.imports {
            imports.import(module, name, *ty);
        }
        imports
    }

    fn function_sections(&self) -> (FunctionSection, CodeSection) {
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        for (ty, function) in &self.functions {
            functions.function(*ty);
            code.function(function);
        }
        (functions, code)
    }
}

/// What a function of WASI's takes; nothing for one that is not listed, whose calls are then no valid module.
pub(super) fn signature(name: &str) -> &'static str {
    SIGNATURES.iter().find(|(known, _)| *known == name).map_or("", |(_, parameters)| *parameters)
}

/// A memory of so many pages that may grow.
pub(super) const fn pages(minimum: u64) -> MemoryType {
    MemoryType { minimum, maximum: None, memory64: false, shared: false, page_size_log2: None }
}

/// A table of so many functions that may grow.
pub(super) const fn table(minimum: u64) -> TableType {
    TableType { element_type: RefType::FUNCREF, table64: false, minimum, maximum: None, shared: false }
}

pub(super) const fn number_type() -> GlobalType {
    GlobalType { val_type: ValType::I32, mutable: true, shared: false }
}

/// An access so far behind its address.
pub(super) const fn at(offset: u64) -> MemArg {
    MemArg { offset, align: 0, memory_index: 0 }
}

/// A command that imports nothing.
pub(super) fn command(body: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    let mut draft = Draft::new();
    draft.main(&[], body);
    draft.finish()
}

/// What WASI calls an `iovec`: an address and a length.
pub(super) fn piece(address: i32, length: i32) -> Vec<u8> {
    [address.to_le_bytes(), length.to_le_bytes()].concat()
}

/// Writes the piece at [`PIECE`] to a stream.
pub(super) fn write(code: &mut InstructionSink<'_>, fd_write: u32, stream: i32) {
    code.i32_const(stream).i32_const(PIECE).i32_const(1).i32_const(WRITTEN).call(fd_write).drop();
}

/// Exits with this code unless the number on the stack is another than 0.
pub(super) fn or_exit(code: &mut InstructionSink<'_>, proc_exit: u32, with: i32) {
    code.i32_eqz().if_(BlockType::Empty).i32_const(with).call(proc_exit).end();
}

/// A harmless command, whose result is the text.
pub(in crate::attack) fn saying(text: &str) -> Vec<u8> {
    let mut draft = Draft::new();
    let fd_write = draft.wasi("fd_write");
    draft.data.push((PIECE, piece(TEXT, text.len() as i32)));
    draft.data.push((TEXT, text.as_bytes().to_vec()));
    draft.main(&[], |code| write(code, fd_write, 1));
    draft.finish()
}
