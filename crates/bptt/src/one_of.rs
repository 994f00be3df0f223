//! Modules that are one of several.

/// Implements `Module` for an enum whose variants are modules. A parameter has the path that it has in its variant, so
/// that files do not depend on the enum.
macro_rules! one_of {
    ($Enum:ident { $($(#[$cfg:meta])? $Variant:ident)* }) => {
        impl burn::module::Module for $Enum {
            fn collect_devices(
                &self,
                devices: Vec<burn::tensor::Device>,
            ) -> Vec<burn::tensor::Device> {
                match self {
                    $($(#[$cfg])? Self::$Variant(layer) => layer.collect_devices(devices),)*
                }
            }

            fn fork(self, device: &burn::tensor::Device) -> Self {
                match self {
                    $($(#[$cfg])? Self::$Variant(layer) => Self::$Variant(layer.fork(device)),)*
                }
            }

            fn to_device(self, device: &burn::tensor::Device) -> Self {
                match self {
                    $($(#[$cfg])? Self::$Variant(layer) => Self::$Variant(layer.to_device(device)),)*
                }
            }

            fn train(self) -> Self {
                match self {
                    $($(#[$cfg])? Self::$Variant(layer) => Self::$Variant(layer.train()),)*
                }
            }

            fn valid(&self) -> Self {
                match self {
                    $($(#[$cfg])? Self::$Variant(layer) => Self::$Variant(layer.valid()),)*
                }
            }

            fn materialize(self) -> Self {
                match self {
                    $($(#[$cfg])? Self::$Variant(layer) => Self::$Variant(layer.materialize()),)*
                }
            }

            fn visit<V: burn::module::ModuleVisitor>(&self, visitor: &mut V) {
                match self {
                    $($(#[$cfg])? Self::$Variant(layer) => layer.visit(visitor),)*
                }
            }

            fn map<M: burn::module::ModuleMapper>(self, mapper: &mut M) -> Self {
                match self {
                    $($(#[$cfg])? Self::$Variant(layer) => Self::$Variant(layer.map(mapper)),)*
                }
            }
        }

        impl burn::module::ModuleDisplayDefault for $Enum {
            fn content(&self, content: burn::module::Content) -> Option<burn::module::Content> {
                match self {
                    $($(#[$cfg])? Self::$Variant(layer) => {
                        burn::module::ModuleDisplayDefault::content(layer, content)
                    })*
                }
            }

            fn num_params(&self) -> usize {
                burn::module::Module::num_params(self)
            }
        }

        impl burn::module::ModuleDisplay for $Enum {
            fn custom_settings(&self) -> Option<burn::module::DisplaySettings> {
                match self {
                    $($(#[$cfg])? Self::$Variant(layer) => {
                        burn::module::ModuleDisplay::custom_settings(layer)
                    })*
                }
            }
        }

        impl std::fmt::Display for $Enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", burn::module::ModuleDisplay::format(self, Default::default()))
            }
        }
    };
}
pub(crate) use one_of;
