//! The models that come with the project do what they were trained for.

use std::process::Command;

#[test]
fn the_pole_stays_up_and_dates_are_translated() {
    let test = std::env::current_exe().expect("the test's own path");
    // Cargo builds the examples beside the tests.
    let folder = test.ancestors().nth(2).expect("the build folder").join("examples");
    let done = Command::new(folder.join("trained")).output().expect("it starts");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(text.contains("with its memory: 200 steps"), "{text}");
    assert!(!text.contains("without it: 200 steps"), "{text}");
    for iso in [" 1970-09-10 ", " 2002-03-03 ", " 1976-07-04 ", " 1999-12-31 "] {
        assert!(text.contains(iso), "{iso} in\n{text}");
    }
}
