//! Numbers with 16 bits, to and from `f32`.
//!
//! A conversion of one number is a few operations without a branch, so the compiler makes vectors of the loops.

use crate::host::simd::isa::Isa;
use pulp::{Simd, WithSimd};

/// Widens numbers of type `bf16`, given as bits.
#[inline(never)]
pub(crate) fn widen_bf16(from: &[u16], to: &mut [f32]) {
    Isa::detect().dispatch(Each { from, to, convert: f32_of_bf16 });
}

/// Widens numbers of type `f16`, given as bits.
#[inline(never)]
pub(crate) fn widen_f16(from: &[u16], to: &mut [f32]) {
    Isa::detect().dispatch(Each { from, to, convert: f32_of_f16 });
}

/// Rounds to the bits of `bf16`, to nearest, ties to even.
#[inline(never)]
pub(crate) fn narrow_bf16(from: &[f32], to: &mut [u16]) {
    Isa::detect().dispatch(Each { from, to, convert: bf16_of_f32 });
}

/// Rounds to the bits of `f16`, to nearest, ties to even.
#[inline(never)]
pub(crate) fn narrow_f16(from: &[f32], to: &mut [u16]) {
    Isa::detect().dispatch(Each { from, to, convert: f16_of_f32 });
}

/// A conversion of numbers one by one, to be compiled for the instruction set.
struct Each<'a, A, B, F> {
    from: &'a [A],
    to: &'a mut [B],
    convert: F,
}

impl<A: Copy, B, F: Fn(A) -> B> WithSimd for Each<'_, A, B, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (to, &from) in self.to.iter_mut().zip(self.from) {
            *to = (self.convert)(from);
        }
    }
}

/// The first half of the bits of an `f32`.
#[inline(always)]
fn f32_of_bf16(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

#[inline(always)]
fn bf16_of_f32(x: f32) -> u16 {
    let bits = x.to_bits();
    let even = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    // A NaN stays one.
    let bits = if bits & 0x7fff_ffff > INFINITY { bits | 0x0040_0000 } else { even };
    (bits >> 16) as u16
}

/// The bits of an infinite `f32`.
const INFINITY: u32 = 0x7f80_0000;

#[inline(always)]
fn f32_of_f16(x: u16) -> f32 {
    let x = u32::from(x);
    let (sign, size) = ((x & 0x8000) << 16, (x & 0x7fff) << 13);
    // Read as an `f32`, the exponent is 112 too small. The product is exact, also for subnormal numbers.
    let finite = (f32::from_bits(size) * f32::from_bits((127 + 112) << 23)).to_bits();
    let bits = if x & 0x7c00 == 0x7c00 { size | INFINITY } else { finite };
    f32::from_bits(bits | sign)
}

#[inline(always)]
fn f16_of_f32(x: f32) -> u16 {
    let bits = x.to_bits();
    let (sign, size) = (bits >> 16 & 0x8000, bits & 0x7fff_ffff);
    // A number whose exponent stays normal: the exponent gets smaller by 112. A carry of the rounding is right, too: up to
    // infinity.
    let even = size.wrapping_sub(112 << 23).wrapping_add(0xfff + (size >> 13 & 1)) >> 13;
    // A subnormal number: one half has its last digit at 2^-24, so the sum rounds to the multiple of it.
    let half = 0.5_f32;
    let subnormal = (f32::from_bits(size) + half).to_bits().wrapping_sub(half.to_bits());
    let finite = if size < 113 << 23 { subnormal } else { even };
    let special = if size > INFINITY { 0x7e00 } else { 0x7c00 };
    // From 2^16 on.
    let bits = if size >= 143 << 23 { special } else { finite };
    (bits | sign) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{bf16, f16};

    /// Every number of 16 bits, as `f32`, with its neighbours and the numbers half-way to the next one.
    fn samples(numbers: &[f32]) -> Vec<f32> {
        let around = |&x: &f32| {
            let bits = x.to_bits();
            let steps = [0, 1, 0xfff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001];
            steps.into_iter().flat_map(move |step| {
                [bits.wrapping_add(step), bits.wrapping_sub(step)].map(f32::from_bits)
            })
        };
        numbers.iter().flat_map(around).collect()
    }

    fn same(found: f32, expected: f32) -> bool {
        found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
    }

    #[test]
    fn all_numbers_are_those_of_the_half_crate() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let mut wide = vec![0.0; all.len()];
        let mut narrow = vec![0; 16 * all.len()];
        widen_bf16(&all, &mut wide);
        for (&bits, &wide) in all.iter().zip(&wide) {
            assert!(same(wide, bf16::from_bits(bits).to_f32()), "{bits:x}: {wide}");
        }
        let samples_of_bf16 = samples(&wide);
        narrow_bf16(&samples_of_bf16, &mut narrow);
        for (&x, &bits) in samples_of_bf16.iter().zip(&narrow) {
            let (found, expected) = (bf16::from_bits(bits), bf16::from_f32(x));
            assert!(same(found.to_f32(), expected.to_f32()), "{x}: {found}, expected {expected}");
        }
        widen_f16(&all, &mut wide);
        for (&bits, &wide) in all.iter().zip(&wide) {
            assert!(same(wide, f16::from_bits(bits).to_f32()), "{bits:x}: {wide}");
        }
        let samples_of_f16 = [samples_of_bf16, samples(&wide)].concat();
        narrow.resize(samples_of_f16.len(), 0);
        narrow_f16(&samples_of_f16, &mut narrow);
        for (&x, &bits) in samples_of_f16.iter().zip(&narrow) {
            let (found, expected) = (f16::from_bits(bits), f16::from_f32(x));
            assert!(same(found.to_f32(), expected.to_f32()), "{x}: {found}, expected {expected}");
        }
    }
}
