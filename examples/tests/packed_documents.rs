//! The example checks its own losses and gradients, so it only has to run.

use std::process::Command;

#[test]
fn packed_documents_have_the_loss_of_single_ones() {
    let test = std::env::current_exe().expect("the test's own path");
    // Cargo builds the examples beside the tests.
    let folder = test.ancestors().nth(2).expect("the build folder").join("examples");
    let done = Command::new(folder.join("packed_documents")).output().expect("it starts");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(text.contains("5 % in 3 packed rows"), "{text}");
}
