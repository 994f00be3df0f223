//! Devices by name.

use crate::setting::DType;
use bptt::Kernel;
use burn::tensor::Device;

/// What is known about one kind of device.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeviceReport {
    /// The name for `--device`.
    pub name: &'static str,
    /// The hardware and interface that it runs on.
    pub what: &'static str,
    /// Whether this build has it.
    pub compiled: bool,
    /// Whether a first operation worked on this machine.
    pub works: bool,
    /// The float types it computes in.
    pub dtypes: Vec<&'static str>,
    /// What is missing, and how to get it; empty if the device works.
    pub hint: String,
}

/// Name and description of each device that a build can have, in the order of preference.
const KNOWN: [(&str, &str); 8] = [
    ("flex", "the CPU, by Burn's own tensor library"),
    ("ndarray", "the CPU, by the ndarray crate"),
    ("wgpu", "any GPU, by the graphics interface that suits it"),
    ("vulkan", "a GPU by Vulkan, or the CPU by a software Vulkan"),
    ("metal", "an Apple GPU by Metal"),
    ("cuda", "an NVIDIA GPU by CUDA"),
    ("rocm", "an AMD GPU by ROCm"),
    ("cpu", "the CPU, by CubeCL and LLVM"),
];

fn compiled(name: &str) -> bool {
    match name {
        "flex" => cfg!(feature = "flex"),
        "ndarray" => cfg!(feature = "ndarray"),
        // Vulkan and Metal are interfaces of wgpu, and turn it on.
        "wgpu" => cfg!(any(feature = "wgpu", feature = "vulkan", feature = "metal")),
        "vulkan" => cfg!(feature = "vulkan"),
        "metal" => cfg!(feature = "metal"),
        "cuda" => cfg!(feature = "cuda"),
        "rocm" => cfg!(feature = "rocm"),
        "cpu" => cfg!(feature = "cpu"),
        _ => false,
    }
}

/// The names of the devices that this build has.
pub fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.into_iter().map(|(name, _)| name).filter(|name| compiled(name))
}

/// The first device that this build has.
///
/// # Panics
///
/// If the build has none.
pub fn default_name() -> &'static str {
    names().next().expect("a build with at least one device")
}

/// The device with a name, without autodiff.
///
/// # Errors
///
/// One line, if there is no such device, if this build lacks it, or if it does not work here.
pub fn open(name: &str) -> Result<Device, String> {
    if !KNOWN.iter().any(|(known, _)| *known == name) {
        let all: Vec<_> = KNOWN.iter().map(|(known, _)| *known).collect();
        return Err(format!("unknown device '{name}': expected one of {}", all.join(", ")));
    }
    if !compiled(name) {
        return Err(format!(
            "device '{name}' is not in this build (it has {}): build with --features {name}",
            names().collect::<Vec<_>>().join(", "),
        ));
    }
    works(name)
        .map(|()| make(name))
        .map_err(|why| format!("device '{name}' does not work here: {why}; {}", remedy(name)))
}

fn make(name: &str) -> Device {
    match name {
        #[cfg(feature = "flex")]
        "flex" => Device::flex(),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated, reason = "burn-ndarray is deprecated in Burn 0.22 and gone in 0.23")]
        "ndarray" => Device::ndarray(),
        #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
        "wgpu" => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "vulkan")]
        "vulkan" => Device::vulkan(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "metal")]
        "metal" => Device::metal(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "cuda")]
        "cuda" => Device::cuda(0),
        #[cfg(feature = "rocm")]
        "rocm" => Device::rocm(0),
        #[cfg(feature = "cpu")]
        "cpu" => Device::cpu(),
        _ => unreachable!("'{name}' was checked against the devices of this build"),
    }
}

/// Whether a first operation works. The host's own devices always work.
fn works(name: &str) -> Result<(), String> {
    if matches!(name, "flex" | "ndarray") {
        return Ok(());
    }
    let name = name.to_string();
    // If a driver is missing, Burn panics, in this thread or in a thread that it started.
    quietly(move || {
        let device = make(&name);
        let one = burn::Tensor::<1>::from_floats([1.0], &device) + 1.0;
        let two: Vec<f32> = one.into_data().try_to_vec().unwrap_or_default();
        if two == [2.0] { Ok(()) } else { Err("1 + 1 was not 2 on it".to_string()) }
    })
}

/// Runs something that may panic, and hides the panic's message from the user.
fn quietly<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let done = std::thread::spawn(work).join();
    std::panic::set_hook(hook);
    done.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()))
            .unwrap_or_default();
        let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no device found");
        Err(line.trim().to_string())
    })
}

fn remedy(name: &str) -> &'static str {
    match name {
        "wgpu" | "vulkan" => {
            "install a Vulkan driver, or a software one (Debian: apt-get install \
             mesa-vulkan-drivers libvulkan1) and set CUBECL_WGPU_DEFAULT_DEVICE=Cpu"
        }
        "cuda" => "install an NVIDIA driver and the CUDA runtime",
        "rocm" => "install an AMD driver and ROCm",
        _ => "it needs hardware that this machine may not have",
    }
}

/// What is compiled in, what works here, and in which dtypes.
pub fn report() -> Vec<DeviceReport> {
    let line = |(name, what)| {
        let mut line = DeviceReport {
            name,
            what,
            compiled: compiled(name),
            works: false,
            dtypes: vec![],
            hint: String::new(),
        };
        if !line.compiled {
            line.hint = format!("not in this build: build with --features {name}");
            return line;
        }
        match works(name) {
            Err(why) => line.hint = format!("{why}; {}", remedy(name)),
            Ok(()) => {
                line.works = true;
                let device = make(name);
                line.dtypes = DType::ALL
                    .into_iter()
                    .filter(|dtype| dtype.works_on(name, &device))
                    .map(DType::name)
                    .collect();
            }
        }
        line
    };
    KNOWN.into_iter().map(line).collect()
}

/// Checks that a device has a kernel of the manual engine.
///
/// # Errors
///
/// One line, if the kernel is for other devices.
pub fn check_kernel(name: &str, kernel: Kernel) -> Result<(), String> {
    match kernel.is_for_gpus() && is_host(name) {
        true => Err(format!(
            "device '{name}' has no kernel {}, which is for GPUs: expected auto or reference, or another device",
            kernel.name(),
        )),
        false => Ok(()),
    }
}

/// Whether the device computes on the host, in plain memory.
pub fn is_host(name: &str) -> bool {
    matches!(name, "flex" | "ndarray")
}
