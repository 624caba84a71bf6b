//! Counts the instructions that a module executes, on request: the same function on the same event gives the same count
//! on every machine, which CPU time does not.
//!
//! The module is rewritten: a global of its own goes up at the end of every straight run of instructions by their number.
//! The code in between stays as it is, and so does the engine's configuration, so that images and workers are the same as
//! for attempts that are not counted. Costs are those of wasmtime's fuel (one an instruction, none for what only marks a
//! place), but for bulk copies, which count one whatever their size: a test holds the two against each other. What the
//! host does for the guest is not counted.

use std::sync::Arc;

use wasm_encoder::{
    CodeSection, ConstExpr, Encode, ExportKind, GlobalType, Instruction, Module, RawSection, SectionId, ValType,
};
use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef};
use wasmtime::{Global, Instance, Store, UpdateDeadline};

use super::host::Observed;
use super::runner::NEXT_TICKS;

/// The export under which the counter can be read.
pub(super) const COUNTER: &str = "sublet_instructions";
/// What a function costs besides its instructions, as in wasmtime.
const ENTRY_COST: i64 = 1;

#[derive(Debug, thiserror::Error)]
pub(super) enum CountError {
    #[error(transparent)]
    Broken(#[from] wasmparser::BinaryReaderError),
    #[error("it exports `{COUNTER}`, which is the name of the counter")]
    NameTaken,
}

/// The module with a counter in it, and without its custom sections. It must be valid: what is not comes out as invalid
/// as it was, or as an error.
pub(super) fn counted(module: &[u8]) -> Result<Vec<u8>, CountError> {
    let mut rewriter = Rewriter {
        source: module,
        out: Module::new(),
        imported_globals: 0,
        counter: None,
        is_exported: false,
        code: CodeSection::new(),
    };
    for payload in Parser::new(0).parse_all(module) {
        rewriter.add(&payload?)?;
    }
    Ok(rewriter.finish())
}

struct Rewriter<'a> {
    source: &'a [u8],
    out: Module,
    imported_globals: u32,
    /// The index of its global, once that is in its section.
    counter: Option<u32>,
    is_exported: bool,
    code: CodeSection,
}

impl Rewriter<'_> {
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), CountError> {
        if let Payload::CodeSectionEntry(body) = payload {
            let counter = self.counter();
            self.code.raw(&counted_body(body, self.source, counter)?);
            return Ok(());
        }
        let Some((id, range)) = payload.as_section() else { return Ok(()) };
        let section = &self.source[range];
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    self.imported_globals += u32::from(matches!(import?.ty, TypeRef::Global(_)));
                }
                self.out.section(&RawSection { id, data: section });
            }
            Payload::GlobalSection(globals) => self.globals(globals.count(), entries(section)),
            Payload::ExportSection(exports) => {
                for export in exports.clone() {
                    if export?.name == COUNTER {
                        return Err(CountError::NameTaken);
                    }
                }
                self.exports(exports.count(), entries(section));
            }
            // Written from its entries, when all are there.
            Payload::CodeSectionStart { .. } => {}
            Payload::CustomSection(_) => {}
            _ => {
                self.come_to(id);
                self.out.section(&RawSection { id, data: section });
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        self.come_to(SectionId::Data as u8);
        self.out.finish()
    }

    /// Writes the sections that belong before this one and are not there yet.
    fn come_to(&mut self, id: u8) {
        const BEFORE_EXPORTS: [SectionId; 6] = [
            SectionId::Type,
            SectionId::Import,
            SectionId::Function,
            SectionId::Table,
            SectionId::Memory,
            SectionId::Tag,
        ];
        if BEFORE_EXPORTS.iter().any(|&before| before as u8 == id) {
            return;
        }
        if !self.is_exported {
            self.exports(0, &[]);
        }
        if id == SectionId::Data as u8 && !self.code.is_empty() {
            self.out.section(&std::mem::take(&mut self.code));
        }
    }

    fn counter(&mut self) -> u32 {
        if self.counter.is_none() {
            self.globals(0, &[]);
        }
        self.counter.unwrap_or_default()
    }

    /// The section with one more, which is the last: the others keep their numbers.
    fn globals(&mut self, count: u32, entries: &[u8]) {
        let mut data = Vec::with_capacity(entries.len() + 16);
        (count + 1).encode(&mut data);
        data.extend_from_slice(entries);
        GlobalType { val_type: ValType::I64, mutable: true, shared: false }.encode(&mut data);
        ConstExpr::i64_const(0).encode(&mut data);
        self.counter = Some(self.imported_globals + count);
        self.out.section(&RawSection { id: SectionId::Global as u8, data: &data });
    }

    fn exports(&mut self, count: u32, entries: &[u8]) {
        let counter = self.counter();
        let mut data = Vec::with_capacity(entries.len() + 32);
        (count + 1).encode(&mut data);
        data.extend_from_slice(entries);
        COUNTER.encode(&mut data);
        ExportKind::Global.encode(&mut data);
        counter.encode(&mut data);
        self.is_exported = true;
        self.out.section(&RawSection { id: SectionId::Export as u8, data: &data });
    }
}

/// A section without the number of its entries, which may be written in more bytes than it needs.
fn entries(section: &[u8]) -> &[u8] {
    let last = section.iter().position(|&byte| byte & 0x80 == 0).unwrap_or(section.len());
    section.get(last + 1..).unwrap_or_default()
}

fn counted_body(body: &FunctionBody<'_>, source: &[u8], counter: u32) -> Result<Vec<u8>, CountError> {
    let mut operators = body.get_operators_reader()?;
    let range = body.range();
    let mut out = Vec::with_capacity(range.len() * 2);
    let (mut copied, mut pending) = (range.start, ENTRY_COST);
    while !operators.eof() {
        let at = operators.original_position();
        let operator = operators.read()?;
        pending += cost(&operator);
        if ends_run(&operator) && pending > 0 {
            out.extend_from_slice(&source[copied..at]);
            charge(&mut out, counter, pending);
            (copied, pending) = (at, 0);
        }
    }
    out.extend_from_slice(&source[copied..range.end]);
    Ok(out)
}

/// Leaves the operand stack as it is, whatever lies there.
fn charge(out: &mut Vec<u8>, counter: u32, cost: i64) {
    Instruction::GlobalGet(counter).encode(out);
    Instruction::I64Const(cost).encode(out);
    Instruction::I64Add.encode(out);
    Instruction::GlobalSet(counter).encode(out);
}

fn cost(operator: &Operator<'_>) -> i64 {
    match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Unreachable
        | Operator::Return
        | Operator::Else
        | Operator::End => 0,
        _ => 1,
    }
}

/// Whether what was before it may be run without what comes after it, or the other way round.
fn ends_run(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::End
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::Unreachable
            | Operator::Call { .. }
            | Operator::CallIndirect { .. }
    )
}

/// Keeps what the instance has counted where it is seen from outside, at every tick: an attempt may be stopped at any
/// moment.
pub(super) fn follow<T: Send + 'static>(store: &mut Store<T>, counter: Global, observed: Arc<Observed>) {
    store.epoch_deadline_callback(move |mut context| {
        observed.count_instructions(counter.get(&mut context).i64());
        Ok(UpdateDeadline::Yield(NEXT_TICKS))
    });
}

/// The counter of an instance of a counted module.
pub(super) fn counter<T: 'static>(store: &mut Store<T>, instance: &Instance) -> Option<Global> {
    instance.get_global(store, COUNTER)
}

#[cfg(test)]
mod tests {
    use wasmtime::{Config, Engine, Linker, OperatorCost, VariableOperatorCost};

    use super::super::compile::ARTIFACT;
    use super::*;

    const NO_SIZES: VariableOperatorCost = VariableOperatorCost {
        memory_copy_per_byte: 0,
        memory_fill_per_byte: 0,
        memory_init_per_byte: 0,
        memory_grow_per_page: 0,
        table_copy_per_element: 0,
        table_fill_per_element: 0,
        table_init_per_element: 0,
        table_grow_per_element: 0,
        array_copy_per_element: 0,
        array_fill_per_element: 0,
        array_new_data_per_element: 0,
        array_init_data_per_element: 0,
        array_new_elem_per_element: 0,
        array_init_elem_per_element: 0,
        array_new_default_per_element: 0,
        array_new_per_element: 0,
    };

    /// A little of everything that makes control flow: calls direct and indirect, loops, tables of branches, both arms,
    /// early returns, code that cannot be reached, a start function.
    const PROGRAM: &str = r#"(module
        (type $unary (func (param i32) (result i32)))
        (global $other (mut i32) (i32.const 7))
        (table funcref (elem $double $early))
        (memory (export "memory") 1)
        (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
        (func $early (type $unary)
            (if (i32.gt_s (local.get 0) (i32.const 10)) (then (return (i32.const 1))))
            (block $out (result i32)
                (br $out (i32.const 2))
                (drop) (i32.const 3)))
        (func $begin (global.set $other (call $double (global.get $other))))
        (start $begin)
        (func (export "run") (param $n i32) (result i32) (local $sum i32)
            (loop $again
                (local.set $sum (i32.add (local.get $sum)
                    (call_indirect (type $unary) (local.get $n) (i32.and (local.get $n) (i32.const 1)))))
                (block $two (block $one (block $zero
                    (br_table $zero $one $two (i32.rem_u (local.get $n) (i32.const 3))))
                    (local.set $sum (i32.add (local.get $sum) (i32.const 5))))
                    (nop)
                    (memory.fill (i32.const 0) (i32.const 1) (i32.const 64)))
                (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 7)))
                    (then (local.set $sum (i32.xor (local.get $sum) (global.get $other))))
                    (else (local.set $sum (i32.sub (local.get $sum) (i32.const 1)))))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum)))"#;

    /// What wasmtime's own meter says of a call, and the result.
    fn by_fuel(module: &[u8], n: i32) -> (i32, u64) {
        let mut cost = OperatorCost::new();
        cost.variable = NO_SIZES;
        let mut config = Config::new();
        config.consume_fuel(true).operator_cost(cost);
        let engine = Engine::new(&config).unwrap();
        let module = wasmtime::Module::new(&engine, module).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_fuel(u64::MAX).unwrap();
        let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
        let before = store.get_fuel().unwrap();
        let result = instance.get_typed_func::<i32, i32>(&mut store, "run").unwrap().call(&mut store, n).unwrap();
        (result, before - store.get_fuel().unwrap())
    }

    fn by_counter(module: &[u8], n: i32) -> (i32, u64) {
        let engine = Engine::default();
        let module = wasmtime::Module::new(&engine, counted(module).unwrap()).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
        let counter = counter(&mut store, &instance).unwrap();
        let read = |store: &mut Store<()>| u64::try_from(counter.get(store).i64().unwrap()).unwrap();
        let before = read(&mut store);
        let result = instance.get_typed_func::<i32, i32>(&mut store, "run").unwrap().call(&mut store, n).unwrap();
        (result, read(&mut store) - before)
    }

    #[test]
    fn a_counted_module_does_what_it_did_and_counts_as_wasmtime_does() {
        let module = wat::parse_str(PROGRAM).unwrap();
        for n in 1..40 {
            let (result, count) = by_counter(&module, n);
            assert_eq!((result, count), by_fuel(&module, n), "{n}");
            assert!(count > u64::try_from(n).unwrap() * 20, "{n}: {count}");
        }
    }

    #[test]
    fn the_engine_and_modules_without_globals_exports_or_code_stay_valid() {
        let mut validator = wasmparser::Validator::new();
        let with_debug_names = wat::parse_str("(module $named (func $f (param $p i32)))").unwrap();
        let padded = {
            // A section whose number of entries is written in five bytes.
            let mut bytes = b"\0asm\x01\0\0\0".to_vec();
            bytes.extend_from_slice(&[6, 10, 0x81, 0x80, 0x80, 0x80, 0, 0x7f, 0, 0x41, 5, 0x0b]);
            bytes
        };
        for module in [ARTIFACT, b"\0asm\x01\0\0\0", &with_debug_names, &padded] {
            let counted = counted(module).unwrap();
            validator.reset();
            validator.validate_all(&counted).unwrap();
            let exports = |module: &[u8]| wasmtime::Module::new(&Engine::default(), module).unwrap().exports().len();
            assert_eq!(exports(&counted), exports(module) + 1);
        }
    }

    #[test]
    fn a_module_that_uses_the_counters_name_is_refused() {
        let module = wat::parse_str(format!("(module (global (export \"{COUNTER}\") i32 (i32.const 1)))")).unwrap();
        assert!(matches!(counted(&module), Err(CountError::NameTaken)));
        assert!(matches!(counted(b"\0asm\x01\0\0\0\x0a\x05"), Err(CountError::Broken(_))));
    }
}
