//! Models and states as burnpack files.

use crate::error::Error;
use crate::weights::burnpack::check;
use crate::weights::file::read_whole;
use bptt::{AnyState, RecurrentState};
use burn::Tensor;
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device, TensorData};
use burn_pack::{Reader, Writer};
use std::path::Path;

/// The state that is carried to the next step. It is a module, because a burnpack file holds a module.
#[derive(Module, Debug)]
pub(crate) struct Carried {
    hidden: Param<Tensor<3>>,
    memory: Option<Param<Tensor<3>>>,
}

impl Carried {
    pub(crate) fn new(state: AnyState) -> Self {
        let (hidden, memory) = state.into_parts();
        let param = |tensor, id: u64| Param::initialized(ParamId::from(id), tensor);
        Self { hidden: param(hidden, 1), memory: memory.map(|memory| param(memory, 2)) }
    }

    /// Loads a state from a file. It must have the same shape and type as `like`.
    pub(crate) fn load(path: &Path, like: AnyState, device: &Device) -> Result<AnyState, Error> {
        let zeros = |tensor: Tensor<3>| Tensor::zeros(tensor.dims(), (device, tensor.dtype()));
        let (hidden, memory) = like.into_parts();
        let like = AnyState::from_parts(zeros(hidden), memory.map(zeros));
        let Self { hidden, memory } = load_model(Self::new(like), path)?;
        let state = AnyState::from_parts(hidden.val(), memory.map(|memory| memory.val()));
        Ok(state.detach())
    }
}

/// The bytes of a file with this record.
pub(crate) fn bytes(record: ModuleRecord) -> Result<Bytes, Error> {
    record.into_bytes().map_err(|error| Error::input(format!("cannot write the model: {error}")))
}

/// The same for an optimizer's record. Burn writes its tensors in the order of a hash map, which differs between
/// processes. Here they are sorted by name.
pub(crate) fn optimizer_bytes(record: OptimizerRecord) -> Result<Bytes, String> {
    let bytes = record.into_bytes().map_err(|error| error.to_string())?;
    let reader = Reader::from_bytes(bytes).map_err(|error| error.to_string())?;
    let (scalars, metadata) = (reader.scalars().clone(), reader.metadata().clone());
    let mut tensors = reader.into_tensors().map_err(|error| error.to_string())?;
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let writer = Writer::new(tensors);
    let writer = scalars.iter().fold(writer, |to, (name, value)| to.with_scalar(name, *value));
    let writer = metadata.iter().fold(writer, |to, (name, value)| to.with_metadata(name, value));
    writer.into_bytes().map_err(|error| error.to_string())
}

/// The second moments of Adam's state, in the order of the parameters' numbers ([`numbered`]), and how many steps there
/// were; `None` before the first step.
pub(crate) fn second_moments(record: OptimizerRecord) -> Result<Option<(f64, Vec<f64>)>, String> {
    let bytes = record.into_bytes().map_err(|error| error.to_string())?;
    let reader = Reader::from_bytes(bytes).map_err(|error| error.to_string())?;
    let time = reader.scalars().iter().find(|(name, _)| name.ends_with(".time"));
    let time = time.and_then(|(_, time)| u64::try_from(*time).ok());
    let tensors = reader.into_tensors().map_err(|error| error.to_string())?;
    let number = |name: &str| name.split('.').next().and_then(|id| id.parse::<u64>().ok());
    let is_moment = |tensor: &burn_pack::Tensor| tensor.name.ends_with(".moment_2");
    let mut moments: Vec<_> = tensors.into_iter().filter(is_moment).collect();
    moments.sort_by_key(|tensor| number(&tensor.name));
    let mut all = Vec::new();
    for tensor in moments {
        let (_, dtype, shape, _, bytes) = tensor.into_parts().map_err(|error| error.to_string())?;
        all.extend(TensorData::from_bytes(bytes, shape, dtype).iter::<f64>());
    }
    Ok(time.filter(|_| !all.is_empty()).map(|time| (time as f64, all)))
}

/// Loads a model's parameters from a file.
pub(crate) fn load_model<M: Module>(model: M, path: &Path) -> Result<M, Error> {
    let bytes = read_whole(path)?;
    check(&bytes)
        .and_then(|()| {
            let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes));
            model
                .try_load_record(record.map_err(|error| error.to_string())?)
                .map_err(|error| error.to_string())
        })
        .map_err(|why| Error::file("read", path, why))
}

/// The same model with its parameters numbered in order. Burn gives parameters random numbers as their ids, but the
/// same seed has to give the same file.
pub(crate) fn numbered<M: Module>(model: M) -> M {
    struct Number(u64);
    impl ModuleMapper for Number {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            let (_, tensor, mapper) = param.consume();
            Param::from_mapped_value(ParamId::from(self.0), tensor, mapper)
        }
    }
    model.map(&mut Number(0))
}
