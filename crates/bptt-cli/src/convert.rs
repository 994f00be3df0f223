//! `bptt convert`

use crate::failure::Failure;
use crate::output;
use bptt::Nonlinearity;
#[cfg(feature = "scanned-cells")]
use bptt::scanned::ScannedKind;
#[cfg(feature = "scanned-cells")]
use bptt_zoo::weights::FoundScanned;
use bptt_zoo::weights::{
    Conversion, Format, FoundLayer, Import, LayerOptions, Library, TensorMapping, about_read,
    about_written,
};
#[cfg(feature = "scanned-cells")]
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `bptt convert`.
#[derive(Args)]
pub struct ConvertArgs {
    // The help text is made here because it lists the formats.
    #[arg(value_name = "IN", help = format!("What to read: {}", about_read()))]
    input: PathBuf,
    #[arg(value_name = "OUT", help = format!("Where to: {}", about_written()))]
    output: PathBuf,
    /// Show what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Where the state dict is in a checkpoint: model, or model.encoder for one within it; that of
    /// Lightning is found without a key
    #[arg(long, value_name = "PATH")]
    key: Option<String>,
    /// Take only the tensors whose names begin with P, such as encoder.lstm, and cut P off; module. and
    /// _orig_mod. before all names are cut off without a prefix (an empty P keeps them)
    #[arg(long, value_name = "P")]
    prefix: Option<String>,
    /// Whose names and layouts IN has
    #[arg(long, value_enum, default_value_t = LibraryArg::Torch)]
    from: LibraryArg,
    /// Whose names OUT has: one layer is written, and nothing else [default: PyTorch's]
    #[arg(long, value_enum)]
    to: Option<TargetArg>,
    /// For an RNN [default: what IN says, else tanh]
    #[arg(long, value_enum)]
    nonlinearity: Option<NonlinearityArg>,
    /// For a GRU: whether the reset comes after the recurrent product [default: what IN says, else
    /// true]
    #[arg(long, value_name = "BOOL")]
    reset_after: Option<bool>,
    /// Three gates are those of an LSTM with coupled gates, and not those of a GRU
    #[arg(long)]
    input_forget: bool,
    /// For an LSTM: the bound of its memory [default: what IN says, else none]
    #[arg(long, value_name = "X")]
    clip: Option<f64>,
    /// Whether inputs are [B, T, I] [default: what IN says, or config.json beside a model.bpk; else
    /// false for PyTorch's files]
    #[arg(long, value_name = "BOOL")]
    batch_first: Option<bool>,
    /// Whether the one direction runs from the last step to the first [default: what IN says, else
    /// false]
    #[arg(long, value_name = "BOOL")]
    reverse: Option<bool>,
    /// Dropout between the layers while training [default: what IN says, else 0]
    #[arg(long, value_name = "P")]
    dropout: Option<f64>,
    /// For a file with a module of layers that run as a scan that does not say which they are
    #[cfg(feature = "scanned-cells")]
    #[arg(long, value_name = "CELL", value_parser = scanned_kind())]
    cell: Option<ScannedKind>,
    /// The same: whether they have a backward direction [default: what IN says, else false]
    #[arg(long, value_name = "BOOL")]
    bidirectional: Option<bool>,
    /// For minGRU and minLSTM: whether the candidate is made positive [default: what IN says, else
    /// false]
    #[arg(long, value_name = "BOOL")]
    log_space: Option<bool>,
    /// For files of S5: whether the states are one of each conjugate pair (conj_sym) [default: true]
    #[arg(long, value_name = "BOOL")]
    conjugates: Option<bool>,
    /// For LEM: its longest time step, which is no tensor [default: what IN says, else 1]
    #[arg(long, value_name = "X")]
    time_step: Option<f64>,
    /// What TensorFlow's LSTMCell adds to the forget gate [default: 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    forget_bias: Option<f64>,
    /// For Keras and Flax, if the names of a stack's layers have no numbers: all layers, the lowest
    /// first
    #[arg(long, value_name = "LAYER,…", value_delimiter = ',')]
    order: Vec<String>,
    /// Linear layers without a bias, which look like embeddings; between PyTorch's files and Burn's
    /// their weights are transposed, as those of linear layers with a bias always are
    #[arg(long, value_name = "MODULE,…", value_delimiter = ',')]
    linear: Vec<String>,
    /// Write what was done as JSON to FILE (`-`: standard output, and nothing else there)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LibraryArg {
    Torch,
    Keras,
    Flax,
    /// LSTM, GRU and IndRNN of LMNT's haste, and its LSTM and GRU with layer normalisation
    Haste,
    /// W, R, B and P of ONNX's operators
    Onnx,
    /// LSTMCell of TensorFlow 1, with 1 added to the forget gate
    Tensorflow,
    /// IndRNN of StefOe's indrnn-pytorch
    IndrnnPytorch,
    /// sLSTM of NX-AI's xlstm
    Xlstm,
    /// The GRU of DreamerV3 and of its ports to PyTorch
    Dreamer,
    /// LEM of its authors
    Lem,
    /// minGRU and minLSTM of lucidrains' minGRU-pytorch
    MingruPytorch,
    /// The LRU of Zucchet's minimal-LRU
    MinimalLru,
    /// lindermanlab's S5
    S5,
    /// The RG-LRU of recurrentgemma, and of Hugging Face's transformers
    Recurrentgemma,
}

#[derive(Clone, Copy, ValueEnum)]
enum TargetArg {
    /// LSTM, GRU, IndRNN, and LSTM and GRU with layer normalisation
    Haste,
    /// The GRU of DreamerV3
    Dreamer,
    /// minGRU and minLSTM of lucidrains' minGRU-pytorch
    MingruPytorch,
    /// The LRU of Zucchet's minimal-LRU
    MinimalLru,
    /// lindermanlab's S5
    S5,
    /// The RG-LRU of recurrentgemma
    Recurrentgemma,
}

#[derive(Clone, Copy, ValueEnum)]
enum NonlinearityArg {
    Tanh,
    Relu,
}

/// The JSON.
#[derive(Serialize)]
struct Converted<'a> {
    input: String,
    output: String,
    from: Format,
    to: Format,
    dry_run: bool,
    bytes: usize,
    layers: Vec<AnyLayer<'a>>,
    tensors: &'a [TensorMapping],
}

#[derive(Serialize)]
#[serde(untagged)]
enum AnyLayer<'a> {
    Recurrent {
        #[serde(flatten)]
        found: &'a FoundLayer,
        #[serde(flatten)]
        options: &'a LayerOptions,
    },
    #[cfg(feature = "scanned-cells")]
    Scanned(&'a FoundScanned),
}

/// The layers that run as a scan, by their names.
#[cfg(feature = "scanned-cells")]
fn scanned_kind() -> impl TypedValueParser<Value = ScannedKind> {
    let value = |kind: ScannedKind| PossibleValue::new(kind.name()).help(kind.description());
    PossibleValuesParser::new(ScannedKind::ALL.map(value)).map(|name| {
        let found = ScannedKind::ALL.into_iter().find(|kind| kind.name() == name);
        found.expect("it is one of the possible values")
    })
}

/// Converts a file, and prints the layers and a table of the tensors.
pub fn run(args: ConvertArgs) -> Result<(), Failure> {
    output::check(&[args.json.as_ref()])?;
    let import = import(&args);
    let library = args.to.map(|to| match to {
        TargetArg::Haste => Library::Haste,
        TargetArg::Dreamer => Library::Dreamer,
        TargetArg::MingruPytorch => Library::MinGruPytorch,
        TargetArg::MinimalLru => Library::MinimalLru,
        TargetArg::S5 => Library::S5,
        TargetArg::Recurrentgemma => Library::RecurrentGemma,
    });
    let done = match library {
        Some(library) => Conversion::for_library(&args.input, &args.output, &import, library)?,
        None => Conversion::new(&args.input, &args.output, &import)?,
    };
    if !args.dry_run {
        done.write(&args.output)?;
    }
    let say = |text: &str| output::say(args.json.as_ref(), text);
    for (layer, options) in done.layers.iter().zip(&done.options) {
        let name = in_front(&layer.prefix);
        say(&format!("{name}{layer}; {}", details(layer, options)));
    }
    #[cfg(feature = "scanned-cells")]
    for stack in &done.scanned {
        say(&format!("{}{stack}; {}", in_front(&stack.prefix), details_of_stack(stack)));
    }
    say(&table(&done.mappings));
    let size = done.bytes.len();
    let what = if args.dry_run { "nothing written (--dry-run); it would be" } else { "wrote" };
    say(&format!(
        "{what} {} ({}, {size} bytes) from {} ({})",
        args.output.display(),
        done.to.name(),
        args.input.display(),
        done.from.name(),
    ));
    let Some(json) = &args.json else { return Ok(()) };
    let layers = done.layers.iter().zip(&done.options);
    let layers = layers.map(|(found, options)| AnyLayer::Recurrent { found, options });
    #[cfg(feature = "scanned-cells")]
    let layers = layers.chain(done.scanned.iter().map(AnyLayer::Scanned));
    let converted = Converted {
        input: args.input.display().to_string(),
        output: args.output.display().to_string(),
        from: done.from,
        to: done.to,
        dry_run: args.dry_run,
        bytes: size,
        layers: layers.collect(),
        tensors: &done.mappings,
    };
    output::write_json(json, &converted)
}

fn import(args: &ConvertArgs) -> Import {
    let mut import = Import::new()
        .with_library(match args.from {
            LibraryArg::Torch => Library::Torch,
            LibraryArg::Keras => Library::Keras,
            LibraryArg::Flax => Library::Flax,
            LibraryArg::Haste => Library::Haste,
            LibraryArg::Onnx => Library::Onnx,
            LibraryArg::Tensorflow => Library::TensorFlow,
            LibraryArg::IndrnnPytorch => Library::IndRnnPytorch,
            LibraryArg::Xlstm => Library::Xlstm,
            LibraryArg::Dreamer => Library::Dreamer,
            LibraryArg::Lem => Library::Lem,
            LibraryArg::MingruPytorch => Library::MinGruPytorch,
            LibraryArg::MinimalLru => Library::MinimalLru,
            LibraryArg::S5 => Library::S5,
            LibraryArg::Recurrentgemma => Library::RecurrentGemma,
        })
        .with_order(args.order.iter().map(String::as_str))
        .with_linear(args.linear.iter().map(String::as_str));
    #[cfg(feature = "scanned-cells")]
    if let Some(kind) = args.cell {
        import = import.with_scanned(kind);
    }
    if let Some(key) = &args.key {
        import = import.with_key(key.as_str());
    }
    if let Some(prefix) = &args.prefix {
        import = import.with_prefix(prefix.as_str());
    }
    if let Some(function) = args.nonlinearity {
        import = import.with_nonlinearity(match function {
            NonlinearityArg::Tanh => Nonlinearity::Tanh,
            NonlinearityArg::Relu => Nonlinearity::Relu,
        });
    }
    if args.input_forget {
        import = import.with_input_forget(true);
    }
    let options = [
        (args.reset_after, Import::with_reset_after as fn(Import, bool) -> Import),
        (args.batch_first, Import::with_batch_first),
        (args.reverse, Import::with_reverse),
        (args.bidirectional, Import::with_bidirectional),
        (args.log_space, Import::with_log_space),
        (args.conjugates, Import::with_conjugates),
    ];
    for (value, with) in options {
        import = value.map_or(import.clone(), |value| with(import, value));
    }
    for (value, with) in [
        (args.clip, Import::with_clip as fn(Import, f64) -> Import),
        (args.dropout, Import::with_dropout),
        (args.forget_bias, Import::with_forget_bias),
        (args.time_step, Import::with_time_step),
    ] {
        import = value.map_or(import.clone(), |value| with(import, value));
    }
    import
}

/// The name of a module, in front of what it is.
fn in_front(prefix: &str) -> String {
    match prefix.trim_end_matches('.') {
        "" => String::new(),
        name => format!("{name}: "),
    }
}

/// The options of a stack that its tensors do not tell.
#[cfg(feature = "scanned-cells")]
fn details_of_stack(stack: &FoundScanned) -> String {
    let mut parts = vec![match stack.batch_first {
        true => "inputs [B, T, I]".to_string(),
        false => "inputs [T, B, I]".to_string(),
    }];
    parts.extend(stack.log_space.then(|| "positive candidate".to_string()));
    parts.extend(stack.reverse.then(|| "reversed".to_string()));
    if stack.dropout > 0.0 {
        parts.push(format!("dropout {}", stack.dropout));
    }
    parts.join(", ")
}

/// The options of a layer that its tensors do not tell.
fn details(layer: &FoundLayer, options: &LayerOptions) -> String {
    use bptt::CellKind::{Gru, Lstm, Rnn};
    let mut parts = vec![match options.batch_first {
        true => "inputs [B, T, I]".to_string(),
        false => "inputs [T, B, I]".to_string(),
    }];
    match layer.cell {
        Rnn => parts.push(format!("{:?}", options.nonlinearity).to_lowercase()),
        other if other.name() == "indrnn" => {
            parts.push(format!("{:?}", options.nonlinearity).to_lowercase());
        }
        Gru if options.reset_after => parts.push("reset after the product".to_string()),
        Gru => parts.push("reset before the product".to_string()),
        Lstm => {
            parts.extend(options.input_forget.then(|| "coupled gates".to_string()));
            parts.extend(options.clip.map(|clip| format!("memory within {clip}")));
        }
        _ => {}
    }
    parts.extend(options.reverse.then(|| "reversed".to_string()));
    if options.dropout > 0.0 {
        parts.push(format!("dropout {}", options.dropout));
    }
    parts.extend(options.noise.map(|_| "noise inside".to_string()));
    parts.extend(options.time_step.map(|step| format!("Δ = {step}")));
    parts.extend(options.oscillator.map(|[step, alpha]| format!("Δ = {step}, α = {alpha}")));
    parts.join(", ")
}

/// The tensors, in columns.
fn table(mappings: &[TensorMapping]) -> String {
    let rows = mappings.iter().map(|mapping| {
        let to = mapping.to.as_deref().unwrap_or("-");
        let shape = format!("{:?}", mapping.shape);
        // Names come from the file, and may have codes that control a terminal.
        let plain = |text: &str| text.escape_debug().to_string();
        [plain(&mapping.from), shape, plain(&mapping.element), plain(to), mapping.how.clone()]
    });
    let titles = ["tensor", "shape", "type", "to", ""].map(String::from);
    let rows: Vec<_> = std::iter::once(titles).chain(rows).collect();
    let width = |k: usize| rows.iter().map(|row| row[k].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths).map(|(text, width)| format!("{text:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
