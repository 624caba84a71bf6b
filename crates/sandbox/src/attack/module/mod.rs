//! A tenant's own WebAssembly, as data: modules that must not be deployable ([`refused`]), that are bombs for the
//! compiler ([`compile`]), that run and must end by their limits ([`run`], [`output`]), and that ask the host for what
//! they may not have ([`wasi`]). [`make`] and [`call`] write them; [`program`] says what must come of one, and judges.

mod call;
mod compile;
mod make;
mod output;
mod program;
mod refused;
mod run;
mod wasi;

pub(super) use compile::bomb;
pub(super) use make::saying;
pub(super) use program::ModuleProgram;

/// All of them.
pub(super) fn programs() -> impl Iterator<Item = &'static ModuleProgram> {
    [refused::PROGRAMS, compile::PROGRAMS, run::PROGRAMS, output::PROGRAMS, wasi::PROGRAMS].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::*;

    /// Else it would be refused, and not for what its promise is about.
    #[test]
    fn what_must_run_is_a_valid_module() {
        for program in programs().filter(|program| program.must_run()) {
            for module in program.modules() {
                let validated = Validator::new().validate_all(&module);
                assert!(validated.is_ok(), "{}: {:?}", program.name, validated.err());
            }
        }
    }
}
