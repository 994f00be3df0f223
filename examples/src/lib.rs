//! What the examples share: the device they run on, and random numbers that repeat.
//!
//! Read the examples in this order: `one_step`, `adding`, `char_model`, `packed_documents`, `import_layer`, `own_cell`,
//! `own_task`, `streams`, `serve`, `seq2seq`, `vanishing_gradients`, `landscape`.

use burn::tensor::Device;

/// The device of the backend that is compiled in: `flex`, or what `--features wgpu` (`vulkan`,
/// `metal`, `cuda`, `rocm`, `cpu`) asks for.
#[allow(unreachable_code, reason = "the first backend that is compiled in wins")]
pub fn device() -> Device {
    #[cfg(feature = "cuda")]
    return Device::cuda(0);
    #[cfg(feature = "rocm")]
    return Device::rocm(0);
    #[cfg(feature = "metal")]
    return Device::metal(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(feature = "vulkan")]
    return Device::vulkan(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(feature = "wgpu")]
    return Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(feature = "cpu")]
    return Device::cpu();
    #[cfg(feature = "flex")]
    return Device::flex();
    // Whatever else Burn was built with.
    Device::default()
}

/// Random numbers that are the same on every machine and every backend: a counter, well mixed
/// (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The upper 24 bits: as many as an f32 holds.
        ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32
    }

    /// A whole number in `[0, end)`.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.uniform() * end as f32) as usize).min(end - 1)
    }
}
