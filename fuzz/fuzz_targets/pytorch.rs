#![no_main]
//! `cargo fuzz run pytorch`

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bptt_fuzz::read(bptt_zoo::weights::PYTORCH, bytes);
});
