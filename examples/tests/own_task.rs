//! A task from outside of the crates is trained, resumed, loaded and asked.

use std::process::Command;

#[test]
fn a_task_of_ones_own_is_trained_resumed_and_asked() {
    let test = std::env::current_exe().expect("the test's own path");
    // Cargo builds the examples beside the tests.
    let folder = test.ancestors().nth(2).expect("the build folder").join("examples");
    let done = Command::new(folder.join("own_task")).output().expect("it starts");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
    let text = String::from_utf8_lossy(&done.stdout);
    let numbers = |begin: &str| -> Vec<f64> {
        let line = text.lines().find(|line| line.starts_with(begin));
        let line = line.unwrap_or_else(|| panic!("no `{begin}` in\n{text}"));
        let words = line.split([' ', ',']);
        words.filter_map(|word| word.parse().ok()).collect()
    };
    assert!(text.contains("step 200 ") && text.contains("step 400 "), "{text}");
    let [loss, accuracy] = numbers("loss ")[..] else { panic!("{text}") };
    assert!(loss < 0.3 && accuracy > 0.9, "{text}");
    let [ones, zeros] = numbers("only ones: ")[..] else { panic!("{text}") };
    assert!(ones > 0.9 && zeros < 0.1, "{text}");
}
