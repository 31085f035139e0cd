#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entrada_fuzz::response_walker(data));
