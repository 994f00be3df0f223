//! What a step cannot be faster than, as it is measured.
#![cfg(feature = "flex")]

use bptt_kernels::{product_seconds, reading_seconds};

fn products(all: &[[usize; 3]], threads: usize) -> f64 {
    product_seconds(all, threads).expect("there are kernels for host memory")
}

#[test]
fn twice_as_much_takes_longer() {
    let one = products(&[[4, 64, 256]], 1);
    let four = products(&[[4, 64, 256]; 4], 1);
    assert!(one > 0.0 && four > 1.5 * one, "{one} {four}");
    let read = |numbers| reading_seconds(numbers, 1).expect("there are kernels for host memory");
    let (some, more) = (read(1 << 12), read(1 << 16));
    assert!(some > 0.0 && more > 2.0 * some, "{some} {more}");
    // Sizes that fill no panel, and more threads than rows.
    for threads in 1..=3 {
        let all = [[1, 37, 83], [2, 5, 7]];
        let (time, rate) = (products(&all, threads), read(1000));
        assert!(time > 0.0 && time < 1.0 && rate > 0.0, "{time} {rate}");
    }
}
