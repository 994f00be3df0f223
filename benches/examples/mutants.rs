//! A test of the tests: backward passes with one thing wrong, and what of the suite notices.
//!
//! Command: `cargo run --release -p bptt-benches --example mutants [-- cells]` (with the sources some
//! minutes, most of them one build; with `cells` without that, some seconds).
//!
//! What to expect: a table of all mutants, of the cells' backward steps and of the kernels' passes over
//! the sequence, each with the case and the tensor that caught it; those that survived; and the count.
//! Exit code 1 if less than 95 % were caught.
//!
//! The cells' text is generic over its number, so that a number which does its k-th operation wrong
//! makes each mutant at run time (`bptt_probe::mutants`). The passes are mutated in a copy of the source,
//! below the target folder: all changes go into it at once, each behind a switch that an environment
//! variable turns, and this program, built from the copy, runs the case table with one of them on.

use bptt::Kernel;
use bptt_benches::mutants::{all, files, kernels, with_mutants};
use bptt_probe::mutants::{Catch, Suite, Verdict, of_cells};
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{env, fs, io};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let what = env::args().nth(1);
    let done = match what.as_deref() {
        Some("suite") => return suite(env::args().nth(2).as_deref() == Some("reference")),
        Some("cells") => report(true),
        _ => report(false),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::from(2)
        }
    }
}

fn report(cells_alone: bool) -> Result<bool, Failure> {
    let start = Instant::now();
    let mut verdicts = of_cells(&Device::flex(), false)?;
    if !cells_alone {
        verdicts.extend(of_sources()?);
    }
    println!("| where | kernel | what is wrong | caught by | tensor | error |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for Verdict { place, kernel, mutation, caught } in &verdicts {
        let caught = match caught {
            Some(Catch { case, tensor, error, .. }) if error.is_finite() => {
                format!("{case} | {tensor} | {error:.0e}")
            }
            Some(Catch { case, tensor, .. }) => format!("{case} | {tensor} | –"),
            None => "**nothing** | – | –".to_string(),
        };
        println!("| {place} | {kernel} | {mutation} | {caught} |");
    }
    let caught = verdicts.iter().filter(|verdict| verdict.caught.is_some()).count();
    let share = 100.0 * caught as f64 / verdicts.len() as f64;
    println!(
        "\n{caught} of {} mutants caught, {share:.1} %, in {:.0} s",
        verdicts.len(),
        start.elapsed().as_secs_f64()
    );
    for Verdict { place, kernel, mutation, .. } in verdicts.iter().filter(|v| v.caught.is_none()) {
        println!("survived: {place} by {kernel}: {mutation}");
    }
    Ok(share >= 95.0)
}

/// Runs the case table, in the copy, with the mutant that the environment names. The first failure
/// goes to standard output as JSON.
fn suite(reference: bool) -> ExitCode {
    let kernel = if reference { Kernel::Reference } else { Kernel::Auto };
    let found = Suite::new(&Device::flex(), |_| true).first_failure(kernel, bptt_probe::measure);
    match found {
        Ok(found) => {
            let text = found.map(|c| format!("{}\t{}\t{}", c.case, c.tensor, c.error));
            println!("{}", text.unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn of_sources() -> Result<Vec<Verdict>, Failure> {
    let program = build()?;
    // Without a mutant the copy has to pass, or it would prove nothing.
    for kernel in [Kernel::Auto, Kernel::Reference] {
        if let Some(Catch { case, tensor, .. }) = run(&program, None, kernel)? {
            return Err(format!("the copy without a mutant fails at {case} {tensor}").into());
        }
    }
    let mut verdicts = Vec::new();
    for (number, (site, k)) in all().into_iter().enumerate() {
        for &kernel in kernels(site.file) {
            verdicts.push(Verdict {
                place: site.file.to_string(),
                kernel: kernel.name().to_string(),
                mutation: site.wrong[k].0.to_string(),
                caught: run(&program, Some(number), kernel)?,
            });
        }
    }
    Ok(verdicts)
}

/// Copies the crates, with all mutants in the kernels, and builds this program there.
fn build() -> Result<PathBuf, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let copy = target.join("mutants");
    // The whole workspace, so that dependencies have the same features and need not be built again.
    for folder in ["crates", "examples", "benches", "tools"] {
        copy_folder(&root.join(folder), &copy.join(folder))?;
    }
    fs::copy(root.join("Cargo.lock"), copy.join("Cargo.lock"))?;
    // Another version: Cargo would take one for the other, the next time that ours is built.
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let ours = format!("\nversion = \"{}\"", env!("CARGO_PKG_VERSION"));
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    let theirs = format!("\nversion = \"{major}.{minor}.999\"");
    fs::write(copy.join("Cargo.toml"), manifest.replacen(&ours, &theirs, 1))?;

    let source = copy.join("crates/bptt-kernels/src");
    for file in files() {
        let path = source.join(file);
        fs::write(&path, with_mutants(file, &fs::read_to_string(&path)?)?)?;
    }
    let library = fs::read_to_string(source.join("lib.rs"))?;
    fs::write(source.join("lib.rs"), library + "\nmod mutant;\n")?;
    fs::write(
        source.join("mutant.rs"),
        "//! Which mutant is on.\n\
         pub(crate) fn is(number: usize) -> bool {\n\
         static ON: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();\n\
         let on = || std::env::var(\"BPTT_MUTANT\").ok()?.parse().ok();\n\
         *ON.get_or_init(on) == Some(number)\n\
         }\n",
    )?;

    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--workspace", "--example", "mutants", "--target-dir"])
        .arg(&target)
        .arg("--manifest-path")
        .arg(copy.join("Cargo.toml"))
        .status()?;
    if !built.success() {
        return Err("the copy with the mutants does not build".into());
    }
    // Where the copy's build has put it, over this program's own file: so take it away from there.
    let program = copy.join("program");
    let from = target.join("release/examples/mutants");
    let _ = fs::remove_file(&program);
    fs::copy(from, &program)?;
    Ok(program)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// The first failure of the suite with a mutant on.
fn run(program: &Path, mutant: Option<usize>, kernel: Kernel) -> Result<Option<Catch>, Failure> {
    let mut command = Command::new(program);
    command.args(["suite", kernel.name()]);
    if let Some(mutant) = mutant {
        command.env("BPTT_MUTANT", mutant.to_string());
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let catch = |case: &str, tensor: &str, error| {
        Some(Catch { case: case.to_string(), tensor: tensor.to_string(), error, tolerance: 1e-12 })
    };
    if !output.status.success() {
        return Ok(catch("a panic", "–", f64::INFINITY));
    }
    let mut fields = text.trim().split('\t');
    let (Some(case), Some(tensor), Some(error)) = (fields.next(), fields.next(), fields.next())
    else {
        return Ok(None);
    };
    Ok(catch(case, tensor, error.parse()?))
}
