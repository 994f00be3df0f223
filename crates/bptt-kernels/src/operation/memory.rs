//! Whether a result fits the available memory. It is checked before the memory is allocated, because an allocation
//! that fails would end the process.

/// Smaller needs are not checked, because finding out how much memory is available takes about 30 µs.
const UNCHECKED: u128 = 256 << 20;

/// Something does not fit the available memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutOfMemory {
    /// How many bytes it would take.
    pub need: u128,
    /// How many bytes are available.
    pub available: u128,
}

impl std::fmt::Display for OutOfMemory {
    /// The end of a sentence. The caller writes its beginning, which says what needs the memory.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "would take {} bytes, and {} are available", self.need, self.available)
    }
}

impl std::error::Error for OutOfMemory {}

/// Checks that `need` bytes fit the available memory.
///
/// # Arguments
///
/// - `need`: how many bytes are needed
/// - `available`: returns how many bytes are available to a caller that needs this many, if it is known. It is not
///   called for small needs. There are never more than `isize::MAX` bytes.
///
/// # Errors
///
/// If they do not fit.
pub fn check_memory(
    need: u128,
    available: impl FnOnce(u128) -> Option<usize>,
) -> Result<(), OutOfMemory> {
    if need <= UNCHECKED {
        return Ok(());
    }
    let available = available(need).unwrap_or(usize::MAX).min(isize::MAX as usize) as u128;
    if need <= available { Ok(()) } else { Err(OutOfMemory { need, available }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_needs_do_not_ask_and_no_need_is_beyond_the_address_space() {
        assert_eq!(check_memory(UNCHECKED, |_| panic!("it was asked")), Ok(()));
        let need = 1 << 30;
        assert_eq!(check_memory(need, |_| Some(1 << 30)), Ok(()));
        let error = check_memory(need, |_| Some((1 << 30) - 1)).expect_err("a byte too few");
        assert_eq!(error.to_string(), "would take 1073741824 bytes, and 1073741823 are available");
        assert_eq!(check_memory(need, |_| None), Ok(()));
        assert!(check_memory(u128::MAX, |_| None).is_err());
    }
}
