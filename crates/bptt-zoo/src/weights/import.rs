//! Reads a layer from a file.

use crate::error::Error;
use crate::weights::build::{FileCell, build, cell};
use crate::weights::contents::Tensors;
use crate::weights::dreamer::Dreamer;
use crate::weights::error_list::{ErrorList, names, shown};
use crate::weights::file::{WeightFile, one_line};
use crate::weights::flax::Flax;
use crate::weights::format::{Format, Layout};
use crate::weights::haste::Haste;
use crate::weights::indrnn::IndRnn;
use crate::weights::keras::Keras;
use crate::weights::keymap::{TensorMapping, Translated, translate};
use crate::weights::layer::{FoundLayer, LayerOptions, prefixes};
use crate::weights::lem::Lem;
use crate::weights::library::Library;
use crate::weights::onnx::{self, Onnx};
use crate::weights::said::{Said, said};
#[cfg(feature = "scanned-cells")]
use crate::weights::scanned::find::{Asked, Scans, find, has_unknown};
#[cfg(feature = "scanned-cells")]
use crate::weights::scanned::found::FoundScanned;
use crate::weights::tensorflow::{FORGET_BIAS, TensorFlow, add_forget_bias};
use crate::weights::xlstm::Xlstm;
use crate::weights::{run, torch};
#[cfg(feature = "scanned-cells")]
use bptt::scanned::ScannedKind;
use bptt::{Nonlinearity, Recurrent, RecurrentNoise};
use burn::tensor::{DType, Device};
use std::collections::BTreeMap;
use std::path::Path;

/// A file with more recurrent layers than this is refused.
const MOST_LAYERS: usize = 256;

/// How to read a layer from a file: which layer, and the options that its tensors do not show.
///
/// If this project wrote the file, an option that is not given is taken from the file, or from the `config.json` beside
/// the `model.bpk` of a run folder. Otherwise it has PyTorch's default, or for a `.bpk` of Burn the default of the
/// configs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Import {
    key: Option<String>,
    prefix: Option<String>,
    library: Library,
    nonlinearity: Option<Nonlinearity>,
    reset_after: Option<bool>,
    input_forget: Option<bool>,
    clip: Option<f64>,
    batch_first: Option<bool>,
    reverse: Option<bool>,
    dropout: Option<f64>,
    noise: Option<RecurrentNoise>,
    #[cfg(feature = "scanned-cells")]
    scanned: Option<ScannedKind>,
    log_space: Option<bool>,
    bidirectional: Option<bool>,
    conjugates: Option<bool>,
    time_step: Option<f64>,
    forget_bias: Option<f64>,
    dtype: Option<DType>,
    order: Vec<String>,
    pub(super) linear: Vec<String>,
}

/// A file whose recurrent layers have been found and checked. The tensors have PyTorch's names.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The file as it was read.
    pub file: WeightFile,
    /// Its recurrent layers.
    pub layers: Vec<FoundLayer>,
    /// The options of each layer, in the same order.
    pub options: Vec<LayerOptions>,
    /// Its stacks of layers that run as a scan.
    #[cfg(feature = "scanned-cells")]
    #[cfg_attr(docsrs, doc(cfg(feature = "scanned-cells")))]
    pub scanned: Vec<FoundScanned>,
    /// Its tensors, with PyTorch's names and without the prefix.
    pub tensors: Tensors,
    /// Where each tensor of the file went.
    pub mappings: Vec<TensorMapping>,
}

macro_rules! with {
    ($($(#[$meta:meta])* $with:ident: $field:ident, $type:ty;)*) => {
        $(
            $(#[$meta])*
            pub fn $with(mut self, $field: impl Into<$type>) -> Self {
                self.$field = Some($field.into());
                self
            }
        )*
    };
}

impl Import {
    /// The whole file, with PyTorch's names and defaults.
    pub fn new() -> Self {
        Self::default()
    }

    with! {
        /// Where the state dict is in a checkpoint: `model`, or `model.encoder` for a dictionary
        /// within one.
        with_key: key, String;
        /// The prefix of the layer's names, such as `encoder.lstm.`; the last dot may be left out. Without a prefix the
        /// file has to hold exactly one recurrent layer. It may also hold other tensors.
        with_prefix: prefix, String;
        /// For an RNN.
        with_nonlinearity: nonlinearity, Nonlinearity;
        /// For a GRU: whether the reset gate comes after the recurrent product.
        with_reset_after: reset_after, bool;
        /// Whether three gates belong to an LSTM with coupled gates, and not to a GRU.
        with_input_forget: input_forget, bool;
        /// For an LSTM: the bound of its memory.
        with_clip: clip, f64;
        /// Whether inputs are `[B, T, I]`. The default is false for PyTorch's files, and true for those of Burn and of
        /// the other libraries.
        with_batch_first: batch_first, bool;
        /// Whether the one direction runs from the last step to the first.
        with_reverse: reverse, bool;
        /// The dropout between the layers, while training.
        with_dropout: dropout, f64;
        /// Noise inside of the layers, such as the zoneout that haste's layers have as an argument.
        with_noise: noise, RecurrentNoise;
        /// For LEM: its longest time step `Δ`, by default 1.
        with_time_step: time_step, f64;
        /// For layers that run as a scan, if the file does not say it: whether there is a backward direction.
        with_bidirectional: bidirectional, bool;
        /// For minGRU and minLSTM, if the file does not say it: whether the candidate is made positive.
        with_log_space: log_space, bool;
        /// For files of S5: whether the states are one of each conjugate pair (`conj_sym`). By default true, as there.
        with_conjugates: conjugates, bool;
        /// For `LSTMCell` of TensorFlow 1: what it adds to the forget gate. By default 1, as there.
        with_forget_bias: forget_bias, f64;
        /// The float type of the layer. By default, f64 stays f64, and all other types become f32.
        with_dtype: dtype, DType;
    }

    /// Which layers that run as a scan the file has, if it does not say it: a `.bpk` of Burn with a module of them.
    #[cfg(feature = "scanned-cells")]
    #[cfg_attr(docsrs, doc(cfg(feature = "scanned-cells")))]
    pub fn with_scanned(mut self, kind: ScannedKind) -> Self {
        self.scanned = Some(kind);
        self
    }

    /// The library whose names and layouts the file has.
    pub fn with_library(mut self, library: Library) -> Self {
        self.library = library;
        self
    }

    /// The layers of a stack of Keras or Flax, the lowest first, if their names have no numbers.
    pub fn with_order(mut self, order: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.order = order.into_iter().map(Into::into).collect();
        self
    }

    /// The linear layers without a bias. In a file they look like embeddings. But their weights have to be transposed
    /// between PyTorch's files and Burn's.
    pub fn with_linear(mut self, modules: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.linear = modules.into_iter().map(Into::into).collect();
        self
    }

    /// Reads a layer from a file.
    ///
    /// # Errors
    ///
    /// One line with all errors of the file, or that it holds another cell.
    pub fn load<C: FileCell>(
        &self,
        path: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Recurrent<C>, Error> {
        let path = path.as_ref();
        let imported = self.inspect(path)?;
        let in_file = |why: String| Error::file("read", path, why);
        let (layer, options) = match (&imported.layers[..], &imported.options[..]) {
            ([layer], [options]) => (layer, options),
            ([], _) => {
                let why = "its layers run as a scan, which `ScannedImport` reads";
                return Err(in_file(why.to_string()));
            }
            (layers, _) => {
                let found: Vec<_> =
                    layers.iter().take(8).map(|layer| shown(&layer.prefix)).collect();
                return Err(in_file(format!(
                    "it holds {} recurrent layers, take one by its prefix: {}",
                    layers.len(),
                    found.join(", ")
                )));
            }
        };
        let cell = cell(layer, options).map_err(in_file)?;
        let cell =
            C::of_any(cell).ok_or_else(|| in_file(format!("it holds another cell: {layer}")))?;
        build(layer, options, cell, &imported.tensors, self.dtype, device).map_err(in_file)
    }

    /// Reads a file and finds its recurrent layers, but does not make layers.
    ///
    /// # Errors
    ///
    /// One line with everything that is wrong with the file.
    pub fn inspect(&self, path: &Path) -> Result<Imported, Error> {
        let file = WeightFile::read(path, self.key.as_deref())?;
        let run = run::said(path, file.format)?;
        self.find_any(file, run).map_err(|why| Error::file("read", path, one_line(why)))
    }

    /// Finds the recurrent layers of a file that has been read.
    ///
    /// # Errors
    ///
    /// One line with everything that is wrong with it.
    pub fn find(&self, file: WeightFile) -> Result<Imported, String> {
        self.find_any(file, BTreeMap::new()).map_err(one_line)
    }

    /// `said` has the options of the layers from a run folder, by prefix.
    fn find_any(
        &self,
        file: WeightFile,
        mut said: BTreeMap<String, Said>,
    ) -> Result<Imported, String> {
        let prefix = self.prefix(&file.tensors);
        let inside = |name: &str| name.strip_prefix(&prefix).map(str::to_string);
        #[cfg_attr(not(feature = "scanned-cells"), allow(unused_mut))]
        let mut own: Tensors = file
            .tensors
            .iter()
            .filter_map(|(name, array)| Some((inside(name)?, array.clone())))
            .collect();
        if own.is_empty() {
            return Err(format!(
                "no tensor's name begins with {}; there are {}",
                shown(&prefix),
                names(&file.tensors)
            ));
        }
        if let Some(forget_bias) = self.forget_bias.filter(|_| self.library != Library::TensorFlow)
        {
            return Err(format!(
                "a forget bias of {forget_bias} is for TensorFlow; the biases of other libraries are in the file"
            ));
        }
        said.extend(self::said(&file.metadata)?);
        #[cfg(feature = "scanned-cells")]
        let Scans { stacks, tensors: of_stacks, mappings: moved } =
            find(&self.asked(), &prefix, &mut own, &said)?;
        #[cfg(feature = "scanned-cells")]
        let is_unknown = stacks.is_empty() && has_unknown(&own);
        #[cfg(not(feature = "scanned-cells"))]
        let is_unknown = false;
        #[cfg(feature = "scanned-cells")]
        let has_stacks = !stacks.is_empty();
        #[cfg(not(feature = "scanned-cells"))]
        let has_stacks = false;
        // A module of layers that run as a scan has names like those of cells of PyTorch.
        let hint = |why: String| match is_unknown {
            true => {
                format!("{why}; layers that run as a scan have to be named: --cell, with_scanned")
            }
            false => why,
        };
        #[cfg_attr(not(feature = "scanned-cells"), allow(unused_mut))]
        let mut translated = match has_stacks && own.is_empty() {
            true => Translated::default(),
            false => self.translated(own).map_err(hint)?,
        };
        let (layers, options) =
            self.layers(&file, &prefix, &translated, (&said, has_stacks)).map_err(hint)?;
        #[cfg(feature = "scanned-cells")]
        {
            translated.tensors.extend(of_stacks);
            translated.mappings.extend(moved);
        }
        let is_of_layer = |name: &str| {
            #[cfg_attr(not(feature = "scanned-cells"), allow(unused_mut))]
            let mut is_there = layers.iter().any(|layer| layer.has(name));
            #[cfg(feature = "scanned-cells")]
            {
                is_there |= stacks.iter().any(|stack| stack.has(name));
            }
            is_there
        };
        let mappings = self.mappings(&file, &prefix, is_of_layer, &translated);
        Ok(Imported {
            file,
            layers,
            options,
            #[cfg(feature = "scanned-cells")]
            scanned: stacks,
            tensors: translated.tensors,
            mappings,
        })
    }

    /// What is asked for of layers that run as a scan.
    #[cfg(feature = "scanned-cells")]
    fn asked(&self) -> Asked {
        let for_cells = [
            (self.nonlinearity.is_some(), "a nonlinearity is for an RNN"),
            (self.reset_after.is_some(), "reset_after is for a GRU"),
            (self.input_forget.is_some(), "input_forget is for an LSTM"),
            (self.clip.is_some(), "clip is for an LSTM"),
            (self.noise.is_some(), "noise is for layers that run step by step"),
            (!self.order.is_empty(), "an order of layers is for Keras and Flax"),
        ];
        Asked {
            library: self.library,
            kind: self.scanned,
            log_space: self.log_space,
            bidirectional: self.bidirectional,
            conjugates: self.conjugates,
            batch_first: self.batch_first,
            reverse: self.reverse,
            dropout: self.dropout,
            other: for_cells.iter().find(|(is_given, _)| *is_given).map(|(_, why)| *why),
        }
    }

    /// The tensors with PyTorch's names.
    fn translated(&self, own: Tensors) -> Result<Translated, String> {
        Ok(match self.library {
            Library::Torch if !self.order.is_empty() => {
                return Err("an order of layers is for Keras and Flax; PyTorch numbers them".into());
            }
            Library::Torch => torch::translate(own)?,
            Library::Keras => translate::<Keras>(&own, &self.order)?,
            Library::Flax => translate::<Flax>(&own, &self.order)?,
            Library::Haste => translate::<Haste>(&own, &self.order)?,
            Library::Onnx => translate::<Onnx>(&own, &self.order)
                .and_then(|done| onnx::check_reset(done, self.reset_after))?,
            Library::TensorFlow => {
                let mut done = translate::<TensorFlow>(&own, &self.order)?;
                add_forget_bias(&mut done, self.forget_bias.unwrap_or(FORGET_BIAS))?;
                done
            }
            Library::IndRnnPytorch => translate::<IndRnn>(&own, &self.order)?,
            Library::Xlstm => translate::<Xlstm>(&own, &self.order)?,
            Library::Dreamer => translate::<Dreamer>(&own, &self.order)?,
            Library::Lem => translate::<Lem>(&own, &self.order)?,
            Library::MinGruPytorch
            | Library::MinimalLru
            | Library::S5
            | Library::RecurrentGemma => {
                return Err("this build has no layers that run as a scan".to_string());
            }
        })
    }

    /// The whole prefix of the wanted tensors, with its separator.
    fn prefix(&self, tensors: &Tensors) -> String {
        let asked = match self.prefix.as_deref() {
            // With an empty prefix, the prefixes of wrappers are kept.
            Some("") => return String::new(),
            None => String::new(),
            Some(prefix) if prefix.ends_with(['.', '/']) => prefix.to_string(),
            // A file separates the parts of a name by `.` or by `/`.
            Some(prefix) => {
                let slash = format!("{prefix}/");
                let has_slash = tensors.keys().any(|name| name.starts_with(&slash));
                if has_slash { slash } else { format!("{prefix}.") }
            }
        };
        let is_there = !asked.is_empty() && tensors.keys().any(|name| name.starts_with(&asked));
        if self.library != Library::Torch || is_there {
            return asked;
        }
        format!("{}{asked}", torch::wrapper(tensors.keys()))
    }

    /// The layers and the options of each.
    fn layers(
        &self,
        file: &WeightFile,
        prefix: &str,
        translated: &Translated,
        (said, has_stacks): (&BTreeMap<String, Said>, bool),
    ) -> Result<(Vec<FoundLayer>, Vec<LayerOptions>), String> {
        let mut wrong = ErrorList::default();
        for (name, odd) in &file.left_out {
            if name.strip_prefix(prefix).is_some_and(torch::is_parameter) {
                let what = &odd.what;
                wrong.add(format!("{} is of type {what}, expected a float", shown(name)));
            }
        }
        let found = prefixes(&translated.tensors);
        if found.is_empty() && wrong.count == 0 && !has_stacks {
            return Err(format!(
                "no recurrent layer: no name ends like `weight_ih_l0`; there are {}",
                names(&translated.tensors)
            ));
        }
        if found.len() > MOST_LAYERS {
            return Err(format!("it holds more than {MOST_LAYERS} recurrent layers"));
        }
        let (mut layers, mut options) = (Vec::new(), Vec::new());
        for name in found {
            let known = said.get(&format!("{prefix}{name}")).and_then(Said::cell);
            let mut options_of_layer = self.options(known, file.format, translated)?;
            options_of_layer.kind = translated.kind.or(options_of_layer.kind);
            let is_lem = options_of_layer.kind.is_some_and(|kind| kind.name() == "lem");
            if let Some(step) = self.time_step.filter(|step| !is_lem || !step.is_finite()) {
                return Err(format!("a time step of {step} is for LEM, and has to be finite"));
            }
            match FoundLayer::read(&translated.tensors, &name, &options_of_layer) {
                Ok(layer) => layers.push(layer),
                Err(why) => wrong.add(why),
            }
            options.push(options_of_layer);
        }
        match wrong.count {
            0 => Ok((layers, options)),
            _ => Err(wrong.message()),
        }
    }

    /// The options that are given, else those in the file, else the defaults.
    fn options(
        &self,
        said: Option<&LayerOptions>,
        format: Format,
        translated: &Translated,
    ) -> Result<LayerOptions, String> {
        let reset_after = translated.reset_after;
        if let (Some(given), Some(found)) = (self.reset_after, reset_after)
            && given != found
        {
            return Err(format!(
                "reset_after is {given}, and the biases of the file are those of {found}"
            ));
        }
        let said = said.cloned().unwrap_or_else(|| LayerOptions {
            // Keras and Flax have only this layout, and files of Burn have the default of the configs.
            batch_first: self.library.is_batch_first() || format.layout() == Layout::Burn,
            nonlinearity: translated.nonlinearity.unwrap_or_default(),
            ..LayerOptions::default()
        });
        Ok(LayerOptions {
            kind: said.kind,
            nonlinearity: self.nonlinearity.unwrap_or(said.nonlinearity),
            reset_after: self.reset_after.or(reset_after).unwrap_or(said.reset_after),
            input_forget: self.input_forget.unwrap_or(said.input_forget),
            clip: self.clip.or(said.clip),
            batch_first: self.batch_first.unwrap_or(said.batch_first),
            reverse: self.reverse.unwrap_or(said.reverse),
            dropout: self.dropout.unwrap_or(said.dropout),
            noise: self.noise.or(said.noise),
            oscillator: said.oscillator,
            time_step: self.time_step.or(said.time_step).filter(|step| *step != 1.0),
        })
    }

    /// Where each tensor of the file went.
    fn mappings(
        &self,
        file: &WeightFile,
        prefix: &str,
        is_of_layer: impl Fn(&str) -> bool,
        translated: &Translated,
    ) -> Vec<TensorMapping> {
        let mut moved: BTreeMap<&str, &TensorMapping> = BTreeMap::new();
        for mapping in &translated.mappings {
            moved.insert(&mapping.from, mapping);
        }
        let row = |(name, array): (&String, _)| {
            let Some(own) = name.strip_prefix(prefix) else {
                return TensorMapping::new(name, array, None, "left out: not under the prefix");
            };
            if let Some(mapping) = moved.get(own) {
                return TensorMapping { from: name.clone(), ..(*mapping).clone() };
            }
            if self.library != Library::Torch {
                return TensorMapping::new(
                    name,
                    array,
                    None,
                    "left out: no part of a recurrent cell",
                );
            }
            let how =
                if is_of_layer(own) { "" } else { "copied as it is: not of a recurrent layer" };
            TensorMapping::new(name, array, Some(own.to_string()), how)
        };
        let unread = file.left_out.iter().map(|(name, odd)| TensorMapping::unread(name, odd));
        let mut mappings: Vec<_> = file.tensors.iter().map(row).chain(unread).collect();
        mappings.sort_by(|a, b| a.from.cmp(&b.from));
        mappings
    }
}
