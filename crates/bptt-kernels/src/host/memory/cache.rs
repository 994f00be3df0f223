//! How large the caches are.

use std::sync::OnceLock;

/// The size of a core's second-level cache, in bytes; 512 KiB where the processor does not tell.
pub(crate) fn second_level_cache() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| told().unwrap_or(1 << 19))
}

/// What the processor tells: AMD's and Intel's do, in bits 16 to 31 of a register, in KiB.
#[cfg(target_arch = "x86_64")]
fn told() -> Option<usize> {
    use std::arch::x86_64::__cpuid;
    const LEAF: u32 = 0x8000_0006;
    if __cpuid(0x8000_0000).eax < LEAF {
        return None;
    }
    let size = (__cpuid(LEAF).ecx >> 16) as usize * 1024;
    // A hypervisor may hide it.
    (size > 0).then_some(size)
}

#[cfg(not(target_arch = "x86_64"))]
fn told() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_a_second_level_cache() {
        let size = second_level_cache();
        assert!((1 << 17..=1 << 26).contains(&size), "{size} bytes");
    }
}
