#![no_main]
//! `cargo fuzz run safetensors`

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bptt_fuzz::read(bptt_zoo::weights::SAFETENSORS, bytes);
});
