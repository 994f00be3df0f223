//! Layers that run as a scan, in the files of the programs that have them: minGRU, LRU, S5, RG-LRU.
//!
//! | layer | program | names |
//! | --- | --- | --- |
//! | [`MinGru`](bptt::scanned::MinGru) | lucidrains' `minGRU-pytorch` | `to_hidden_and_gate.weight` |
//! | [`Lru`](bptt::scanned::Lru) | Zucchet's `minimal-LRU` | `nu_log`, `theta_log`, `gamma_log`, `B_re`, `B_im`, `C_re`, `C_im`, `D` |
//! | [`S5`](bptt::scanned::S5) | lindermanlab's `S5` | `Lambda_re`, `Lambda_im`, `log_step`, `B`, `C`, `D` |
//! | [`RgLru`](bptt::scanned::RgLru) | `recurrentgemma` | `a_param`, `a_gate.w`, `a_gate.b`, `input_gate.w`, `input_gate.b` |
//!
//! A file has one layer under a prefix. [`ScannedImport`] reads it, and [`save_scanned`] writes it under the same names.

use crate::error::Error;
use crate::weights::array::{Array, Element};
use crate::weights::contents::Tensors;
use crate::weights::error_list::shown;
use crate::weights::export::array;
use crate::weights::file::{WeightFile, one_line};
use crate::weights::formats;
use crate::weights::xlstm::MOST_HEADS;
use bptt::scanned::{
    LruConfig, LruLayer, MinGruConfig, MinGruLayer, RgLruConfig, RgLruLayer, S5Config, S5Layer,
    Scanned, ScannedLayer,
};
use burn::Tensor;
use burn::module::Param;
use burn::tensor::{Device, TensorData};
use std::path::Path;

/// A diagonal that is longer than this is refused, because its matrix would be that many times as large.
const MOST_CHANNELS: usize = 8192;

/// How to read a layer that runs as a scan from another program's file.
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

    /// Reads the layer. f64 stays f64, and all other types become f32.
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
        let prefix = match self.prefix.as_str() {
            "" => String::new(),
            prefix if prefix.ends_with(['.', '/']) => prefix.to_string(),
            prefix => {
                let slash = format!("{prefix}/");
                let has_slash = file.tensors.keys().any(|name| name.starts_with(&slash));
                if has_slash { slash } else { format!("{prefix}.") }
            }
        };
        let own = file.tensors.iter().filter_map(|(name, array)| {
            // Flax joins the parts of a name by `/`.
            Some((name.strip_prefix(&prefix)?.replace('/', "."), array.clone()))
        });
        let source = Source { tensors: own.collect(), prefix, device, conjugates: self.conjugates };
        L::read(&source)
            .map_err(|why| Error::file("read", path, one_line(format!("{}: {why}", L::PROGRAM))))
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
    let failed = |why: String| Error::file("write", path, format!("{}: {why}", L::PROGRAM));
    let format = formats::of_path_to_write(path).map_err(|why| Error::file("write", path, why))?;
    let [only] = &layer.layers[..] else {
        return Err(failed(format!("{} layers, expected one: save each", layer.layers.len())));
    };
    let tensors = only.tensors().map_err(failed)?;
    let (left_out, metadata) = Default::default();
    WeightFile { format, tensors, left_out, metadata }.write(path)
}

/// A layer that another program has, too.
pub trait ScannedFile: ScannedLayer + Sized {
    /// The program.
    const PROGRAM: &'static str;

    /// Makes the layer from the program's tensors.
    ///
    /// # Errors
    ///
    /// What does not fit, in one line.
    fn read(source: &Source<'_>) -> Result<Scanned<Self>, String>;

    /// The layer as the program's tensors.
    ///
    /// # Errors
    ///
    /// What the program does not have, in one line.
    fn tensors(&self) -> Result<Tensors, String>;
}

/// The tensors of a layer in a file, by the program's names without the prefix.
#[derive(Debug)]
pub struct Source<'a> {
    tensors: Tensors,
    prefix: String,
    device: &'a Device,
    conjugates: bool,
}

impl Source<'_> {
    /// A tensor of floats with this shape; `None` for any size.
    fn take<const D: usize>(
        &self,
        name: &str,
        shape: [Option<usize>; D],
    ) -> Result<&Array, String> {
        let full = shown(&format!("{}{name}", self.prefix));
        let sizes = shape.map(|size| size.map_or("?".to_string(), |size| size.to_string()));
        let expected = format!("[{}]", sizes.join(", "));
        let Some(array) = self.tensors.get(name) else {
            return Err(format!("{full} is missing, expected {expected}"));
        };
        let found = array.shape();
        let fits = |(size, expected): (&usize, &Option<usize>)| {
            *size > 0 && expected.is_none_or(|expected| expected == *size)
        };
        if found.len() != D || !found.iter().zip(&shape).all(fits) {
            return Err(format!("{full} has shape {found:?}, expected {expected}"));
        }
        if !array.element().is_float() {
            let element = array.element().name();
            return Err(format!("{full} is of type {element}, expected a float"));
        }
        Ok(array)
    }

    fn refuse(&self, names: &[&str], why: &str) -> Result<(), String> {
        match names.iter().find(|name| self.tensors.contains_key(**name)) {
            Some(name) => Err(format!("{}: {why}", shown(&format!("{}{name}", self.prefix)))),
            None => Ok(()),
        }
    }

    /// A parameter with these numbers, in the layer's type.
    fn param<const D: usize>(&self, shape: [usize; D], values: Vec<f64>) -> Param<Tensor<D>> {
        let is_double = self.tensors.values().any(|array| array.element() == Element::F64);
        let dtype = if is_double { Element::F64 } else { Element::F32 }.dtype();
        let data = TensorData::new(values, shape).convert_dtype(dtype);
        Param::from_tensor(Tensor::from_data(data, (self.device, dtype)))
    }

    /// The same numbers as a parameter.
    fn same<const D: usize>(&self, array: &Array) -> Param<Tensor<D>> {
        let shape: [usize; D] = array.shape().try_into().expect("its rank was checked");
        self.param(shape, array.to_f64())
    }
}

impl ScannedFile for MinGruLayer {
    const PROGRAM: &'static str = "minGRU-pytorch";

    fn read(source: &Source<'_>) -> Result<Scanned<Self>, String> {
        source.refuse(
            &["to_out.weight"],
            "a projection behind the layer (expansion_factor), which has no counterpart",
        )?;
        let weight = source.take("to_hidden_and_gate.weight", [None, None])?;
        let &[rows, input] = weight.shape() else { unreachable!("its rank was checked") };
        if rows % 2 != 0 {
            return Err(format!("to_hidden_and_gate.weight has {rows} rows, expected 2·H"));
        }
        let bias = match source.tensors.contains_key("to_hidden_and_gate.bias") {
            true => Some(source.take("to_hidden_and_gate.bias", [Some(rows)])?),
            false => None,
        };
        let config = MinGruConfig::new(input, rows / 2).with_log_space(true);
        let config = config.with_bias(bias.is_some());
        let mut made = config.try_init(source.device).map_err(|error| error.to_string())?;
        made.layers[0].weight_ih = source.same(weight);
        made.layers[0].bias_ih = bias.map(|bias| source.same(bias));
        Ok(made)
    }

    fn tensors(&self) -> Result<Tensors, String> {
        let mut all = Tensors::new();
        all.insert("to_hidden_and_gate.weight".to_string(), array(&self.weight_ih)?);
        if let Some(bias) = &self.bias_ih {
            all.insert("to_hidden_and_gate.bias".to_string(), array(bias)?);
        }
        match self.is_log_space() {
            true => Ok(all),
            false => Err("its candidate is made positive, expected log_space".to_string()),
        }
    }
}

impl ScannedFile for LruLayer {
    const PROGRAM: &'static str = "minimal-LRU";

    fn read(source: &Source<'_>) -> Result<Scanned<Self>, String> {
        let b_re = source.take("B_re", [None, None])?;
        let &[hidden, input] = b_re.shape() else { unreachable!("its rank was checked") };
        let b_im = source.take("B_im", [Some(hidden), Some(input)])?;
        let [c_re, c_im] =
            ["C_re", "C_im"].map(|name| source.take(name, [Some(input), Some(hidden)]));
        let skip = source.take("D", [Some(input)])?;
        let [nu, theta, gamma] =
            ["nu_log", "theta_log", "gamma_log"].map(|name| source.take(name, [Some(hidden)]));
        let config = LruConfig::new(input, hidden).with_d_output(input);
        let mut made = config.try_init(source.device).map_err(|error| error.to_string())?;
        let layer = &mut made.layers[0];
        (layer.nu_log, layer.theta_log) = (source.same(nu?), source.same(theta?));
        layer.gamma_log = source.same(gamma?);
        (layer.weight_re, layer.weight_im) = (source.same(b_re), source.same(b_im));
        layer.readout.weight_re = source.same(c_re?);
        layer.readout.weight_im = source.same(c_im?);
        layer.readout.weight_skip = source.param([input, input], diagonal(&skip.to_f64())?);
        Ok(made)
    }

    fn tensors(&self) -> Result<Tensors, String> {
        let readout = &self.readout;
        let all = [
            ("nu_log", array(&self.nu_log)?),
            ("theta_log", array(&self.theta_log)?),
            ("gamma_log", array(&self.gamma_log)?),
            ("B_re", array(&self.weight_re)?),
            ("B_im", array(&self.weight_im)?),
            ("C_re", array(&readout.weight_re)?),
            ("C_im", array(&readout.weight_im)?),
            ("D", of_diagonal(&array(&readout.weight_skip)?)?),
        ];
        Ok(named(all))
    }
}

impl ScannedFile for S5Layer {
    const PROGRAM: &'static str = "S5";

    fn read(source: &Source<'_>) -> Result<Scanned<Self>, String> {
        source.refuse(&["C1", "C2"], "a layer of both directions, which is not converted")?;
        let b = source.take("B", [None, None, Some(2)])?;
        let &[hidden, input, _] = b.shape() else { unreachable!("its rank was checked") };
        let c = source.take("C", [Some(input), None, Some(2)])?;
        if c.shape()[1] != hidden {
            return Err(format!(
                "`C` has {} columns, expected {hidden}: a layer of both directions is not converted",
                c.shape()[1]
            ));
        }
        let skip = source.take("D", [Some(input)])?;
        let [re, im] = ["Lambda_re", "Lambda_im"].map(|name| source.take(name, [Some(hidden)]));
        let step = source.take("log_step", [Some(hidden), Some(1)])?;
        let rate = re?.to_f64();
        if let Some(k) = rate.iter().position(|re| re.is_nan() || *re >= 0.0) {
            return Err(format!(
                "`Lambda_re` is {} at {k}, and has to be below 0: the rate here is the logarithm of a decay",
                rate[k]
            ));
        }
        let config = S5Config::new(input, hidden).with_d_output(input);
        let mut made = config.try_init(source.device).map_err(|error| error.to_string())?;
        let layer = &mut made.layers[0];
        layer.rate_log = source.param([hidden], rate.iter().map(|re| (-re).ln()).collect());
        layer.frequency = source.same(im?);
        layer.step_log = source.param([hidden], step.to_f64());
        let part = |array: &Array, part: usize, factor: f64| -> Vec<f64> {
            array.to_f64().chunks(2).map(|pair| factor * pair[part]).collect()
        };
        let factor = if source.conjugates { 2.0 } else { 1.0 };
        layer.weight_re = source.param([hidden, input], part(b, 0, 1.0));
        layer.weight_im = source.param([hidden, input], part(b, 1, 1.0));
        layer.readout.weight_re = source.param([input, hidden], part(c, 0, factor));
        layer.readout.weight_im = source.param([input, hidden], part(c, 1, factor));
        layer.readout.weight_skip = source.param([input, input], diagonal(&skip.to_f64())?);
        Ok(made)
    }

    fn tensors(&self) -> Result<Tensors, String> {
        let readout = &self.readout;
        let pairs = |re: &Param<Tensor<2>>, im: &Param<Tensor<2>>, factor: f64| {
            let (re, im) = (array(re)?, array(im)?);
            let both = re.to_f64().into_iter().zip(im.to_f64());
            let values = both.flat_map(|(re, im)| [factor * re, factor * im]).collect();
            let &[rows, columns] = re.shape() else { unreachable!("a matrix") };
            Array::of_f64(re.element(), vec![rows, columns, 2], values)
        };
        let rate = array(&self.rate_log)?;
        let re = rate.to_f64().iter().map(|rate| -rate.exp()).collect();
        let step = array(&self.step_log)?;
        let hidden = step.shape()[0];
        let all = [
            ("Lambda_re", Array::of_f64(rate.element(), vec![hidden], re)?),
            ("Lambda_im", array(&self.frequency)?),
            ("log_step", step.reshaped(&[hidden, 1])),
            ("B", pairs(&self.weight_re, &self.weight_im, 1.0)?),
            ("C", pairs(&readout.weight_re, &readout.weight_im, 0.5)?),
            ("D", of_diagonal(&array(&readout.weight_skip)?)?),
        ];
        Ok(named(all))
    }
}

impl ScannedFile for RgLruLayer {
    const PROGRAM: &'static str = "recurrentgemma";

    fn read(source: &Source<'_>) -> Result<Scanned<Self>, String> {
        let lambda = source.take("a_param", [None])?;
        let width = lambda.shape()[0];
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        // The rows here are `r i`.
        for gate in ["a_gate", "input_gate"] {
            let w = source.take(&format!("{gate}.w"), [None, None, None])?;
            let &[heads, rows, columns] = w.shape() else { unreachable!("its rank was checked") };
            if heads > MOST_HEADS {
                return Err(format!(
                    "`{gate}.w` is of {heads} heads, expected at most {MOST_HEADS}"
                ));
            }
            if rows != columns || heads.checked_mul(rows) != Some(width) {
                return Err(format!(
                    "`{gate}.w` has shape {:?}, expected [N, d, d] with N·d = {width}",
                    w.shape()
                ));
            }
            weight.extend(dense(&w.to_f64(), [heads, rows]));
            bias.extend(source.take(&format!("{gate}.b"), [Some(heads), Some(rows)])?.to_f64());
        }
        let config = RgLruConfig::new(width, width);
        let mut made = config.try_init(source.device).map_err(|error| error.to_string())?;
        let layer = &mut made.layers[0];
        layer.weight_ih = source.param([2 * width, width], weight);
        layer.bias_ih = Some(source.param([2 * width], bias));
        layer.lambda = source.same(lambda);
        Ok(made)
    }

    fn tensors(&self) -> Result<Tensors, String> {
        if self.weight_in.is_some() {
            return Err("a projection of its input (weight_in), expected d_input = d_hidden".into());
        }
        let weight = array(&self.weight_ih)?;
        let &[rows, width] = weight.shape() else { unreachable!("a matrix") };
        let bias = match &self.bias_ih {
            Some(bias) => array(bias)?,
            None => Array::zeros(weight.element(), &[rows]),
        };
        let halves = weight.reshaped(&[2, width, width]);
        let biases = bias.reshaped(&[2, width]);
        let gate = |k: usize| halves.row(k).transposed().reshaped(&[1, width, width]);
        let all = [
            ("a_param", array(&self.lambda)?),
            ("a_gate.w", gate(0)),
            ("a_gate.b", biases.row(0).reshaped(&[1, width])),
            ("input_gate.w", gate(1)),
            ("input_gate.b", biases.row(1).reshaped(&[1, width])),
        ];
        Ok(named(all))
    }
}

/// The matrix `[N·d, N·d]` whose blocks are the transposed heads, for heads `[N, d, d]`: inputs by outputs.
fn dense(heads: &[f64], [count, size]: [usize; 2]) -> Vec<f64> {
    let width = count * size;
    let mut all = vec![0.0; width * width];
    for head in 0..count {
        for input in 0..size {
            for output in 0..size {
                let at = (head * size + output) * width + head * size + input;
                all[at] = heads[(head * size + input) * size + output];
            }
        }
    }
    all
}

/// A square matrix with these numbers on its diagonal.
fn diagonal(values: &[f64]) -> Result<Vec<f64>, String> {
    let size = values.len();
    if size > MOST_CHANNELS {
        return Err(format!(
            "`D` has {size} numbers, expected at most {MOST_CHANNELS}: here it is a matrix"
        ));
    }
    let mut all = vec![0.0; size * size];
    values.iter().enumerate().for_each(|(k, value)| all[k * size + k] = *value);
    Ok(all)
}

/// The diagonal of a matrix that has nothing else.
fn of_diagonal(matrix: &Array) -> Result<Array, String> {
    let (values, &[rows, columns]) = (matrix.to_f64(), matrix.shape()) else {
        unreachable!("a matrix")
    };
    let is_off = |at: &usize| at / columns != at % columns;
    if rows != columns || (0..values.len()).filter(is_off).any(|at| values[at] != 0.0) {
        return Err("`D` is a matrix, and there it is one number a channel".to_string());
    }
    let on = (0..rows).map(|k| values[k * columns + k]).collect();
    Array::of_f64(matrix.element(), vec![rows], on)
}

fn named<const N: usize>(all: [(&str, Array); N]) -> Tensors {
    all.into_iter().map(|(name, array)| (name.to_string(), array)).collect()
}
