//! The example trains for half a minute. A model that learned nothing writes no word right.

use std::process::Command;

#[test]
fn words_are_written_backwards() {
    let test = std::env::current_exe().expect("the test's own path");
    // Cargo builds the examples beside the tests.
    let folder = test.ancestors().nth(2).expect("the build folder").join("examples");
    let done = Command::new(folder.join("seq2seq")).output().expect("it starts");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
    let text = String::from_utf8_lossy(&done.stdout);
    let line = text.lines().find(|line| line.starts_with("unseen words of up to  8 letters"));
    let line = line.unwrap_or_else(|| panic!("no such line in\n{text}"));
    // "… right by greedy decoding X %, by a beam of 5 Y %"
    let before_percent = |part: &str| part.split(' ').next_back()?.parse::<f64>().ok();
    let percents: Vec<f64> = line.split(" %").filter_map(before_percent).collect();
    // 500 words, and the share of all words is above 98 %: five standard deviations are 3 %.
    assert!(percents.len() == 2 && percents.iter().all(|percent| *percent > 95.0), "{text}");
}
