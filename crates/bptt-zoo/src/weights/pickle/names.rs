//! The names that checkpoints may use.
//!
//! They are those that `torch.load(weights_only=True)` allows, and some types of plain data that often stand beside
//! weights: named arguments, paths, numbers of NumPy. None of them is called.

use crate::weights::array::Element;
use crate::weights::pickle::value::{Kind, Name};

/// Names of Python's own types and of plain data, whose content is ignored.
const PLAIN: [(&str, &[&str]); 8] = [
    (
        "builtins",
        &[
            "set",
            "frozenset",
            "bytes",
            "bytearray",
            "complex",
            "list",
            "tuple",
            "dict",
            "int",
            "float",
            "str",
            "bool",
            "slice",
            "range",
        ],
    ),
    ("collections", &["Counter", "defaultdict", "deque"]),
    // How protocol 2 writes bytes.
    ("_codecs", &["encode"]),
    ("argparse", &["Namespace"]),
    ("pathlib", &["Path", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"]),
    ("numpy", &["dtype", "ndarray"]),
    ("numpy.core.multiarray", &["scalar", "_reconstruct"]),
    ("numpy._core.multiarray", &["scalar", "_reconstruct"]),
];

/// Names of PyTorch that make no tensor.
const TORCH: [&str; 16] = [
    "Size",
    "device",
    "Generator",
    "per_tensor_affine",
    "per_tensor_symmetric",
    "per_channel_affine",
    "per_channel_symmetric",
    "per_channel_affine_float_qparams",
    "strided",
    "sparse_coo",
    "sparse_csr",
    "sparse_csc",
    "sparse_bsr",
    "sparse_bsc",
    "contiguous_format",
    "channels_last",
];

/// Functions that make tensors which are left out: quantized, sparse, nested, without numbers.
const ODD_TENSORS: [&str; 8] = [
    "_rebuild_qtensor",
    "_rebuild_sparse_tensor",
    "_rebuild_sparse_csr_tensor",
    "_rebuild_meta_tensor_no_storage",
    "_rebuild_nested_tensor",
    "_rebuild_wrapper_subclass",
    "_rebuild_device_tensor_from_numpy",
    "_rebuild_device_tensor_from_cpu_tensor",
];

/// Types of numbers that are not read, and how many bytes a number has.
const ODD: [(&str, usize); 24] = [
    ("complex32", 4),
    ("complex64", 8),
    ("complex128", 16),
    ("qint8", 1),
    ("quint8", 1),
    ("qint32", 4),
    ("quint4x2", 1),
    ("quint2x4", 1),
    ("float8_e4m3fn", 1),
    ("float8_e5m2", 1),
    ("float8_e4m3fnuz", 1),
    ("float8_e5m2fnuz", 1),
    ("float8_e8m0fnu", 1),
    ("float4_e2m1fn_x2", 1),
    ("bits8", 1),
    ("bits16", 2),
    ("uint1", 1),
    ("uint2", 1),
    ("uint3", 1),
    ("uint4", 1),
    ("uint5", 1),
    ("uint6", 1),
    ("uint7", 1),
    ("int4", 1),
];

/// The name of a type that is not read.
pub(super) fn odd(number: u8) -> &'static str {
    ODD[usize::from(number)].0
}

impl Kind {
    /// How many bytes an element has, for a type that is not read.
    pub(in crate::weights) fn odd_width(self) -> usize {
        match self {
            Self::Odd(number) => ODD[usize::from(number)].1,
            _ => 1,
        }
    }
}

fn odd_kind(name: &str) -> Option<Kind> {
    ODD.iter().position(|(odd, _)| *odd == name).map(|k| Kind::Odd(k as u8))
}

/// The storages by the names of their classes.
fn storage(name: &str) -> Option<Kind> {
    Some(match name {
        "FloatStorage" => Kind::Known(Element::F32),
        "DoubleStorage" => Kind::Known(Element::F64),
        "HalfStorage" => Kind::Known(Element::F16),
        "BFloat16Storage" => Kind::Known(Element::BF16),
        "LongStorage" => Kind::Known(Element::I64),
        "IntStorage" => Kind::Known(Element::I32),
        "ShortStorage" => Kind::Known(Element::I16),
        "CharStorage" => Kind::Known(Element::I8),
        "ByteStorage" => Kind::Known(Element::U8),
        "BoolStorage" => Kind::Known(Element::Bool),
        "ComplexFloatStorage" => odd_kind("complex64")?,
        "ComplexDoubleStorage" => odd_kind("complex128")?,
        "QInt8Storage" => odd_kind("qint8")?,
        "QUInt8Storage" => odd_kind("quint8")?,
        "QInt32Storage" => odd_kind("qint32")?,
        "QUInt4x2Storage" => odd_kind("quint4x2")?,
        "QUInt2x4Storage" => odd_kind("quint2x4")?,
        "UntypedStorage" => Kind::Untyped,
        _ => return None,
    })
}

/// The types by their names.
fn dtype(name: &str) -> Option<Kind> {
    let element = match name {
        "bool" => Element::Bool,
        "uint8" => Element::U8,
        "int8" => Element::I8,
        "uint16" => Element::U16,
        "int16" | "short" => Element::I16,
        "uint32" => Element::U32,
        "int32" | "int" => Element::I32,
        "uint64" => Element::U64,
        "int64" | "long" => Element::I64,
        "float16" | "half" => Element::F16,
        "bfloat16" => Element::BF16,
        "float32" | "float" => Element::F32,
        "float64" | "double" => Element::F64,
        _ => return odd_kind(name),
    };
    Some(Kind::Known(element))
}

/// Whether a name is a class of tensors in old files, such as `FloatTensor`.
fn is_tensor_class(name: &str) -> bool {
    name == "Tensor"
        || name
            .strip_suffix("Tensor")
            .is_some_and(|kind| storage(&format!("{kind}Storage")).is_some())
}

/// Looks a name up. A TorchScript archive may also name its modules and its lists of numbers.
pub(super) fn known(module: &str, name: &str, script: bool) -> Result<Name, String> {
    if script && (module == "__torch__" || module.starts_with("__torch__.")) {
        return Ok(Name::Module);
    }
    if script && module == "torch.jit._pickle" {
        return Ok(Name::PassedOver);
    }
    let python = if module == "__builtin__" { "builtins" } else { module };
    if PLAIN.iter().any(|(module, names)| *module == python && names.contains(&name)) {
        return Ok(Name::PassedOver);
    }
    // In old checkpoints of Lightning, classes of callbacks are keys.
    let lightning = ["pytorch_lightning.", "lightning.pytorch."];
    let lightning = lightning.iter().find_map(|start| module.strip_prefix(start));
    let is_plain = |part: &str| part.starts_with("callbacks.") || part == "utilities.parsing";
    if lightning.is_some_and(is_plain) {
        return Ok(Name::PassedOver);
    }
    let found = match (module, name) {
        ("collections", "OrderedDict") => Some(Name::OrderedDict),
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => {
            Some(Name::RebuildTensor { typed: false })
        }
        ("torch._utils", "_rebuild_tensor_v3") => Some(Name::RebuildTensor { typed: true }),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Some(Name::RebuildParameter)
        }
        ("torch._utils", name) if ODD_TENSORS.contains(&name) => Some(Name::OddTensor),
        ("torch._tensor", "_rebuild_from_type_v2") => Some(Name::RebuildSubclass),
        ("torch.nn.parameter", "Parameter" | "Buffer")
        | ("torch.autograd.variable", "Variable") => Some(Name::TensorClass),
        ("torch.serialization", "_get_layout") => Some(Name::PassedOver),
        ("torch" | "torch.cuda" | "torch.storage", name) => storage(name)
            .map(Name::Storage)
            .or_else(|| dtype(name).map(Name::Dtype))
            .or_else(|| TORCH.contains(&name).then_some(Name::PassedOver))
            .or_else(|| is_tensor_class(name).then_some(Name::TensorClass)),
        _ => None,
    };
    found.ok_or_else(|| {
        // A name from a file may be very long, and may have any characters.
        let full: String = format!("{module}.{name}").escape_debug().take(80).collect();
        format!(
            "the pickle names `{full}`, which is no part of a state dict; nothing was executed: \
             save `model.state_dict()` alone, or as .safetensors"
        )
    })
}
