//! Products of packed matrices. They know rows and columns, and nothing of layers, cells or time.

pub(crate) mod columns;
pub(crate) mod dispatch;
pub(crate) mod microkernel;
pub(crate) mod panels;
pub(crate) mod product;
pub(crate) mod rows;
pub(crate) mod transposed_product;
