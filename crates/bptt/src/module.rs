//! A layer as a Burn module.
//!
//! `Module` is implemented by hand and not derived, because the paths of the parameters are PyTorch's names, such as
//! `weight_ih_l0`, directly below the layer.

use crate::cell::SequenceCell;
use crate::recurrent::Recurrent;
use crate::recurrent_weight::RecurrentWeight;
use crate::weights::Weights;
use bptt_kernels::{WeightCache, owned};
use burn::Tensor;
use burn::module::{
    Content, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor, Param,
};
use burn::tensor::{DType, Device};

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

impl Weights {
    /// Applies a function to each parameter of the layer.
    fn convert(self, by: &mut impl Convert) -> Self {
        Self {
            weight_ih: own(by.convert("weight_ih", self.weight_ih)),
            weight_hh: match self.weight_hh {
                RecurrentWeight::Whole(weight) => own(by.convert("weight_hh", weight)).into(),
                RecurrentWeight::Heads(weight) => own(by.convert("weight_hh", weight)).into(),
            },
            bias_ih: self.bias_ih.map(|bias| own(by.convert("bias_ih", bias))),
            bias_hh: self.bias_hh.map(|bias| own(by.convert("bias_hh", bias))),
            weight_hr: self.weight_hr.map(|weight| own(by.convert("weight_hr", weight))),
            weight_diag: self.weight_diag.map(|weight| own(by.convert("weight_diag", weight))),
            // The packed form of the old weights is useless for new weights.
            cache: WeightCache::default(),
        }
    }
}

/// A function of a parameter of any rank.
trait Convert {
    fn convert<const D: usize>(
        &mut self,
        name: &'static str,
        param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>>;
}

/// Declares a [`Convert`] that calls a function of each parameter, and makes it.
macro_rules! each_param {
    (|$param:ident $(, $value:ident: $Value:ty)?| $body:expr) => {{
        struct Each<'a>($(&'a $Value,)? std::marker::PhantomData<&'a ()>);
        impl Convert for Each<'_> {
            fn convert<const D: usize>(
                &mut self,
                _name: &'static str,
                $param: Param<Tensor<D>>,
            ) -> Param<Tensor<D>> {
                $(let $value = self.0;)?
                $body
            }
        }
        Each($($value,)? std::marker::PhantomData)
    }};
}

/// Maps each parameter by Burn's mapper, within a module of its name.
struct ByMapper<'a, M> {
    mapper: &'a mut M,
    suffix: String,
}

impl<M: ModuleMapper> Convert for ByMapper<'_, M> {
    fn convert<const D: usize>(
        &mut self,
        name: &'static str,
        param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let (mapper, name) = (&mut *self.mapper, format!("{name}{}", self.suffix));
        within!(mapper, name, Module::map(param, mapper))
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

impl<C: SequenceCell> Module for Recurrent<C> {
    fn collect_devices(&self, mut devices: Vec<Device>) -> Vec<Device> {
        for weights in &self.weights {
            devices = weights.weight_ih.collect_devices(devices);
            devices = match &weights.weight_hh {
                RecurrentWeight::Whole(weight) => weight.collect_devices(devices),
                RecurrentWeight::Heads(weight) => weight.collect_devices(devices),
            };
            devices = weights.bias_ih.collect_devices(devices);
            devices = weights.bias_hh.collect_devices(devices);
            devices = weights.weight_hr.collect_devices(devices);
            devices = weights.weight_diag.collect_devices(devices);
        }
        devices
    }

    fn fork(self, device: &Device) -> Self {
        self.convert(|w| w.convert(&mut each_param!(|p, device: Device| p.fork(device))))
    }

    fn to_device(self, device: &Device) -> Self {
        self.convert(|w| w.convert(&mut each_param!(|p, device: Device| p.to_device(device))))
    }

    fn train(self) -> Self {
        let dropout = self.dropout.clone().train();
        let weights = self.convert(|w| w.convert(&mut each_param!(|p| p.train())));
        Self { dropout, ..weights }
    }

    fn valid(&self) -> Self {
        let dropout = self.dropout.valid();
        let weights = self.clone().convert(|w| {
            // The numbers are the same, so the packed weights are kept. Then programs that call `valid()` for each step
            // do not pack again.
            let cache = w.cache.clone();
            Weights { cache, ..w.convert(&mut each_param!(|p| Module::valid(&p))) }
        });
        Self { dropout, ..weights }
    }

    fn materialize(self) -> Self {
        self.convert(|w| w.convert(&mut each_param!(|p| p.materialize())))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (suffix, weights) in self.suffixes().zip(&self.weights) {
            let path = |name: &str| format!("{name}{suffix}");
            within!(visitor, path("weight_ih"), weights.weight_ih.visit(visitor));
            match &weights.weight_hh {
                RecurrentWeight::Whole(weight) => {
                    within!(visitor, path("weight_hh"), weight.visit(visitor))
                }
                RecurrentWeight::Heads(weight) => {
                    within!(visitor, path("weight_hh"), weight.visit(visitor))
                }
            }
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
        let layer = self.convert(|weights| {
            let suffix = suffixes.next().expect("as many suffixes as weights");
            weights.convert(&mut ByMapper { mapper: &mut *mapper, suffix })
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
        if options.num_heads > 1 {
            content = content.add("num_heads", &options.num_heads);
        }
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
