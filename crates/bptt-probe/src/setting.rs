//! How a problem is run: by which engine and kernel, on which device, and in which type.

use bptt::{Engine, Kernel};
use burn::tensor::Device;

/// A float type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32 bits.
    F32,
    /// 64 bits.
    F64,
}

impl DType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::F64, Self::F32];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Whether a device supports this type.
    pub fn works_on(self, name: &str, device: &Device) -> bool {
        // Shaders have no f64, even if a driver says that it does.
        let shaders = matches!(name, "wgpu" | "vulkan" | "metal");
        !(shaders && self == Self::F64) && device.supports_dtype(self.burn())
    }

    pub(crate) fn burn(self) -> burn::tensor::DType {
        match self {
            Self::F32 => burn::tensor::DType::F32,
            Self::F64 => burn::tensor::DType::F64,
        }
    }
}

/// How a problem is run.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Which engine differentiates.
    pub engine: Engine,
    /// Which kernel the manual engine runs.
    pub kernel: Kernel,
    /// On which device, without autodiff.
    pub device: Device,
    /// In which type.
    pub dtype: DType,
}
