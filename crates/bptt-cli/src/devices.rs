//! `bptt devices`

use crate::failure::Failure;
use crate::output;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `bptt devices`.
#[derive(Args)]
pub struct DevicesArgs {
    /// Write the result as JSON to FILE (`-`: standard output, and nothing else there)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Prints which devices are compiled in, which of them work, and what is missing.
pub fn run(args: DevicesArgs) -> Result<(), Failure> {
    output::check(&[args.json.as_ref()])?;
    let report = bptt_probe::device::report();
    let say = |text: &str| output::say(args.json.as_ref(), text);
    for device in &report {
        let state = match (device.compiled, device.works) {
            (true, true) => "works",
            (true, false) => "does not work here",
            (false, _) => "not compiled in",
        };
        let dtypes = device.dtypes.join(" ");
        let line = format!("{:<8} {state:<19} {dtypes:<16} {}", device.name, device.what);
        say(line.trim_end());
        if !device.hint.is_empty() {
            say(&format!("         {}", device.hint));
        }
    }
    match &args.json {
        Some(path) => output::write_json(path, &report),
        None => Ok(()),
    }
}
