//! PyTorch reference cases: layers with the outputs and gradients that PyTorch computed in f64.
//!
//! One `*.safetensors` file is one layer. Its metadata are the layer's options: strings, in which numbers, booleans and
//! lists are JSON. Its tensors are the inputs, the results, and `grad.NAME` for each input. A few such files are part
//! of this crate ([`built_in`]). [`read_folder`] reads other files.

use crate::problem::{Array, InputMode, LayerOptions, Problem};
use bptt::{CellKind, MaskedOutput, Nonlinearity};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

/// The value of the metadata key `format`, for layers without resets.
pub const FORMAT: &str = "recurrent-reference-1";

/// The same for layers with resets inside the sequences: the key `resets` has a list of `[row, step]`.
pub const FORMAT_WITH_RESETS: &str = "recurrent-reference-2";

/// Reference cases are smaller than this. A file that claims a larger size is broken.
const LARGEST: usize = 1 << 20;

/// The longest file that is read, because it is held in memory.
const LONGEST: u64 = 1 << 28;

macro_rules! built_in {
    ($($name:literal)*) => {
        [$(($name, include_bytes!(concat!("../reference/", $name, ".safetensors")).as_slice())),*]
    };
}

/// The reference cases that are part of this crate.
///
/// # Panics
///
/// If a file of this crate is broken; a test checks that none is.
pub fn built_in() -> Vec<Problem> {
    built_in![
        "gru-lengths-deep"
        "gru-one-step"
        "gru-plain"
        "gru-resets"
        "gru-resets-deep-bidirectional"
        "lstm-lengths-deep"
        "lstm-one-unit"
        "lstm-plain"
        "lstm-projection"
        "lstm-resets"
        "lstm-resets-deep-bidirectional"
        "rnn-relu-lengths-deep"
        "rnn-relu-plain"
        "rnn-relu-resets"
        "rnn-relu-resets-deep-bidirectional"
        "rnn-tanh-l3-bi-bias-bf"
        "rnn-tanh-lengths-deep"
        "rnn-tanh-plain"
        "rnn-tanh-resets"
        "rnn-tanh-resets-deep-bidirectional"
    ]
    .into_iter()
    .map(|(name, bytes)| parse(name, bytes).expect("the files of this crate are sound"))
    .collect()
}

/// The content of a folder of reference cases.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// The valid files, by name.
    pub problems: Vec<Problem>,
    /// One line for each broken file: its name, and what is wrong with it.
    pub broken: Vec<String>,
}

/// Reads all `*.safetensors` files in a folder.
///
/// # Errors
///
/// One line, if the folder cannot be read or holds no such file.
pub fn read_folder(folder: &Path) -> Result<Folder, String> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| format!("cannot read the folder {}: {error}", folder.display()))?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "safetensors"))
        .collect();
    paths.sort();
    if paths.is_empty() {
        return Err(format!("no *.safetensors file in {}", folder.display()));
    }
    let mut found = Folder::default();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match read(&path).and_then(|bytes| parse(&name, &bytes)) {
            Ok(problem) => found.problems.push(problem),
            Err(why) => found.broken.push(format!("{}: {why}", path.display())),
        }
    }
    Ok(found)
}

/// The bytes of a file. It is refused if it is not a regular file, or if it is longer than [`LONGEST`].
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error| format!("cannot read it: {error}");
    // This is checked before the file is opened, because opening a pipe waits for a writer.
    let about = std::fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err("not a file: expected a *.safetensors file".to_string());
    }
    let mut bytes = Vec::new();
    if about.len() <= LONGEST {
        // One byte more than allowed, to notice a file that has grown since its length was checked.
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if about.len().max(bytes.len() as u64) > LONGEST {
        return Err(format!("it has more than {} MiB, the most that is read", LONGEST >> 20));
    }
    Ok(bytes)
}

/// Reads one file.
///
/// # Errors
///
/// One line that says what is wrong.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Problem, String> {
    let broken = |error| format!("not a whole safetensors file: {error}");
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let none = HashMap::new();
    let options = options(Metadata(header.metadata().as_ref().unwrap_or(&none)))?;

    let absurd = || "the sizes in the metadata are absurd".to_string();
    let read = |list: Option<Vec<(String, Vec<usize>)>>| {
        list.ok_or_else(absurd)?
            .into_iter()
            .map(|(tensor, shape)| Ok((tensor.clone(), array(&file, &tensor, shape)?)))
            .collect::<Result<BTreeMap<_, _>, String>>()
    };
    let (given, expected) = (read(options.given())?, read(options.results())?);
    Ok(Problem { name: name.to_string(), options, given, expected })
}

/// A problem as the bytes of a reference file. Unknown results are left out. [`parse`] then reports the first of them
/// as missing.
///
/// # Errors
///
/// One line, if the format has no place for an option of the layer.
pub fn serialize(problem: &Problem) -> Result<Vec<u8>, String> {
    let o = &problem.options;
    let is_pytorch = !o.reverse
        && o.mask.is_none()
        && o.clip.is_none()
        && !o.input_forget
        && o.cell.cell().is_some()
        && o.reset_after
        && !o.reset_state
        && o.num_heads == 1
        && o.trace_budget.is_none();
    if !is_pytorch {
        return Err(format!("{}: the format has no place for the options {o:?}", problem.name));
    }
    let format = if o.resets.is_some() { FORMAT_WITH_RESETS } else { FORMAT };
    let metadata = [
        ("format", format.to_string()),
        ("cell", o.cell.name().to_string()),
        ("nonlinearity", if o.nonlinearity == Nonlinearity::Relu { "relu" } else { "tanh" }.into()),
        ("input_size", o.input_size.to_string()),
        ("hidden_size", o.hidden_size.to_string()),
        ("num_layers", o.num_layers.to_string()),
        ("bias", o.bias.to_string()),
        ("batch_first", o.batch_first.to_string()),
        ("bidirectional", o.bidirectional.to_string()),
        ("proj_size", o.proj_size.to_string()),
        ("batch", o.batch.to_string()),
        ("time", o.time.to_string()),
        ("lengths", serde_json::to_string(&o.lengths).map_err(|error| error.to_string())?),
        ("initial_state", o.initial_state.to_string()),
        ("source", format!("bptt-probe {}", env!("CARGO_PKG_VERSION"))),
    ];
    let mut metadata: HashMap<_, _> = metadata.map(|(key, value)| (key.to_string(), value)).into();
    if let Some(flags) = &o.resets {
        let set = (0..flags.len()).filter(|&i| flags[i]);
        let places: Vec<[usize; 2]> = set.map(|i| [i / o.time, i % o.time]).collect();
        let text = serde_json::to_string(&places).map_err(|error| error.to_string())?;
        metadata.insert("resets".to_string(), text);
    }
    let bytes: Vec<(&String, &Array, Vec<u8>)> = problem
        .given
        .iter()
        .chain(&problem.expected)
        .map(|(name, array)| {
            (name, array, array.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views: Result<Vec<_>, _> = bytes
        .iter()
        .map(|(name, array, bytes)| {
            Ok((name, TensorView::new(Dtype::F64, array.shape.clone(), bytes)?))
        })
        .collect();
    let views = views.map_err(|error: SafeTensorError| error.to_string())?;
    safetensors::serialize(views, Some(metadata)).map_err(|error| error.to_string())
}

fn array(file: &SafeTensors<'_>, name: &str, shape: Vec<usize>) -> Result<Array, String> {
    let tensor = file
        .tensor(name)
        .map_err(|_| format!("tensor `{name}` is missing, expected with shape {shape:?}"))?;
    if tensor.shape() != shape {
        return Err(format!(
            "tensor `{name}` has shape {:?}, expected {shape:?} by the metadata",
            tensor.shape()
        ));
    }
    if tensor.dtype() != Dtype::F64 {
        return Err(format!("tensor `{name}` has dtype {:?}, expected F64", tensor.dtype()));
    }
    let values = tensor
        .data()
        .chunks_exact(8)
        .map(|bytes| f64::from_le_bytes(bytes.try_into().expect("chunks of eight")))
        .collect();
    Ok(Array { shape, values })
}

/// The strings of the header.
struct Metadata<'a>(&'a HashMap<String, String>);

impl Metadata<'_> {
    fn text(&self, key: &str) -> Result<&str, String> {
        let value = self.0.get(key).map(String::as_str);
        value.ok_or_else(|| format!("metadata `{key}` is missing"))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, key: &str, what: &str) -> Result<T, String> {
        let text = self.text(key)?;
        serde_json::from_str(text)
            .map_err(|_| format!("metadata `{key}` is '{}', expected {what}", shortened(text)))
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        self.json(key, "true or false")
    }

    fn size(&self, key: &str, least: usize) -> Result<usize, String> {
        let what = format!("a number from {least} to {LARGEST}");
        let size: usize = self.json(key, &what)?;
        if (least..=LARGEST).contains(&size) {
            Ok(size)
        } else {
            Err(format!("metadata `{key}` is {size}, expected {what}"))
        }
    }
}

fn shortened(text: &str) -> String {
    let short: String = text.chars().take(40).filter(|c| !c.is_control()).collect();
    if text.chars().count() > 40 { format!("{short}…") } else { short }
}

fn options(metadata: Metadata<'_>) -> Result<LayerOptions, String> {
    let format = metadata.text("format")?;
    if ![FORMAT, FORMAT_WITH_RESETS].contains(&format) {
        return Err(format!(
            "format is '{}', expected '{FORMAT}' or '{FORMAT_WITH_RESETS}'",
            shortened(format)
        ));
    }
    let cell = match metadata.text("cell")? {
        "rnn" => CellKind::Rnn,
        "lstm" => CellKind::Lstm,
        "gru" => CellKind::Gru,
        other => {
            return Err(format!("cell is '{}', expected rnn, lstm or gru", shortened(other)));
        }
    };
    let nonlinearity = match (cell, metadata.text("nonlinearity")) {
        (CellKind::Rnn, Ok("relu")) => Nonlinearity::Relu,
        (CellKind::Rnn, Ok("tanh")) => Nonlinearity::Tanh,
        (CellKind::Rnn, Ok(other)) => {
            return Err(format!("nonlinearity is '{}', expected tanh or relu", shortened(other)));
        }
        (CellKind::Rnn, Err(missing)) => return Err(missing),
        _ => Nonlinearity::Tanh,
    };
    let (batch, time) = (metadata.size("batch", 1)?, metadata.size("time", 1)?);
    let resets = match format {
        FORMAT_WITH_RESETS => Some(resets(&metadata, batch, time)?),
        _ => None,
    };
    let options = LayerOptions {
        cell: cell.into(),
        nonlinearity,
        reset_after: true,
        input_forget: false,
        clip: None,
        log_space: false,
        input_size: metadata.size("input_size", 1)?,
        hidden_size: metadata.size("hidden_size", 1)?,
        num_layers: metadata.size("num_layers", 1)?,
        bias: metadata.flag("bias")?,
        batch_first: metadata.flag("batch_first")?,
        bidirectional: metadata.flag("bidirectional")?,
        reverse: false,
        proj_size: metadata.size("proj_size", 0)?,
        num_heads: 1,
        batch,
        time,
        lengths: metadata.json("lengths", "null or a list of numbers")?,
        mask: None,
        masked_output: MaskedOutput::Zero,
        resets,
        reset_state: false,
        trace_budget: None,
        input_mode: InputMode::Whole,
        initial_state: metadata.flag("initial_state")?,
        noise: None,
        evaluates: false,
    };
    if options.proj_size > 0 && (cell != CellKind::Lstm || options.proj_size >= options.hidden_size)
    {
        return Err(format!(
            "proj_size is {}, expected 0, or for an lstm less than hidden_size = {}",
            options.proj_size, options.hidden_size
        ));
    }
    if let Some(lengths) = &options.lengths
        && (lengths.len() != options.batch || lengths.iter().any(|&l| l > options.time))
    {
        return Err(format!(
            "lengths are {}, expected {} numbers up to {}",
            shortened(&format!("{lengths:?}")),
            options.batch,
            options.time
        ));
    }
    Ok(options)
}

/// The flags `[B, T]` of a list of `[row, step]`.
fn resets(metadata: &Metadata<'_>, batch: usize, time: usize) -> Result<Vec<bool>, String> {
    let places: Vec<[usize; 2]> = metadata.json("resets", "a list of [row, step]")?;
    // The sizes are only claimed so far. A file that may be read has no space for more steps than this.
    let count = batch.checked_mul(time).filter(|&count| count as u64 <= LONGEST / 8);
    let count = count.ok_or_else(|| "the sizes in the metadata are absurd".to_string())?;
    let mut flags = vec![false; count];
    for [row, step] in places {
        if row >= batch || step >= time {
            return Err(format!(
                "metadata `resets` has [{row}, {step}], expected a row below {batch} and a step below {time}"
            ));
        }
        flags[row * time + step] = true;
    }
    Ok(flags)
}
