//! Matrix products on packed matrices. They know rows and columns; they do not know layers, cells or time.

pub(crate) mod bounds;
pub(crate) mod columns;
pub(crate) mod dispatch;
pub(crate) mod microkernel;
pub(crate) mod panels;
pub(crate) mod product;
pub(crate) mod rows;
pub(crate) mod transpose;
pub(crate) mod transposed_product;
