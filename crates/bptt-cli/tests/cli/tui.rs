//! `train --tui`, on a pseudo-terminal by `script` of util-linux, and without one.

use crate::{bptt, stderr};

#[test]
fn the_interface_wants_a_terminal() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let done = bptt(&["train", "parity", "--tui", "--out", out.to_str().expect("a plain path")]);
    assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
    let said = if cfg!(feature = "tui") {
        "--tui: standard input and output have to be a terminal; leave it out"
    } else {
        "--tui: this command is built without Burn's interface; build it with"
    };
    assert!(stderr(&done).contains(said), "{}", stderr(&done));
    assert_eq!(stderr(&done).lines().count(), 1, "{}", stderr(&done));
    assert!(!out.exists());
}

#[cfg(all(feature = "tui", target_os = "linux"))]
mod on_a_terminal {
    use std::io::{Read, Write};
    use std::path::Path;
    use std::process::{Child, ChildStdin, Command, Stdio};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::{Duration, Instant};

    /// The command on a terminal of 100 columns.
    struct Terminal {
        child: Child,
        keys: ChildStdin,
        shown: Receiver<Vec<u8>>,
        text: String,
    }

    impl Terminal {
        fn begin(out: &Path, steps: &str) -> Self {
            let command = format!(
                "stty cols 100 rows 40; exec {} train parity --hidden 4 --batch 4 --tui --steps {steps} \
                 --validate-every 200 --out {}",
                env!("CARGO_BIN_EXE_bptt"),
                out.display(),
            );
            let mut child = Command::new("script")
                .args(["--quiet", "--flush", "--return", "--command", &command, "/dev/null"])
                .env("TERM", "xterm-256color")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("util-linux has `script`");
            let keys = child.stdin.take().expect("it was asked for");
            let mut stdout = child.stdout.take().expect("it was asked for");
            let (to, shown) = channel();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                    if to.send(bytes[..count].to_vec()).is_err() {
                        return;
                    }
                }
            });
            Self { child, keys, shown, text: String::new() }
        }

        /// Waits until this is shown.
        fn wait_for(&mut self, what: &str) {
            let start = Instant::now();
            while !self.text.contains(what) {
                assert!(start.elapsed() < Duration::from_secs(60), "no {what}: {}", self.text);
                self.read();
            }
        }

        fn read(&mut self) {
            if let Ok(bytes) = self.shown.recv_timeout(Duration::from_millis(50)) {
                self.text.push_str(&String::from_utf8_lossy(&bytes));
            }
        }

        fn press(&mut self, keys: &str) {
            self.keys.write_all(keys.as_bytes()).expect("it reads");
            self.keys.flush().expect("it reads");
        }

        /// The exit code, once it has ended.
        fn end(&mut self) -> Option<i32> {
            let start = Instant::now();
            loop {
                self.read();
                if let Some(status) = self.child.try_wait().expect("it can be asked") {
                    while let Ok(bytes) = self.shown.recv_timeout(Duration::from_millis(200)) {
                        self.text.push_str(&String::from_utf8_lossy(&bytes));
                    }
                    return status.code();
                }
                assert!(start.elapsed() < Duration::from_secs(60), "no end: {}", self.text);
            }
        }
    }

    impl Drop for Terminal {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// What ends the interface's own screen.
    const SCREEN_LEFT: &str = "\x1b[?1049l";

    #[test]
    fn tui_shows_a_run_and_gives_the_terminal_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("run");
        let mut terminal = Terminal::begin(&out, "2000");
        assert_eq!(terminal.end(), Some(0), "{}", terminal.text);
        assert!(terminal.text.contains("Loss"), "{}", terminal.text);
        // The lines come behind the interface, and nothing is lost.
        let (_, after) = terminal.text.split_once(SCREEN_LEFT).expect("the screen is left");
        assert!(after.contains("2000"), "{after}");
        assert!(out.join("model.bpk").is_file());
    }

    #[test]
    fn tui_saves_a_run_that_a_person_ends() {
        // Ctrl-C; and the interface's own menu, to stop and to kill the program.
        for keys in [&["\x03"][..], &["q", "s"], &["q", "k"]] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let out = folder.path().join("run");
            let mut terminal = Terminal::begin(&out, "100000000");
            terminal.wait_for("Loss");
            std::thread::sleep(Duration::from_secs(2));
            for key in keys {
                terminal.press(key);
                std::thread::sleep(Duration::from_millis(500));
            }
            assert_eq!(terminal.end(), Some(130), "{keys:?}: {}", terminal.text);
            assert!(terminal.text.contains("the run is saved"), "{keys:?}: {}", terminal.text);
            assert!(out.join("checkpoint.json").is_file(), "{keys:?}");
        }
    }
}
