//! What a witness is, and what is asked for.

use crate::setting::DType;
use crate::verify::session::{Session, Verification};
use bptt::CellKind;
use std::fmt;
use std::path::PathBuf;

/// An independent way to get the same gradient.
///
/// A witness of the project is a file beside this one and a line of
/// [`WITNESSES`](crate::verify::WITNESSES); the book's chapter "Adding a witness" walks through one.
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

/// Compares on one device in one type. It is called for each device and type in turn, and owns what it
/// keeps from one call to the next.
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
    pub cell: Option<CellKind>,
    /// Devices by name.
    pub devices: Vec<String>,
    /// Types.
    pub dtypes: Vec<DType>,
    /// Witnesses.
    pub witnesses: Vec<&'static dyn Witness>,
    /// A folder of PyTorch reference files instead of those of this crate.
    pub reference: Option<PathBuf>,
    /// Turns the sign of this gate in the manual backward of the LSTM: a test of the checks. Only in builds
    /// with the feature `sabotage`.
    pub sabotage: Option<usize>,
}
