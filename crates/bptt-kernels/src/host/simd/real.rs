//! `f32` and `f64` as the kernels use them: as elements, and as SIMD vectors.

use pulp::bytemuck::Pod;
use pulp::{MemMask, Scalar128b, Simd};
use std::any::TypeId;
use std::fmt::Debug;

/// A float type, and the operations of the instruction set `S` on a SIMD vector of it.
///
/// All operations are elementwise and round as IEEE 754 says. A comparison with a NaN is false.
pub(crate) trait Real: Pod + Debug + Default + PartialOrd + Send + Sync + 'static {
    /// A SIMD vector, in one register.
    type Register<S: Simd>: Copy + Debug;

    const ZERO: Self;
    const ONE: Self;

    /// How many elements it has.
    fn lanes<S: Simd>() -> usize;
    /// The nearest number.
    fn of(x: f64) -> Self;
    /// The same number.
    fn to_f64(self) -> f64;
    /// `a + b`
    fn plus(a: Self, b: Self) -> Self;
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Register<S>;
    fn add<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    fn sub<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    fn mul<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    fn div<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    fn neg<S: Simd>(simd: S, a: Self::Register<S>) -> Self::Register<S>;
    fn sqrt<S: Simd>(simd: S, a: Self::Register<S>) -> Self::Register<S>;
    fn abs<S: Simd>(simd: S, a: Self::Register<S>) -> Self::Register<S>;
    /// `a b + c`, rounded once if the instruction set has such an operation, else twice.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Register<S>,
        b: Self::Register<S>,
        c: Self::Register<S>,
    ) -> Self::Register<S>;
    /// `yes` where `a < b`, else `no`.
    fn if_less<S: Simd>(
        simd: S,
        a: Self::Register<S>,
        b: Self::Register<S>,
        yes: Self::Register<S>,
        no: Self::Register<S>,
    ) -> Self::Register<S>;
    /// `yes` where `a ≤ b`, else `no`.
    fn if_at_most<S: Simd>(
        simd: S,
        a: Self::Register<S>,
        b: Self::Register<S>,
        yes: Self::Register<S>,
        no: Self::Register<S>,
    ) -> Self::Register<S>;
    /// The larger of both; a NaN if `x` is one.
    fn at_least<S: Simd>(simd: S, bound: Self, x: Self::Register<S>) -> Self::Register<S>;
    /// `magnitude`, which is not negative, with the sign of `of`.
    fn with_sign<S: Simd>(
        simd: S,
        magnitude: Self::Register<S>,
        of: Self::Register<S>,
    ) -> Self::Register<S>;

    /// `e^x` for `x ≤ 0`, down to the smallest subnormal number.
    fn exp_negative<S: Simd>(simd: S, x: Self::Register<S>) -> Self::Register<S>;
    /// `e^r - 1` and `-2^n` of `e^x = 2^n e^r`, for `-40 ≤ x ≤ 0`.
    fn exp_parts<S: Simd>(simd: S, x: Self::Register<S>) -> (Self::Register<S>, Self::Register<S>);

    /// Reads a vector from as many elements.
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of [`lanes`](Self::lanes) elements.
    #[inline(always)]
    unsafe fn load<S: Simd>(_simd: S, from: *const Self) -> Self::Register<S> {
        // SAFETY: the caller's promise; a register is plain old data of that many elements.
        unsafe { from.cast::<Self::Register<S>>().read_unaligned() }
    }

    /// Writes a vector to as many elements.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of [`lanes`](Self::lanes) elements.
    #[inline(always)]
    unsafe fn store<S: Simd>(_simd: S, to: *mut Self, x: Self::Register<S>) {
        // SAFETY: the caller's promise; a register is plain old data of that many elements.
        unsafe { to.cast::<Self::Register<S>>().write_unaligned(x) }
    }

    /// Reads the first elements of a vector; the others are zero.
    fn load_partial<S: Simd>(simd: S, from: &[Self]) -> Self::Register<S>;
    /// Writes the first elements of a vector.
    fn store_partial<S: Simd>(simd: S, to: &mut [Self], x: Self::Register<S>);
}

/// Whether `S` is the portable path, on which a fused multiply-add would be a call of a library.
#[inline(always)]
pub(crate) fn is_portable<S: Simd>() -> bool {
    TypeId::of::<S>() == TypeId::of::<Scalar128b>()
}

/// On an instruction set with mask registers, one instruction reads or writes the first elements of a vector. `pulp`
/// jumps to separate code for each number of elements, which is better on the other instruction sets.
#[inline(always)]
fn memory_mask<S: Simd, M: Copy>(mask: MemMask<M>) -> MemMask<M> {
    if S::REGISTER_COUNT >= 32 { MemMask::new(mask.mask()) } else { mask }
}

/// The steps that both exponentials share.
trait Exponential: Real {
    /// For `x = n ln 2 + r`: the exponent `n`, shifted into the lowest bits of a number, and `e^r - 1`.
    fn reduced<S: Simd>(simd: S, x: Self::Register<S>) -> (Self::Register<S>, Self::Register<S>);
    /// `2^n` times a power of two, which may be negative.
    fn power<S: Simd>(simd: S, shifted: Self::Register<S>, times: Self) -> Self::Register<S>;
}

/// The constants of a float format that they need.
struct Exponent<T> {
    /// `1.5 · 2^(mantissa bits)`. After it is added, the lowest bits are the rounded integer.
    round: T,
    log2_e: T,
    /// `ln 2` in two parts. The first has so few bits that its product with an exponent is exact; the second is the
    /// rest.
    ln_2: [T; 2],
    /// Below this, the result is zero.
    zero: T,
    /// `2^64`, and `2^-64`.
    step: [T; 2],
}

/// Coefficients of polynomials, the highest power first.
type Polynomial<T> = &'static [T];

/// `(e^r - 1 - r) / r²` for `|r| ≤ ln 2 / 2`, with the smallest error of `e^r - 1`, relative to it: `1.4e-8`.
const EXP_F32: Polynomial<f32> =
    &[1.389_822_6e-3, 8.366_043e-3, 4.166_685_4e-2, 1.666_654_8e-1, 0.5];

/// `(e^r - 1 - r) / r²`, Taylor's polynomial, such that `e^r` is of degree 13.
const EXP_F64: Polynomial<f64> = &[
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
];

/// The polynomial at `x`. Even and odd powers are two sums by Horner's rule in `x²`, which are computed side by side,
/// because each step of Horner's rule waits for the step before.
#[inline(always)]
fn evaluate<S: Simd, T: Real>(
    simd: S,
    x: T::Register<S>,
    coefficients: Polynomial<T>,
) -> T::Register<S> {
    let square = T::mul(simd, x, x);
    // An odd number of coefficients begins with an even power.
    let (first, pairs) = coefficients.split_at(coefficients.len() % 2);
    let mut odd = T::splat(simd, pairs[0]);
    let mut even = T::splat(simd, pairs[1]);
    if let &[first] = first {
        even = T::mul_add(simd, T::splat(simd, first), square, even);
    }
    for pair in pairs[2..].chunks_exact(2) {
        odd = T::mul_add(simd, odd, square, T::splat(simd, pair[0]));
        even = T::mul_add(simd, even, square, T::splat(simd, pair[1]));
    }
    T::mul_add(simd, odd, x, even)
}

macro_rules! real {
    (
        $T:ty, $Bits:ty, $lanes:ident, $regs:ident,
        $splat:ident $add:ident $sub:ident $mul:ident $div:ident $neg:ident $sqrt:ident $abs:ident $fma:ident
        $less:ident $at_most:ident $select:ident $max:ident $or:ident $and:ident $between:ident $load:ident $store:ident
        $to_bits:ident $from_bits:ident $add_bits:ident $splat_bits:ident
        $shift:expr, $exponent:expr, $exp:expr
    ) => {
        impl Real for $T {
            type Register<S: Simd> = S::$regs;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $T
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn plus(a: Self, b: Self) -> Self {
                a + b
            }

            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$regs {
                simd.$splat(x)
            }
            #[inline(always)]
            fn add<S: Simd>(simd: S, a: S::$regs, b: S::$regs) -> S::$regs {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn sub<S: Simd>(simd: S, a: S::$regs, b: S::$regs) -> S::$regs {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn mul<S: Simd>(simd: S, a: S::$regs, b: S::$regs) -> S::$regs {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn div<S: Simd>(simd: S, a: S::$regs, b: S::$regs) -> S::$regs {
                simd.$div(a, b)
            }
            #[inline(always)]
            fn neg<S: Simd>(simd: S, a: S::$regs) -> S::$regs {
                simd.$neg(a)
            }
            #[inline(always)]
            fn sqrt<S: Simd>(simd: S, a: S::$regs) -> S::$regs {
                simd.$sqrt(a)
            }
            #[inline(always)]
            fn abs<S: Simd>(simd: S, a: S::$regs) -> S::$regs {
                simd.$abs(a)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$regs, b: S::$regs, c: S::$regs) -> S::$regs {
                match is_portable::<S>() {
                    true => simd.$add(simd.$mul(a, b), c),
                    false => simd.$fma(a, b, c),
                }
            }
            #[inline(always)]
            fn if_less<S: Simd>(
                simd: S,
                a: S::$regs,
                b: S::$regs,
                yes: S::$regs,
                no: S::$regs,
            ) -> S::$regs {
                simd.$select(simd.$less(a, b), yes, no)
            }
            #[inline(always)]
            fn if_at_most<S: Simd>(
                simd: S,
                a: S::$regs,
                b: S::$regs,
                yes: S::$regs,
                no: S::$regs,
            ) -> S::$regs {
                simd.$select(simd.$at_most(a, b), yes, no)
            }
            #[inline(always)]
            fn at_least<S: Simd>(simd: S, bound: Self, x: S::$regs) -> S::$regs {
                let bound = simd.$splat(bound);
                // Of a NaN and a number, the instruction gives the second operand, or the NaN.
                match is_portable::<S>() {
                    true => Self::if_less(simd, x, bound, bound, x),
                    false => simd.$max(bound, x),
                }
            }
            #[inline(always)]
            fn with_sign<S: Simd>(simd: S, magnitude: S::$regs, of: S::$regs) -> S::$regs {
                simd.$or(magnitude, simd.$and(of, simd.$splat(-0.0)))
            }
            #[inline(always)]
            fn load_partial<S: Simd>(simd: S, from: &[Self]) -> S::$regs {
                let mask = memory_mask::<S, _>(simd.$between(0, from.len() as $Bits));
                // SAFETY: the mask has no more elements than there are.
                unsafe { simd.$load(mask, from.as_ptr()) }
            }
            #[inline(always)]
            fn store_partial<S: Simd>(simd: S, to: &mut [Self], x: S::$regs) {
                let mask = memory_mask::<S, _>(simd.$between(0, to.len() as $Bits));
                // SAFETY: the mask has no more elements than there are.
                unsafe { simd.$store(mask, to.as_mut_ptr(), x) }
            }

            #[inline(always)]
            fn exp_negative<S: Simd>(simd: S, x: S::$regs) -> S::$regs {
                const E: Exponent<$T> = $exponent;
                let splat = |x| simd.$splat(x);
                let x = Self::at_least(simd, E.zero, x);
                let (shifted, rest) = Self::reduced(simd, x);
                // The largest term last.
                let y = simd.$add(rest, splat(1.0));
                // 2^n may be subnormal. 2^(n + 64) is not, so the only rounding is that of the last product.
                let scale = Self::power(simd, shifted, E.step[0]);
                simd.$mul(simd.$mul(y, scale), splat(E.step[1]))
            }

            #[inline(always)]
            fn exp_parts<S: Simd>(simd: S, x: S::$regs) -> (S::$regs, S::$regs) {
                let (shifted, rest) = Self::reduced(simd, x);
                (rest, Self::power(simd, shifted, -1.0))
            }
        }

        impl Exponential for $T {
            #[inline(always)]
            fn reduced<S: Simd>(simd: S, x: S::$regs) -> (S::$regs, S::$regs) {
                const E: Exponent<$T> = $exponent;
                let splat = |x| simd.$splat(x);
                // x = n ln 2 + r, |r| ≤ ln 2 / 2.
                let shifted = <Self as Real>::mul_add(simd, x, splat(E.log2_e), splat(E.round));
                let n = simd.$sub(shifted, splat(E.round));
                let r = <Self as Real>::mul_add(simd, n, splat(-E.ln_2[0]), x);
                let r = <Self as Real>::mul_add(simd, n, splat(-E.ln_2[1]), r);
                // r + r² p(r)
                let p = evaluate(simd, r, $exp);
                (shifted, <Self as Real>::mul_add(simd, p, simd.$mul(r, r), r))
            }

            #[inline(always)]
            fn power<S: Simd>(simd: S, shifted: S::$regs, times: $T) -> S::$regs {
                let shift: fn(S, _) -> _ = $shift;
                let bits = shift(simd, simd.$to_bits(shifted));
                let times = simd.$splat_bits(times.to_bits());
                simd.$from_bits(simd.$add_bits(bits, times))
            }
        }
    };
}

real!(
    f32, u32, F32_LANES, f32s,
    splat_f32s add_f32s sub_f32s mul_f32s div_f32s neg_f32s sqrt_f32s abs_f32s mul_add_e_f32s
    less_than_f32s less_than_or_equal_f32s select_f32s max_f32s or_f32s and_f32s
    mask_between_m32s mask_load_ptr_f32s mask_store_ptr_f32s
    transmute_u32s_f32s transmute_f32s_u32s add_u32s splat_u32s
    |simd, bits| simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23)),
    Exponent {
        round: 12_582_912.0,
        log2_e: std::f32::consts::LOG2_E,
        ln_2: [0.693_359_375, -2.121_944_4e-4],
        zero: -104.0,
        step: [1.844_674_407_370_955_2e19, 5.421_010_9e-20],
    },
    EXP_F32
);

real!(
    f64, u64, F64_LANES, f64s,
    splat_f64s add_f64s sub_f64s mul_f64s div_f64s neg_f64s sqrt_f64s abs_f64s mul_add_e_f64s
    less_than_f64s less_than_or_equal_f64s select_f64s max_f64s or_f64s and_f64s
    mask_between_m64s mask_load_ptr_f64s mask_store_ptr_f64s
    transmute_u64s_f64s transmute_f64s_u64s add_u64s splat_u64s
    // `pulp` has no shift of u64. A product with a power of two is one.
    |simd, bits| simd.mul_u64s(bits, simd.splat_u64s(1 << 52)),
    Exponent {
        round: 6_755_399_441_055_744.0,
        log2_e: std::f64::consts::LOG2_E,
        ln_2: [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10],
        zero: -746.0,
        step: [1.844_674_407_370_955_2e19, 5.421_010_862_427_522e-20],
    },
    EXP_F64
);
