#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tuplix_fuzz::segment(bytes));
