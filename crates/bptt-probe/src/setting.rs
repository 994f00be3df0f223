//! How a problem is run: by which engine and kernel, on which device, and in which type.

use bptt::{Engine, Kernel};
use burn::tensor::{Device, bf16, f16};

/// A float type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 64 bits.
    F64,
    /// 32 bits.
    F32,
    /// 16 bits, with the exponents of `f32` and 8 significant bits.
    Bf16,
    /// 16 bits, with 11 significant bits. The largest number is 65,504.
    F16,
}

impl DType {
    /// All.
    pub const ALL: [Self; 4] = [Self::F64, Self::F32, Self::Bf16, Self::F16];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// Whether it has 16 bits.
    pub fn is_half(self) -> bool {
        matches!(self, Self::Bf16 | Self::F16)
    }

    /// Whether a device supports this type.
    pub fn works_on(self, name: &str, device: &Device) -> bool {
        // Shaders have no f64, even if a driver says that it does.
        let shaders = matches!(name, "wgpu" | "vulkan" | "metal");
        !(shaders && self == Self::F64) && device.supports_dtype(self.burn())
    }

    /// Burn's name for it.
    pub fn burn(self) -> burn::tensor::DType {
        match self {
            Self::F64 => burn::tensor::DType::F64,
            Self::F32 => burn::tensor::DType::F32,
            Self::Bf16 => burn::tensor::DType::BF16,
            Self::F16 => burn::tensor::DType::F16,
        }
    }

    /// The distance from 1 to the next number. A number that is rounded changes by at most half of this, relative to
    /// itself.
    pub fn epsilon(self) -> f64 {
        f64::from(-self.digits()).exp2()
    }

    /// How many binary digits are behind the first one.
    pub(crate) fn digits(self) -> i32 {
        match self {
            Self::F64 => 52,
            Self::F32 => 23,
            Self::Bf16 => 7,
            Self::F16 => 10,
        }
    }

    /// The smallest number that has all these digits. The distance between smaller numbers is the same as here.
    pub(crate) fn least(self) -> f64 {
        match self {
            Self::F64 => f64::MIN_POSITIVE,
            Self::F32 | Self::Bf16 => f64::from(f32::MIN_POSITIVE),
            Self::F16 => f16::MIN_POSITIVE.to_f64(),
        }
    }

    /// The number of this type that is nearest.
    pub(crate) fn rounded(self, value: f64) -> f64 {
        match self {
            Self::F64 => value,
            Self::F32 => f64::from(value as f32),
            Self::Bf16 => bf16::from_f64(value).to_f64(),
            Self::F16 => f16::from_f64(value).to_f64(),
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
