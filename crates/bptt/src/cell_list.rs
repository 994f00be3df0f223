//! The list of this project's cells. [`CellKind`], [`AnyCell`], the command's `--cell` and the case table follow
//! from it.

#[cfg(feature = "diagonal-cells")]
use crate::cell::IndRnnCell;
use crate::cell::{CellOptions, CellVisitor, GruCell, LstmCell, NamedCell, RnnCell, SequenceCell};
use crate::engine::{BothDirections, Engine, Sequence, SequenceResult, StackResult};
use crate::error::ConfigError;
use crate::state::AnyState;
use serde::{Deserialize, Serialize};

/// Declares [`CellKind`] and [`AnyCell`] from the list. In each line: the name of the variant, the cell with its
/// options (a cell of `bptt_cells` if it has none), the name on the command line and in files, and what it is. A family
/// of cells may sit behind a feature: `#[cfg(feature = "…")]` in front of its lines.
macro_rules! cells {
    ($($(#[$cfg:meta])? $Variant:ident($Cell:ty), $name:literal, $description:literal;)*) => {
        /// Which cell, by the name that it has on the command line and in files.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum CellKind {
            $(
                $(#[$cfg])?
                #[doc = $description]
                #[serde(rename = $name)]
                $Variant,
            )*
        }

        impl CellKind {
            /// All of them.
            pub const ALL: [Self; [$($(#[$cfg])? $name),*].len()] =
                [$($(#[$cfg])? Self::$Variant),*];

            /// The name on the command line and in files.
            pub fn name(self) -> &'static str {
                match self {
                    $($(#[$cfg])? Self::$Variant => $name,)*
                }
            }

            /// A description in a few words.
            pub fn description(self) -> &'static str {
                match self {
                    $($(#[$cfg])? Self::$Variant => $description,)*
                }
            }

            /// The cell with its options at their defaults.
            pub fn default_cell(self) -> AnyCell {
                match self {
                    $($(#[$cfg])? Self::$Variant => AnyCell::$Variant(<$Cell>::of(&CellOptions::default())),)*
                }
            }

            /// The cell with these options. The error says which of them it does not have.
            pub(crate) fn cell(self, options: &CellOptions) -> Result<AnyCell, ConfigError> {
                match self {
                    $($(#[$cfg])? Self::$Variant => <$Cell>::try_of(options).map(AnyCell::$Variant),)*
                }
            }
        }

        /// Any of this project's cells, chosen at run time.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum AnyCell {
            $(
                $(#[$cfg])?
                #[doc = $description]
                $Variant($Cell),
            )*
        }

        impl AnyCell {
            /// Its kind, without its options.
            pub fn kind(&self) -> CellKind {
                match self {
                    $($(#[$cfg])? Self::$Variant(_) => CellKind::$Variant,)*
                }
            }
        }

        impl SequenceCell for AnyCell {
            type State = AnyState;

            fn accept<V: CellVisitor>(&self, visitor: V) -> V::Output {
                match self {
                    $($(#[$cfg])? Self::$Variant(cell) => cell.accept(visitor),)*
                }
            }

            fn run(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
                match self {
                    $($(#[$cfg])? Self::$Variant(cell) => cell.run(engine, sequence),)*
                }
            }

            fn run_both(&self, engine: Engine, sequences: [Sequence; 2]) -> BothDirections {
                match self {
                    $($(#[$cfg])? Self::$Variant(cell) => cell.run_both(engine, sequences),)*
                }
            }

            fn run_stack(&self, sequences: Vec<Sequence>) -> StackResult {
                match self {
                    $($(#[$cfg])? Self::$Variant(cell) => cell.run_stack(sequences),)*
                }
            }

            fn run_pair(&self, sequences: [Sequence; 2]) -> BothDirections {
                match self {
                    $($(#[$cfg])? Self::$Variant(cell) => cell.run_pair(sequences),)*
                }
            }

            fn run_both_dropped(&self, engine: Engine, sequences: [Sequence; 2]) -> BothDirections {
                match self {
                    $($(#[$cfg])? Self::$Variant(cell) => cell.run_both_dropped(engine, sequences),)*
                }
            }

            fn accept_dropped<V: CellVisitor>(&self, visitor: V) -> Option<V::Output> {
                match self {
                    $($(#[$cfg])? Self::$Variant(cell) => cell.accept_dropped(visitor),)*
                }
            }

            fn run_dropped(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
                match self {
                    $($(#[$cfg])? Self::$Variant(cell) => cell.run_dropped(engine, sequence),)*
                }
            }

            fn check(&self) -> Result<(), ConfigError> {
                match self {
                    $($(#[$cfg])? Self::$Variant(cell) => cell.check(),)*
                }
            }
        }
    };
}

cells! {
    Rnn(RnnCell), "rnn", "Elman's network";
    Lstm(LstmCell), "lstm", "Long short-term memory";
    Gru(GruCell), "gru", "Gated recurrent unit";
    #[cfg(feature = "lstm-variants")]
    LstmPeephole(bptt_cells::LstmPeephole), "lstm-peephole", "LSTM with peepholes";
    #[cfg(feature = "gated-cells")]
    Mgu(bptt_cells::Mgu), "mgu", "Minimal gated unit";
    #[cfg(feature = "gated-cells")]
    Rhn(bptt_cells::Rhn), "rhn", "Recurrent highway network of depth 1";
    #[cfg(feature = "gated-cells")]
    Lem(bptt_cells::Lem), "lem", "Long expressive memory";
    #[cfg(feature = "diagonal-cells")]
    IndRnn(IndRnnCell), "indrnn", "Independently recurrent network";
    #[cfg(feature = "diagonal-cells")]
    Unicornn(bptt_cells::Unicornn), "unicornn", "Undamped oscillators (UnICORNN)";
    #[cfg(feature = "normalized-cells")]
    LstmLayerNorm(bptt_cells::LstmLayerNorm), "lstm-layernorm", "LSTM with layer normalisation";
    #[cfg(feature = "normalized-cells")]
    GruLayerNorm(bptt_cells::GruLayerNorm), "gru-layernorm", "GRU with layer normalisation";
    #[cfg(feature = "normalized-cells")]
    GruDreamer(bptt_cells::GruDreamer), "gru-dreamer", "GRU with one normalised product (DreamerV3)";
    #[cfg(feature = "lstm-variants")]
    Slstm(bptt_cells::Slstm), "slstm", "LSTM with exponential gates (sLSTM)";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line behind a feature that is off leaves nothing behind.
    #[allow(dead_code, reason = "only what is compiled matters")]
    mod behind_a_feature {
        use super::*;

        cells! {
            Gru(GruCell), "gru", "On.";
            #[cfg(any())]
            Off(NoSuchCell), "off", "Off.";
        }

        #[test]
        fn lines_may_be_off() {
            assert_eq!(CellKind::ALL, [CellKind::Gru]);
        }
    }

    #[test]
    fn names_are_the_same_in_the_list_in_files_and_in_tables() {
        for kind in CellKind::ALL {
            let in_files = serde_json::to_value(kind).expect("a name");
            assert_eq!(in_files, kind.name());
            let cell = kind.default_cell();
            assert_eq!(cell.kind(), kind);
            assert!(cell.name().starts_with(kind.name()), "{kind:?} is named {}", cell.name());
        }
    }
}
