//! A loss on a plane or along a line through the parameters, and pictures of it.
//!
//! [`surface`] and [`line()`] evaluate any loss of a vector. [`filter_normalized`] makes directions that can be compared
//! between networks. [`HeatMap`] and [`Chart`] draw SVG, and [`Page`] puts them into one HTML page that needs no network.

mod chart;
mod color;
mod frame;
mod heat_map;
mod page;
mod plane;

pub use chart::{Chart, Curve, Mark};
pub use heat_map::{HeatMap, Path};
pub use page::{Figure, Page};
pub use plane::{Line, Surface, filter_normalized, line, surface};
