//! A hash by which a run recognises its data again.

/// The hash of bytes: FNV-1a, with 64 bits. Run folders have such hashes, so it stays as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// The hash of no bytes.
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// The hash of some bytes.
    pub(crate) fn of(bytes: impl IntoIterator<Item = u8>) -> u64 {
        let mut hash = Self::new();
        hash.add(bytes);
        hash.value()
    }

    /// Adds bytes behind those that are there.
    pub(crate) fn add(&mut self, bytes: impl IntoIterator<Item = u8>) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of the authors' test suite (G. Fowler, L. C. Noll and P. Vo).
    #[test]
    fn hashes_are_those_of_fnv_1a() {
        assert_eq!(Fingerprint::of(*b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fingerprint::of(*b"a"), 0xaf63_dc4c_8601_ec8c);
        let mut hash = Fingerprint::new();
        hash.add(*b"foo");
        hash.add(*b"bar");
        assert_eq!(hash.value(), 0x8594_4171_f739_67e8);
    }
}
