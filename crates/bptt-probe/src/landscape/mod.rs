//! A loss on a plane or along a line through the parameters.
//!
//! [`surface`] and [`line()`] evaluate any loss of a vector. [`filter_normalized`] makes directions that can be compared
//! between networks. A [`HeatMap`](crate::picture::HeatMap) and a [`Chart`](crate::picture::Chart) draw what they give.

mod plane;

pub use plane::{
    Line, Surface, ThroughPoints, filter_normalized, line, surface, surface_within, through_points,
};
