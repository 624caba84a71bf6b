//! `structured_cloudevent` for libFuzzer; see README.md.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sublet_fuzz::structured_cloudevent(bytes));
