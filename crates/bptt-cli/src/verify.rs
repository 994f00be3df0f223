//! `bptt verify`

use crate::failure::Failure;
use crate::kernel_arg::KernelArg;
use crate::output;
use crate::status_line::StatusLine;
use bptt::{CellKind, Kernel, LayerKind};
use bptt_probe::verify::{Progress, Request, Verification, WITNESSES, find, verify_with};
use bptt_probe::{
    About, DType, Row, Witness, device, device_table, html, table, ulp_table, witness_table,
};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Arguments of `bptt verify`.
#[derive(Args)]
pub struct VerifyArgs {
    /// Only this cell [default: all]
    #[arg(long, value_enum)]
    cell: Option<CellArg>,
    /// A device; may be given more than once [default: all host devices of this build]
    #[arg(long, value_name = "D")]
    device: Vec<String>,
    /// Only this float type [default: all that the device has, on GPUs without bf16 and f16]
    #[arg(long, value_enum)]
    dtype: Option<DTypeArg>,
    /// Which kernel of the manual engine is verified; steps and rows are for GPUs [default: auto]
    #[arg(long, value_enum)]
    kernel: Option<KernelArg>,
    /// A witness; may be given more than once [default: all]
    #[arg(long, value_parser = witness_parser(), value_name = "W")]
    witness: Vec<&'static dyn Witness>,
    /// A folder of PyTorch reference files (*.safetensors) [default: those that come with bptt]
    #[arg(long, value_name = "DIR")]
    reference: Option<PathBuf>,
    /// Write a list of all comparisons as JSON to FILE (`-`: standard output, and nothing else
    /// there)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the certificate as a page to FILE: self-contained, readable on paper
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Also print a row for each cell, engine, kernel, device and type, the errors in units in the last place, the
    /// condition numbers, and what was left out
    #[arg(long)]
    verbose: bool,
    /// Turn the sign of gate K (0 to 3) in the hand-written backward of the LSTM, to see the
    /// checks fail; only in builds with the feature `sabotage`
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(0..4))]
    sabotage: Option<u8>,
}

/// A cell, as the command line names it: one of [`LayerKind::all`].
#[derive(Clone, Copy)]
pub struct CellArg(LayerKind);

impl ValueEnum for CellArg {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<CellArg>> =
            LazyLock::new(|| LayerKind::all().into_iter().map(CellArg).collect());
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()).help(self.0.description()))
    }
}

impl From<CellArg> for LayerKind {
    fn from(cell: CellArg) -> Self {
        cell.0
    }
}

/// A cell that runs step by step, as the command line names it: one of [`CellKind::ALL`].
#[derive(Clone, Copy)]
pub struct StepCellArg(CellKind);

impl ValueEnum for StepCellArg {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<StepCellArg>> =
            LazyLock::new(|| CellKind::ALL.map(StepCellArg).into());
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()).help(self.0.description()))
    }
}

impl From<StepCellArg> for CellKind {
    fn from(cell: StepCellArg) -> Self {
        cell.0
    }
}

/// A float type, as the command line names it: one of [`DType::ALL`].
#[derive(Clone, Copy)]
pub struct DTypeArg(DType);

impl ValueEnum for DTypeArg {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<DTypeArg>> = LazyLock::new(|| DType::ALL.map(DTypeArg).into());
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()))
    }
}

impl From<DTypeArg> for DType {
    fn from(dtype: DTypeArg) -> Self {
        dtype.0
    }
}

/// The names of the witnesses, with their descriptions.
fn witness_parser() -> impl TypedValueParser<Value = &'static dyn Witness> {
    let name = |witness: &&dyn Witness| PossibleValue::new(witness.name()).help(witness.help());
    let names: Vec<_> = WITNESSES.iter().map(name).collect();
    PossibleValuesParser::new(names).map(|name| find(&name).expect("one of the names"))
}

/// Verifies, and prints a table and a summary.
pub fn run(args: VerifyArgs) -> Result<(), Failure> {
    let started = Instant::now();
    output::check(&[args.json.as_ref(), args.html.as_ref()])?;
    let request = request(&args);
    let (mut line, mut last) = (StatusLine::new(), None);
    let found = verify_with(&request, &mut |device, progress| {
        tell(&mut line, &mut last, device, &progress)
    });
    line.end();
    let found = found.map_err(Failure::usage)?;
    let say = |text: &str| output::say(args.json.as_ref(), text);

    if args.verbose {
        details(&found, &say);
    } else {
        say(witness_table(&found.rows).trim_end());
        let failed: Vec<Row> = found.failures().cloned().collect();
        if !failed.is_empty() {
            say(&format!("\nWhere they failed:\n{}", table(&failed).trim_end()));
        }
        say(&format!(
            "\nIn the columns of types: the worst error on {}.",
            request.devices.join(", ")
        ));
        say(&format!(
            "--verbose has each cell, engine and device, and {} lines on what was left out.",
            found.skipped.len(),
        ));
    }
    for line in &found.broken {
        output::note(&format!("bptt: {line}"));
    }
    if let Some(path) = &args.json {
        output::write_json(path, &found.rows)?;
    }

    if let Some(path) = &args.html {
        let page = html(&found, &about(started.elapsed().as_secs_f64()));
        bptt_zoo::write_whole(path, page.as_bytes())?;
    }

    let (count, failed) = (found.rows.len(), found.failures().count());
    let took = started.elapsed().as_secs_f64();
    say(&format!(
        "{} comparisons, {} passed, {failed} failed, in {took:.1} s",
        count,
        count - failed,
    ));
    if !found.broken.is_empty() {
        let broken = found.broken.len();
        return Err(Failure::usage(format!("{broken} reference files could not be read")));
    }
    if count == 0 {
        return Err(Failure::usage("nothing was compared: no case fits these options"));
    }
    let Some(first) = found.failures().max_by(|a, b| a.error.total_cmp(&b.error)) else {
        return Ok(());
    };
    Err(Failure::check(format!(
        "{failed} of {count} comparisons failed; the worst: {} {} by {} on {} in {}, {:.1e} \
         against {}, allowed {:.0e}",
        first.case,
        first.tensor,
        first.engine,
        first.device,
        first.dtype,
        first.error,
        first.witness,
        first.tolerance,
    )))
}

/// Prints all that was found, but the comparisons one by one.
fn details(found: &Verification, say: &impl Fn(&str)) {
    say(table(&found.rows).trim_end());
    let devices = device_table(&found.rows);
    if !devices.is_empty() {
        say(&format!("\nEach device against flex in f64, by both engines:\n{devices}"));
    }
    if !found.ulps.is_empty() {
        say(&format!(
            "\nErrors against the true value, entry by entry:\n{}",
            ulp_table(&found.ulps)
        ));
    }
    for line in &found.conditions {
        say(&format!("condition: {line}"));
    }
    for line in &found.skipped {
        say(&format!("left out: {line}"));
    }
}

/// Says what is compared now: on a terminal each witness, else each tenth of the whole. `last` is the tenth that was said
/// last.
fn tell(line: &mut StatusLine, last: &mut Option<usize>, device: &str, progress: &Progress) {
    let Progress { dtype, witness, cell, compared, done, total } = *progress;
    if line.is_terminal() {
        let what = cell.map_or(String::new(), |cell| format!("{} ", cell.name()));
        let part = format!("{} of {total}: {what}on {device} in {}", done + 1, dtype.name());
        line.say(&format!("{part}, {witness}; {compared} compared so far"));
        return;
    }
    // A line for each tenth.
    let tenth = done * 10 / total.max(1);
    if last.replace(tenth) != Some(tenth) {
        line.say(&format!("{done} of {total} parts, {compared} compared so far"));
    }
}

fn request(args: &VerifyArgs) -> Request {
    let devices: Vec<_> = match args.device.is_empty() {
        true => device::names().filter(|name| device::is_host(name)).map(String::from).collect(),
        false => args.device.clone(),
    };
    let on_host = devices.iter().all(|name| device::is_host(name));
    let dtypes = match args.dtype {
        Some(dtype) => vec![dtype.into()],
        // With 16 bits every shape would compile another shader.
        None => DType::ALL.into_iter().filter(|dtype| on_host || !dtype.is_half()).collect(),
    };
    let witnesses = match args.witness.is_empty() {
        true => WITNESSES.to_vec(),
        false => args.witness.clone(),
    };
    Request {
        cell: args.cell.map(LayerKind::from),
        devices,
        dtypes,
        witnesses,
        reference: args.reference.clone(),
        kernel: args.kernel.map_or(Kernel::Auto, Kernel::from),
        sabotage: args.sabotage.map(usize::from),
    }
}

/// The information about this run, for the page.
fn about(seconds: f64) -> About {
    let quoted = |argument: String| match argument.contains(char::is_whitespace) {
        true => format!("'{argument}'"),
        false => argument,
    };
    let arguments = std::env::args_os().skip(1).map(|a| quoted(a.to_string_lossy().into_owned()));
    let command = ["bptt".to_string()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let system = format!("{} {}, {threads} threads", std::env::consts::OS, std::env::consts::ARCH);
    let versions = [
        ("bptt", env!("CARGO_PKG_VERSION").to_string()),
        ("burn", BURN.to_string()),
        ("compiler", env!("BPTT_RUSTC").to_string()),
        ("system", system),
    ];
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    About {
        command,
        date: date(since.as_secs()),
        seconds,
        versions: versions.map(|(name, version)| (name.to_string(), version)).into(),
    }
}

/// The version of Burn that the workspace requires.
const BURN: &str = "~0.22.1";

/// A time in seconds since 1970 as date and time of day, UTC, by the Gregorian calendar.
fn date(seconds: u64) -> String {
    let (mut days, of_day) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute) = (of_day / 3600, of_day % 3600 / 60);
    format!("{year}-{:02}-{:02} {hour:02}:{minute:02} UTC", month + 1, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_calendars() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_825_540), "2000-02-29 11:59 UTC");
        assert_eq!(date(4_107_542_400), "2100-03-01 00:00 UTC");
    }

    #[test]
    fn the_burn_that_is_named_is_the_one_that_is_used() {
        // Asked when the test runs: a target folder may be shared by several checkouts.
        let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
        let workspace = std::path::Path::new(&package).join("../../Cargo.toml");
        let text = std::fs::read_to_string(workspace).expect("the workspace has a manifest");
        assert!(text.contains(&format!("burn = {{ version = \"{BURN}\"")));
    }
}
