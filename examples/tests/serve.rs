//! The service answers what the model of the run says, on standard input and on a port, and goes on after a restart.

use bptt::CellKind;
use bptt_zoo::{CharLm, RunFolder, Session, Settings, Task, train};
use burn::tensor::{Int, Tensor};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;

/// The program, which cargo builds beside the tests.
fn serve(run: &Path, address: Option<&str>) -> Child {
    let test = std::env::current_exe().expect("the test's own path");
    let folder: PathBuf = test.ancestors().nth(2).expect("the build folder").join("examples");
    Command::new(folder.join("serve"))
        .arg(run)
        .args(address)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the service starts")
}

/// What it answers to these lines on standard input, in any order.
fn answers(run: &Path, lines: &str) -> Vec<String> {
    let mut service = serve(run, None);
    let mut input = service.stdin.take().expect("a pipe");
    input.write_all(lines.as_bytes()).expect("the service reads");
    drop(input);
    let done = service.wait_with_output().expect("the service ends");
    assert!(done.status.success());
    String::from_utf8_lossy(&done.stdout).lines().map(str::to_string).collect()
}

/// What the model expects after a text, in the words of the service.
fn expected(run: &Path, stream: u64, text: &str) -> String {
    let device = bptt_examples::device();
    let (model, tokenizer) = RunFolder::new(run).char_model(&device).expect("a model");
    let vocabulary = tokenizer.vocabulary().expect("the tokens are characters");
    let (mut state, mut scores) = (None, Vec::new());
    for character in text.chars() {
        let number = vocabulary.binary_search(&character).expect("it is in the text");
        let input = Tensor::<1, Int>::from_data([number as i32], &device);
        let (output, after) = model.step(input, state);
        let output = burn::tensor::activation::softmax(output, 1);
        (scores, state) = (output.into_data().iter::<f32>().collect(), Some(after));
    }
    let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let best = best.expect("a character");
    format!("{stream} expects {:?} with probability {:.2}", vocabulary[best], scores[best])
}

fn trained(run: &Path) {
    let defaults = CharLm::defaults();
    let settings = Settings { cell: CellKind::Gru.into(), hidden: 24, steps: Some(40), ..defaults };
    let session = Session {
        device: bptt_examples::device(),
        out: run.to_path_buf(),
        resume: false,
        warm_start: None,
        stop: &AtomicBool::new(false),
        probes: Default::default(),
        begun: &mut || {},
        say: &mut |_| {},
        progress: None,
    };
    train(&settings, session).expect("it trains");
}

#[test]
fn streams_are_answered_and_go_on_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = folder.path().join("run");
    trained(&run);

    let found = answers(&run, "1 the gradi\n2 a state\n1 ent\nx y\n1\n1 \n3 \u{2603}\n");
    assert_eq!(found.len(), 7, "{found:?}");
    for line in [
        expected(&run, 1, "the gradi"),
        expected(&run, 1, "the gradient"),
        expected(&run, 2, "a state"),
        "x error: the stream is not a number".to_string(),
        "1 error: expected a number, a blank and a text".to_string(),
        "1 error: there is no character after the blank".to_string(),
        "3 error: the model has never seen '\u{2603}'".to_string(),
    ] {
        assert!(found.contains(&line), "{line} is not in {found:?}");
    }
    // Another process knows what the first one had read.
    assert_eq!(answers(&run, "1  of\n"), [expected(&run, 1, "the gradient of")]);

    // By a port: two connections, each gets its own answers.
    let mut service = serve(&run, Some("127.0.0.1:0"));
    let mut said = String::new();
    let mut stderr = BufReader::new(service.stderr.take().expect("a pipe"));
    stderr.read_line(&mut said).expect("the service says where it listens");
    let address = said.trim_end().rsplit(' ').next().expect("an address").to_string();
    let talks = [(10, "the loss"), (11, "a layer")].map(|(stream, text)| {
        let mut connection = TcpStream::connect(&address).expect("the service listens");
        writeln!(connection, "{stream} {text}").expect("it is open");
        (connection, expected(&run, stream, text))
    });
    for (connection, expected) in talks {
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).expect("an answer");
        assert_eq!(line.trim_end(), expected);
    }
    service.kill().expect("it runs until it is killed");
    service.wait().expect("it ends");
}
