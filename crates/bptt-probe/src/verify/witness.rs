//! The trait of witnesses, and the request to verify.

use crate::setting::DType;
use crate::verify::session::{Session, Verification};
use bptt::{Kernel, LayerKind};
use std::fmt;
use std::path::PathBuf;

/// An independent way to get the same gradient.
///
/// A witness of the project is a file in this folder and a line in [`WITNESSES`](crate::verify::WITNESSES). The book's
/// chapter "Adding a witness" shows one.
pub trait Witness: Sync {
    /// The name on the command line and in reports.
    fn name(&self) -> &'static str;

    /// What it is, for the command's help: one line, without a full stop.
    fn help(&self) -> &'static str;

    /// What is compared with what, for the certificate's page.
    fn description(&self) -> &'static str;

    /// The largest norm-relative error that passes.
    fn tolerance(&self, dtype: DType, device: &str) -> f64;

    /// Prepares what does not depend on the device, such as files. Returns the comparison.
    ///
    /// # Errors
    ///
    /// One line, if something that the comparison needs cannot be read.
    fn begin(&self, request: &Request, found: &mut Verification) -> Result<Comparison, String>;
}

/// Compares on one device in one type. It is called for each device and type in turn. The closure owns the data that it
/// keeps between calls.
pub type Comparison = Box<dyn FnMut(&mut Session<'_>) -> Result<(), String>>;

impl fmt::Debug for dyn Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What to verify.
#[derive(Clone, Debug)]
pub struct Request {
    /// Only this cell.
    pub cell: Option<LayerKind>,
    /// Devices by name.
    pub devices: Vec<String>,
    /// Types.
    pub dtypes: Vec<DType>,
    /// Witnesses.
    pub witnesses: Vec<&'static dyn Witness>,
    /// A folder of PyTorch reference files instead of those of this crate.
    pub reference: Option<PathBuf>,
    /// Which kernel of the manual engine is verified: in place of [`Kernel::Auto`], where a cell runs step by step.
    pub kernel: Kernel,
    /// Changes the sign of this gate's gradient in the manual backward step of the LSTM, to test the checks. Only in
    /// builds with the feature `sabotage`.
    pub sabotage: Option<usize>,
}
