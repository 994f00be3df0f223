//! The errors of this crate. Each says in one line what is wrong, where, and what would be right.

/// An error with a message of one line.
macro_rules! error {
    ($(#[$meta:meta])* $Name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $Name(String);

        impl $Name {
            pub(crate) fn new(message: impl Into<String>) -> Self {
                Self(message.into())
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::error::Error for $Name {}
    };
}

error! {
    /// Options or sizes that exclude each other, in one line.
    ConfigError
}

error! {
    /// Why a layer, a state or a record could not be converted, in one line.
    ConversionError
}

error! {
    /// What is wrong with a stream, an input or a file, in one line.
    StreamError
}
