//! Pictures as inline SVG, and the page that they stand on.
//!
//! Every page of the project is made here: one head ([`head`]) with one style for light, dark and paper, and one set of
//! axes. A [`Plot`] has axes, and whatever is drawn between them: dots, lines, bars, areas, levels. A [`Chart`] is a plot
//! of curves, a [`HeatMap`] a surface as colours, and a [`Portrait`] trajectories in a plane with fixed points. A [`Figure`] is a picture with a heading and a paragraph on how to
//! read it, and a [`Page`] has several. The page is one file that needs no network, and it has no scripts.
//!
//! Colours are classes of the style: those of [`SERIES`] for what is compared, `data` for what was measured, `theory` for
//! what a formula says, `zero` for a level that matters. They are of the palette by Okabe and Ito, which the colour-blind
//! can tell apart; the lines differ in their dashes, too, for grey prints.
//!
//! ```
//! use bptt_probe::picture::{Page, Plot};
//!
//! let norms = || (0..50).map(|t| (f64::from(t), -0.1 * f64::from(t)));
//! let mut plot = Plot::new(norms(), 260.0);
//! plot.level(0.0, "zero");
//! plot.line(norms(), "data");
//! let figure = plot.figure("A gradient", "steps back", "log₁₀ of its norm", "Down is a vanishing gradient.");
//! let page = Page { title: "Norms".into(), figures: vec![figure], ..Page::default() };
//! assert!(page.html().contains("<svg"));
//! ```

mod axis;
mod chart;
mod color;
mod heat_map;
mod matrix;
mod page;
mod plot;
mod portrait;
mod sparkline;
mod style;
mod text;
mod weights;

pub use axis::Axis;
pub use chart::{Chart, Curve, Mark};
pub use heat_map::{HeatMap, Path, Place};
pub use matrix::CountMatrix;
pub use page::{Figure, Page};
pub use plot::{Plot, SERIES};
pub use portrait::{PointForm, Portrait, PortraitPoint};
pub use sparkline::{sparkline, sparkline_between};
pub use style::{END, head, wide_head};
pub use text::{escaped, number};
pub use weights::WeightMatrix;
