//! Layers that run as a scan, in files: minGRU, minLSTM, RG-LRU, LRU, S5.
//!
//! A file of this project has a stack under the paths of its parameters, `layers.0.weight_ih`, and says in its metadata
//! which layers they are. Other programs have single layers:
//!
//! | layer | program | names |
//! | --- | --- | --- |
//! | [`MinGru`](bptt::scanned::MinGru) | lucidrains' `minGRU-pytorch` | `to_hidden_and_gate.weight` |
//! | [`MinLstm`](bptt::scanned::MinLstm) | the same | `to_hidden_and_f_i_gate.weight` |
//! | [`Lru`](bptt::scanned::Lru) | Zucchet's `minimal-LRU` | `nu_log`, `theta_log`, `gamma_log`, `B_re`, `B_im`, `C_re`, `C_im`, `D` |
//! | [`S5`](bptt::scanned::S5) | lindermanlab's `S5` | `Lambda_re`, `Lambda_im`, `log_step`, `B`, `C`, `D` |
//! | [`RgLru`](bptt::scanned::RgLru) | `recurrentgemma` | `a_param`, `a_gate.w`, `a_gate.b`, `input_gate.w`, `input_gate.b` |
//! | the same | Hugging Face's `transformers`, read only | `recurrent_param`, `recurrent_gate_weight`, `recurrent_gate_bias`, `input_gate_weight`, `input_gate_bias` |
//!
//! [`ScannedImport`] reads a file of either kind, [`save_scanned`] writes a layer under the program's names, and
//! [`save_stack`] a stack under ours. [`Conversion`](super::Conversion) turns one into the other.

pub(super) mod convert;
pub(super) mod find;
pub(super) mod found;
mod program;
mod source;

pub use found::{FoundScanned, ScannedOptions};

use crate::error::Error;
use crate::weights::contents::Tensors;
use crate::weights::export::{array, metadata};
use crate::weights::file::{WeightFile, one_line};
use crate::weights::formats;
use crate::weights::import::{Import, Imported};
use crate::weights::said::{Said, is_of_scans};
use bptt::ConfigError;
use bptt::scanned::{
    AnyScannedConfig, AnyScannedLayer, LruConfig, LruLayer, MinGruConfig, MinGruLayer,
    MinLstmConfig, MinLstmLayer, RgLruConfig, RgLruLayer, S5Config, S5Layer, Scanned, ScannedKind,
    ScannedLayer,
};
use burn::Tensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, TensorData};
use found::LAYERS;
use source::Source;
use std::collections::BTreeMap;
use std::path::Path;

/// How to read layers that run as a scan from a file of this project, or one layer from another program's.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedImport {
    prefix: String,
    conjugates: bool,
}

impl Default for ScannedImport {
    fn default() -> Self {
        Self { prefix: String::new(), conjugates: true }
    }
}

impl ScannedImport {
    /// The layer at the top of the file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The prefix of the layer's names, such as `layers.0.rglru`; the last separator may be left out.
    pub fn with_prefix(self, prefix: &str) -> Self {
        Self { prefix: prefix.to_string(), ..self }
    }

    /// For S5: whether its states are one of each conjugate pair (`conj_sym`, the default there and here), so that its
    /// outputs are doubled.
    pub fn with_conjugates(self, conjugates: bool) -> Self {
        Self { conjugates, ..self }
    }

    /// Reads the layers. f64 stays f64, and all other types become f32.
    ///
    /// A file of this project says which layers it has. [`AnyScannedLayer`] takes all of them, and no other file.
    ///
    /// # Errors
    ///
    /// One line that says what is missing, has another shape, or has no counterpart here.
    pub fn load<L: ScannedFile>(
        &self,
        path: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Scanned<L>, Error> {
        let path = path.as_ref();
        let file = WeightFile::read(path, None)?;
        let in_file = |why: String| Error::file("read", path, one_line(why));
        let (found, tensors) = match L::KIND {
            Some(kind) if !is_of_scans(&file.metadata) => {
                let program = program::program(kind);
                self.foreign(kind, &file).map_err(|why| in_file(format!("{program}: {why}")))?
            }
            _ => self.own(file).map_err(in_file)?,
        };
        if let Some(kind) = L::KIND.filter(|kind| *kind != found.cell) {
            return Err(in_file(format!("it holds {found}, expected {}", kind.name())));
        }
        build(&found, &tensors, device).map_err(in_file)
    }

    /// The stack in a file of this project.
    fn own(&self, file: WeightFile) -> Result<(FoundScanned, Tensors), String> {
        let import = match self.prefix.as_str() {
            "" => Import::new(),
            prefix => Import::new().with_prefix(prefix),
        };
        let Imported { mut scanned, tensors, .. } = import.find(file)?;
        match (scanned.pop(), scanned.len()) {
            (Some(only), 0) => Ok((only, tensors)),
            (None, _) => Err("it does not say that it holds layers that run as a scan".to_string()),
            (_, more) => Err(format!("it holds {} stacks, take one by its prefix", more + 1)),
        }
    }

    /// The layer in a file of another program.
    fn foreign(
        &self,
        kind: ScannedKind,
        file: &WeightFile,
    ) -> Result<(FoundScanned, Tensors), String> {
        let prefix = match self.prefix.as_str() {
            "" => String::new(),
            prefix if prefix.ends_with(['.', '/']) => prefix.to_string(),
            prefix => {
                let slash = format!("{prefix}/");
                let has_slash = file.tensors.keys().any(|name| name.starts_with(&slash));
                if has_slash { slash } else { format!("{prefix}.") }
            }
        };
        let source = Source::new(&file.tensors, &prefix, self.conjugates);
        let one = program::read(kind, &source)?;
        let name = |(name, array)| (format!("{LAYERS}0.{name}"), array);
        let tensors: Tensors = one.tensors.into_iter().map(name).collect();
        Ok((FoundScanned::read(&tensors, "", &ScannedOptions::of(&one.config))?, tensors))
    }
}

/// Writes the layer under the names of the program that has it, as `.safetensors`. S5 is written with the states of
/// conjugate pairs (`conj_sym`), RG-LRU with one head.
///
/// # Errors
///
/// If there are several layers, if the other program cannot have it, or if the file cannot be written.
pub fn save_scanned<L: ScannedFile>(
    layer: &Scanned<L>,
    path: impl AsRef<Path>,
) -> Result<(), Error> {
    let path = path.as_ref();
    let format = formats::of_path_to_write(path).map_err(|why| Error::file("write", path, why))?;
    let written = found(layer).and_then(|(found, own)| {
        let program = program::program(found.cell);
        convert::of_program(&found, &own).map_err(|why| format!("{program}: {why}"))
    });
    let tensors = written.map_err(|why| Error::file("write", path, why))?;
    let (left_out, metadata) = Default::default();
    WeightFile { format, tensors, left_out, metadata }.write(path)
}

/// Writes a stack of layers under the paths of its parameters, `layers.0.weight_ih`, with its options in the file's
/// metadata: `.safetensors`, or Burn's `.bpk`, which a module like this one loads. [`ScannedImport`] reads it.
///
/// # Errors
///
/// If the ending is not one of these, or if the file cannot be written.
pub fn save_stack<L: ScannedFile>(layer: &Scanned<L>, path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let failed = |why: String| Error::file("write", path, why);
    let format = formats::of_path_to_write(path).map_err(failed)?;
    let (found, tensors) = found(layer).map_err(failed)?;
    let metadata = metadata(&BTreeMap::from([(String::new(), Said::Scanned(found.options()))]))?;
    WeightFile { format, tensors, left_out: Default::default(), metadata }.write(path)
}

/// Layers that run as a scan and can be in a file: those of [`MinGru`](bptt::scanned::MinGru),
/// [`MinLstm`](bptt::scanned::MinLstm), [`RgLru`](bptt::scanned::RgLru), [`Lru`](bptt::scanned::Lru),
/// [`S5`](bptt::scanned::S5) and [`AnyScanned`](bptt::scanned::AnyScanned).
pub trait ScannedFile: ScannedLayer + Sized {
    /// Which layer; `None` if it may be any.
    const KIND: Option<ScannedKind>;

    /// Makes the stack.
    ///
    /// # Errors
    ///
    /// If the options exclude each other.
    fn make(config: &AnyScannedConfig, device: &Device) -> Result<Scanned<Self>, ConfigError>;

    /// Whether the candidate is made positive.
    fn log_space(&self) -> bool {
        false
    }
}

/// For each layer its config, and how it says whether its candidate is made positive.
macro_rules! scanned_file {
    ($($Layer:ident, $Kind:ident, $Config:ident $(, $log_space:ident)?;)*) => {$(
        impl ScannedFile for $Layer {
            const KIND: Option<ScannedKind> = Some(ScannedKind::$Kind);

            fn make(
                config: &AnyScannedConfig,
                device: &Device,
            ) -> Result<Scanned<Self>, ConfigError> {
                $Config::from(config).try_init(device)
            }

            $(fn log_space(&self) -> bool {
                $Layer::$log_space(self)
            })?
        }
    )*};
}

scanned_file! {
    MinGruLayer, MinGru, MinGruConfig, is_log_space;
    MinLstmLayer, MinLstm, MinLstmConfig, is_log_space;
    RgLruLayer, RgLru, RgLruConfig;
    LruLayer, Lru, LruConfig;
    S5Layer, S5, S5Config;
}

impl ScannedFile for AnyScannedLayer {
    const KIND: Option<ScannedKind> = None;

    fn make(config: &AnyScannedConfig, device: &Device) -> Result<Scanned<Self>, ConfigError> {
        config.try_init(device)
    }

    fn log_space(&self) -> bool {
        match self {
            Self::MinGru(layer) => layer.is_log_space(),
            Self::MinLstm(layer) => layer.is_log_space(),
            _ => false,
        }
    }
}

/// A stack as a file has it: its options, and its tensors by their paths.
fn found<L: ScannedFile>(stack: &Scanned<L>) -> Result<(FoundScanned, Tensors), String> {
    let name = stack.name();
    let kind = ScannedKind::ALL.into_iter().find(|kind| kind.name() == name);
    let options = ScannedOptions {
        kind: kind.ok_or_else(|| format!("{name}: no layer of a file"))?,
        log_space: stack.layers[0].log_space(),
        bidirectional: stack.is_bidirectional(),
        batch_first: stack.is_batch_first(),
        reverse: stack.is_reverse(),
        dropout: stack.dropout.prob,
    };
    let mut reader = Reader { path: vec![], found: Ok(Tensors::new()) };
    stack.visit(&mut reader);
    let tensors = reader.found?;
    Ok((FoundScanned::read(&tensors, "", &options)?, tensors))
}

/// Makes the layers of the tensors that were found.
fn build<L: ScannedFile>(
    found: &FoundScanned,
    tensors: &Tensors,
    device: &Device,
) -> Result<Scanned<L>, String> {
    let made = L::make(&found.config(), device).map_err(|error| error.to_string())?;
    let dtype = found.element(tensors).dtype();
    let path = vec![];
    Ok(made.map(&mut Loader { path, prefix: &found.prefix, tensors, dtype, device }))
}

/// Reads the parameters of a module, by their paths.
struct Reader {
    path: Vec<String>,
    found: Result<Tensors, String>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Ok(found) = &mut self.found else { return };
        match array(param) {
            Ok(array) => drop(found.insert(self.path.join("."), array)),
            Err(why) => self.found = Err(why),
        }
    }
}

/// Puts the tensors of a file in the place of the parameters. Their names and shapes were compared.
struct Loader<'a> {
    path: Vec<String>,
    prefix: &'a str,
    tensors: &'a Tensors,
    dtype: DType,
    device: &'a Device,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, _: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let array = &self.tensors[&format!("{}{}", self.prefix, self.path.join("."))];
        let (bytes, from) = (array.bytes().to_vec(), array.element().dtype());
        let data = TensorData::from_bytes_vec(bytes, array.shape().to_vec(), from);
        let data = data.convert_dtype(self.dtype);
        Param::from_tensor(Tensor::from_data(data, (self.device, self.dtype)))
    }
}
