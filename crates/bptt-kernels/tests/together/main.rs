//! Sequences that run together as one operation have the same bits as each of them by itself, for any number of threads.
#![cfg(feature = "flex")]

mod both;
mod pair;
mod stack;
