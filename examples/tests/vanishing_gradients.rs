//! The exponents of the example predict its gradients.

use std::process::Command;

#[test]
fn the_exponent_is_the_slope_of_the_gradient() {
    let test = std::env::current_exe().expect("the test's own path");
    // Cargo builds the examples beside the tests.
    let folder = test.ancestors().nth(2).expect("the build folder").join("examples");
    let done = Command::new(folder.join("vanishing_gradients")).output().expect("it starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8_lossy(&done.stdout);
    let lines: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(lines.len(), 5, "{text}");
    // The first of 99 steps do not count, and a chaotic network has not the same slope everywhere: 0.041 is the
    // largest difference, at g = 2.
    for line in lines {
        let numbers: Vec<f64> =
            line.split_whitespace().rev().take(2).filter_map(|part| part.parse().ok()).collect();
        assert!((numbers[0] - numbers[1]).abs() < 0.05, "{line}");
    }
}
