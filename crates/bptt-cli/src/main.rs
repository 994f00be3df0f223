//! bptt
fn main() {}
