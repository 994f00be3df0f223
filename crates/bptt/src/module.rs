//! A layer as a Burn module.
//!
//! `Module` is implemented by hand and not derived, because the paths of the parameters are PyTorch's names, such as
//! `weight_ih_l0`, directly below the layer.

use crate::cell::SequenceCell;
use crate::recurrent::Recurrent;
use crate::weights::Weights;
use bptt_kernels::{WeightCache, owned};
use burn::Tensor;
use burn::module::{
    Content, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor, Param,
};
use burn::tensor::{DType, Device};

impl Weights {
    /// Applies a function to each parameter of the layer. There is one function for each rank.
    fn convert(
        self,
        matrix: &mut impl FnMut(&'static str, Param<Tensor<2>>) -> Param<Tensor<2>>,
        vector: &mut impl FnMut(&'static str, Param<Tensor<1>>) -> Param<Tensor<1>>,
    ) -> Self {
        Self {
            weight_ih: own(matrix("weight_ih", self.weight_ih)),
            weight_hh: own(matrix("weight_hh", self.weight_hh)),
            bias_ih: self.bias_ih.map(|bias| own(vector("bias_ih", bias))),
            bias_hh: self.bias_hh.map(|bias| own(vector("bias_hh", bias))),
            weight_hr: self.weight_hr.map(|weight| own(matrix("weight_hr", weight))),
            weight_diag: self.weight_diag.map(|weight| own(matrix("weight_diag", weight))),
            // The packed form of the old weights is useless for new weights.
            cache: WeightCache::default(),
        }
    }
}

/// A parameter in its own memory. A parameter in the memory of a file would be copied and packed at every step.
fn own<const D: usize>(param: Param<Tensor<D>>) -> Param<Tensor<D>> {
    let value = param.is_initialized().then(|| param.val());
    match value.as_ref().and_then(owned) {
        Some(owned) => param.map(|_| owned),
        None => param,
    }
}

impl<C: SequenceCell> Recurrent<C> {
    /// The suffixes of PyTorch's names for each of the [`weights`](Self::weights): `_l0`, `_l0_reverse`, `_l1`, …
    pub fn suffixes(&self) -> impl Iterator<Item = String> + use<C> {
        let directions = if self.options.bidirectional { 2 } else { 1 };
        (0..self.options.num_layers * directions).map(move |k| {
            let reverse = if k % directions == 1 { "_reverse" } else { "" };
            format!("_l{}{reverse}", k / directions)
        })
    }

    /// The type of the parameters. Input and state have to be of the same type; see [`cast`](crate::cast).
    pub fn dtype(&self) -> DType {
        self.weights[0].weight_ih.dtype()
    }

    fn convert(self, mut each: impl FnMut(Weights) -> Weights) -> Self {
        Self { weights: self.weights.into_iter().map(&mut each).collect(), ..self }
    }
}

/// Runs code between `enter_module` and `exit_module` with a name.
macro_rules! within {
    ($walker:ident, $name:expr, $body:expr) => {{
        let name = $name;
        $walker.enter_module(&name, "Struct:Recurrent");
        let done = $body;
        $walker.exit_module(&name, "Struct:Recurrent");
        done
    }};
}

impl<C: SequenceCell> Module for Recurrent<C> {
    fn collect_devices(&self, mut devices: Vec<Device>) -> Vec<Device> {
        for weights in &self.weights {
            devices = weights.weight_ih.collect_devices(devices);
            devices = weights.weight_hh.collect_devices(devices);
            devices = weights.bias_ih.collect_devices(devices);
            devices = weights.bias_hh.collect_devices(devices);
            devices = weights.weight_hr.collect_devices(devices);
            devices = weights.weight_diag.collect_devices(devices);
        }
        devices
    }

    fn fork(self, device: &Device) -> Self {
        self.convert(|w| w.convert(&mut |_, p| p.fork(device), &mut |_, p| p.fork(device)))
    }

    fn to_device(self, device: &Device) -> Self {
        self.convert(|w| {
            w.convert(&mut |_, p| p.to_device(device), &mut |_, p| p.to_device(device))
        })
    }

    fn train(self) -> Self {
        let dropout = self.dropout.clone().train();
        let weights = self.convert(|w| w.convert(&mut |_, p| p.train(), &mut |_, p| p.train()));
        Self { dropout, ..weights }
    }

    fn valid(&self) -> Self {
        let dropout = self.dropout.valid();
        let weights = self.clone().convert(|w| {
            // The numbers are the same, so the packed weights are kept. Then programs that call `valid()` for each step
            // do not pack again.
            let cache = w.cache.clone();
            Weights {
                cache,
                ..w.convert(&mut |_, p| Module::valid(&p), &mut |_, p| Module::valid(&p))
            }
        });
        Self { dropout, ..weights }
    }

    fn materialize(self) -> Self {
        self.convert(|w| w.convert(&mut |_, p| p.materialize(), &mut |_, p| p.materialize()))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (suffix, weights) in self.suffixes().zip(&self.weights) {
            let path = |name: &str| format!("{name}{suffix}");
            within!(visitor, path("weight_ih"), weights.weight_ih.visit(visitor));
            within!(visitor, path("weight_hh"), weights.weight_hh.visit(visitor));
            if let Some(bias) = &weights.bias_ih {
                within!(visitor, path("bias_ih"), bias.visit(visitor));
            }
            if let Some(bias) = &weights.bias_hh {
                within!(visitor, path("bias_hh"), bias.visit(visitor));
            }
            if let Some(weight) = &weights.weight_hr {
                within!(visitor, path("weight_hr"), weight.visit(visitor));
            }
            if let Some(weight) = &weights.weight_diag {
                within!(visitor, path("weight_diag"), weight.visit(visitor));
            }
        }
        within!(visitor, "dropout".to_string(), self.dropout.visit(visitor));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let mut suffixes = self.suffixes().collect::<Vec<_>>().into_iter();
        let dropout = within!(mapper, "dropout".to_string(), self.dropout.clone().map(mapper));
        // Both closures of `convert` need the mapper, but never at the same time.
        let mapper = std::cell::RefCell::new(mapper);
        let layer = self.convert(|weights| {
            let suffix = suffixes.next().expect("as many suffixes as weights");
            weights.convert(
                &mut |name, param| {
                    let mut mapper = mapper.borrow_mut();
                    within!(mapper, format!("{name}{suffix}"), Module::map(param, &mut **mapper))
                },
                &mut |name, param| {
                    let mut mapper = mapper.borrow_mut();
                    within!(mapper, format!("{name}{suffix}"), Module::map(param, &mut **mapper))
                },
            )
        });
        Self { dropout, ..layer }
    }
}

impl<C: SequenceCell> ModuleDisplayDefault for Recurrent<C> {
    fn content(&self, content: Content) -> Option<Content> {
        let options = &self.options;
        let mut content = content
            .set_top_level_type(self.cell.name())
            .add("d_input", &options.d_input)
            .add("d_hidden", &options.d_hidden)
            .add("num_layers", &options.num_layers)
            .add("bidirectional", &options.bidirectional)
            .add("bias", &self.weights[0].bias_ih.is_some())
            .add("batch_first", &options.batch_first)
            .add("dropout", &self.dropout.prob);
        if let Some(proj_size) = options.proj_size {
            content = content.add("proj_size", &proj_size);
        }
        content.add_debug_attribute("engine", &options.engine).optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl<C: SequenceCell> ModuleDisplay for Recurrent<C> {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }
}

impl<C: SequenceCell> std::fmt::Display for Recurrent<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", ModuleDisplay::format(self, Default::default()))
    }
}
