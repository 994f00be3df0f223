//! Only a failed comparison is a catch: a child that ends in any other way has died.
#![cfg(unix)]

use bptt_mutants::child::{line, run};
use bptt_mutants::suite::{Catch, Fate};
use std::process::Command;
use std::time::Duration;

fn fate(script: &str) -> Fate {
    let mut shell = Command::new("sh");
    run(shell.args(["-c", script]), Duration::from_secs(2)).expect("sh starts")
}

#[test]
fn a_failed_comparison_is_a_catch() {
    let catch = Catch { case: "lstm-plain".into(), tensor: "grad.bias_hh_l0".into(), error: 0.25 };
    assert_eq!(fate(&format!("echo '{}'", line(Some(&catch)))), Fate::Caught(catch.clone()));
    // An infinite error is a comparison too: a value was not a number.
    let infinite = Catch { error: f64::INFINITY, ..catch };
    assert_eq!(fate(&format!("echo '{}'", line(Some(&infinite)))), Fate::Caught(infinite));
    assert_eq!(fate(&format!("echo '{}'", line(None))), Fate::Survived);
}

#[test]
fn what_dies_otherwise_is_no_catch() {
    let caught = "printf 'caught\\tlstm-plain\\toutput\\t1\\n'";
    for (script, why) in [
        ("kill -SEGV $$", "SIGSEGV"),
        ("kill -KILL $$", "SIGKILL"),
        // What a panic exits with; and the command's own code for an error.
        ("exit 101", "101"),
        ("exit 2", "2"),
        // A failed comparison is not believed if the process dies behind it.
        (&format!("{caught}; exit 101"), "101"),
        ("exec sleep 30", "no result after 2 s"),
        ("true", "it printed \"\""),
        ("echo nonsense", "nonsense"),
        ("printf 'caught\\tlstm-plain\\toutput\\tmuch\\n'", "much"),
        ("printf 'caught\\tlstm-plain\\n'", "lstm-plain"),
        // Cut off in the middle.
        ("printf 'caught\\tlstm-plain\\toutput\\t1'", "printed"),
    ] {
        match fate(script) {
            Fate::Died(reason) => assert!(reason.contains(why), "{script}: {reason}"),
            other => panic!("{script}: {other:?}"),
        }
    }
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let missing = run(&mut Command::new("/no/such/program"), Duration::from_secs(1));
    assert!(missing.is_err());
}
