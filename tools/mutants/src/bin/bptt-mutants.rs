//! A test of the tests: backward passes with one thing wrong, and what of the suite notices.
//!
//! Command: `cargo run --release -p bptt-mutants [-- cells]` (with the sources some minutes, most of them
//! one build; with `cells` without that, some seconds).
//!
//! What to expect: a table of all mutants, of the cells' backward steps and of the kernels' passes over
//! the sequence, each with the case and the tensor that caught it; those that survived or died; and the
//! count. Exit code 1 if less than 95 % were caught, or if one died of anything but a failed comparison.
//!
//! The cells' mutants are made at run time. The passes are mutated in a copy of the source, below the
//! target folder: all changes go into it at once, each behind a switch that an environment variable
//! turns, and this program, built from the copy, runs the case table with one of them on.

use bptt::Kernel;
use bptt_mutants::sites::{all, crates, files, kernels, with_mutants};
use bptt_mutants::suite::{Catch, Fate, Suite, Verdict};
use bptt_mutants::{child, of_cells};
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use std::{env, fs, io};

type Failure = Box<dyn std::error::Error>;

/// How long one mutant may take; the whole table takes some seconds.
const LIMIT: Duration = Duration::from_secs(180);

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
    for Verdict { place, kernel, mutation, fate } in &verdicts {
        let fate = match fate {
            Fate::Caught(Catch { case, tensor, error }) => {
                format!("{case} | {tensor} | {error:.0e}")
            }
            Fate::Survived => "**nothing** | – | –".to_string(),
            Fate::Died(why) => format!("**died: {why}** | – | –"),
        };
        println!("| {place} | {kernel} | {mutation} | {fate} |");
    }
    let count = |of: fn(&Fate) -> bool| verdicts.iter().filter(|v| of(&v.fate)).count();
    let caught = count(|fate| matches!(fate, Fate::Caught(_)));
    let died = count(|fate| matches!(fate, Fate::Died(_)));
    let share = 100.0 * caught as f64 / verdicts.len() as f64;
    println!(
        "\n{caught} of {} mutants caught, {share:.1} %, in {:.0} s",
        verdicts.len(),
        start.elapsed().as_secs_f64()
    );
    for Verdict { place, kernel, mutation, fate } in &verdicts {
        match fate {
            Fate::Caught(_) => {}
            Fate::Survived => println!("survived: {place} by {kernel}: {mutation}"),
            Fate::Died(why) => println!("died: {place} by {kernel}: {mutation}: {why}"),
        }
    }
    Ok(share >= 95.0 && died == 0)
}

/// Runs the case table, in the copy, with the mutant that the environment names, and prints what it finds.
fn suite(reference: bool) -> ExitCode {
    let kernel = if reference { Kernel::Reference } else { Kernel::Auto };
    let found = Suite::new(&Device::flex(), |_| true).first_failure(kernel, bptt_probe::measure);
    match found {
        Ok(found) => {
            println!("{}", child::line(found.as_ref()));
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
        match run(&program, None, kernel)? {
            Fate::Survived => {}
            other => {
                return Err(format!("the copy without a mutant does not pass: {other:?}").into());
            }
        }
    }
    let mut verdicts = Vec::new();
    for (number, (site, k)) in all().into_iter().enumerate() {
        for &kernel in kernels(site.file) {
            verdicts.push(Verdict {
                place: site.file.to_string(),
                kernel: kernel.name().to_string(),
                mutation: site.wrong[k].0.to_string(),
                fate: run(&program, Some(number), kernel)?,
            });
        }
    }
    Ok(verdicts)
}

/// Copies the crates, with all mutants in the kernels and in the cells of scans, and builds this program there.
fn build() -> Result<PathBuf, Failure> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().nth(2).ok_or("no workspace")?;
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

    let source = copy.join("crates");
    for file in files() {
        let path = source.join(file);
        fs::write(&path, with_mutants(file, &fs::read_to_string(&path)?)?)?;
    }
    for name in crates() {
        let source = source.join(name).join("src");
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
    }

    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--workspace", "--bin", "bptt-mutants", "--target-dir"])
        .arg(&target)
        .arg("--manifest-path")
        .arg(copy.join("Cargo.toml"))
        .status()?;
    if !built.success() {
        return Err("the copy with the mutants does not build".into());
    }
    // Where the copy's build has put it, over this program's own file: so take it away from there.
    let program = copy.join("program");
    let from = target.join("release/bptt-mutants");
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

/// What the suite makes of a mutant.
fn run(program: &Path, mutant: Option<usize>, kernel: Kernel) -> Result<Fate, Failure> {
    let mut command = Command::new(program);
    command.args(["suite", kernel.name()]);
    if let Some(mutant) = mutant {
        command.env("BPTT_MUTANT", mutant.to_string());
    }
    Ok(child::run(&mut command, LIMIT)?)
}
