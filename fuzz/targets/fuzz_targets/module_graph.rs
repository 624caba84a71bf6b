//! `module_graph` for libFuzzer; see README.md.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sublet_fuzz::module_graph(bytes));
