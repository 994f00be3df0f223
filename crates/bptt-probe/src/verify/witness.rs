//! The witnesses, and what each may differ by.

use crate::device;
use crate::setting::DType;

/// An independent way to get the same gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The other engine, on the same device in the same type.
    Engines,
    /// The reference kernel, on the same device in the same type.
    Kernels,
    /// Central differences of the loss, at every entry of the tiny cases, in f64.
    FiniteDifference,
    /// What PyTorch computed in f64.
    Reference,
    /// The scalar layer on complex numbers, at every entry of the tiny cases, in f64.
    ComplexStep,
    /// The scalar layer on dual numbers, in f64: at every entry of the tiny cases, in random
    /// directions in the others.
    Dual,
    /// The scalar layer on dual numbers of double-doubles, at every entry of the tiny cases: the true
    /// value to 30 digits.
    DoubleDouble,
    /// Real-time recurrent learning on the same device, in f64.
    Rtrl,
}

impl Witness {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Engines,
        Self::Kernels,
        Self::FiniteDifference,
        Self::Reference,
        Self::ComplexStep,
        Self::Dual,
        Self::DoubleDouble,
        Self::Rtrl,
    ];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engines => "engines",
            Self::Kernels => "kernels",
            Self::FiniteDifference => "finite-difference",
            Self::Reference => "reference",
            Self::ComplexStep => "complex-step",
            Self::Dual => "dual",
            Self::DoubleDouble => "double-double",
            Self::Rtrl => "rtrl",
        }
    }

    /// What a norm-relative error may be.
    ///
    /// Central differences with a step of 1e-5 are good to about 1e-10 of the loss, which may be
    /// larger than a gradient.
    pub fn tolerance(self, dtype: DType, device: &str) -> f64 {
        match (self, dtype) {
            (Self::Engines, DType::F64) => 1e-12,
            (Self::Engines, DType::F32) => 2e-6,
            (Self::Kernels, DType::F64) => 1e-13,
            (Self::Kernels, DType::F32) => 1e-5,
            (Self::FiniteDifference, _) => 1e-7,
            (Self::Reference, DType::F64) => 1e-11,
            (Self::Reference, DType::F32) if device::is_host(device) => 2e-5,
            (Self::Reference, DType::F32) => 1e-4,
            (Self::Rtrl, _) => 1e-12,
            (Self::ComplexStep | Self::Dual | Self::DoubleDouble, DType::F64) => 1e-13,
            // As against PyTorch in f64: what is right to many digits.
            (Self::DoubleDouble, DType::F32) => Self::Reference.tolerance(dtype, device),
            (Self::ComplexStep | Self::Dual, DType::F32) => 2e-6,
        }
    }
}
