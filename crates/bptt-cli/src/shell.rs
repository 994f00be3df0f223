//! `bptt completions` and `bptt man`: what a shell and `man` read of the command.

use crate::failure::Failure;
use crate::output;
use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

/// Arguments of `bptt completions`.
#[derive(Args)]
pub struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

/// Prints the completions of a shell.
pub fn completions(args: CompletionsArgs, mut command: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "bptt", &mut script);
    output::write(&script);
    Ok(())
}

/// Arguments of `bptt man`.
#[derive(Args)]
pub struct ManArgs {
    /// Write a page for the command and one for each subcommand into this folder [default: print that of the command]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints or writes the manual's pages.
pub fn man(args: ManArgs, mut command: clap::Command) -> Result<(), Failure> {
    let Some(folder) = args.out else {
        output::write(&page(command)?);
        return Ok(());
    };
    if !folder.is_dir() {
        return Err(Failure::usage(format!("{}: no such folder", folder.display())));
    }
    command.build();
    let all = command.get_subcommands().filter(|command| command.get_name() != "help");
    let all: Vec<_> = all.cloned().chain([command.clone()]).collect();
    for command in all {
        let name = command.get_display_name().unwrap_or("bptt").to_string();
        bptt_zoo::write_whole(&folder.join(format!("{name}.1")), &page(command)?)?;
    }
    Ok(())
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut text)
        .map_err(|error| Failure::usage(format!("cannot write the page: {error}")))?;
    Ok(text)
}
