//! How much memory is available.

/// How much memory can still be allocated, in bytes, if the system tells.
pub(crate) fn available() -> Option<usize> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let meminfo = read("/proc/meminfo")?;
    let kilobytes = number(&meminfo, "MemAvailable:")?
        .saturating_add(number(&meminfo, "SwapFree:").unwrap_or(0));
    let machine = kilobytes.saturating_mul(1024);
    // A container may have less than its machine. The system frees the container's page cache if need be.
    let group = |name: &str| read(&format!("/sys/fs/cgroup/memory.{name}"));
    let bytes = |name: &str| group(name)?.trim().parse::<usize>().ok();
    let own = bytes("max").zip(bytes("current")).map(|(max, current)| {
        let cache = group("stat").and_then(|stat| number(&stat, "file")).unwrap_or(0);
        max.saturating_sub(current.saturating_sub(cache))
    });
    Some(own.map_or(machine, |own| own.min(machine)))
}

/// The number behind a name, in a file with a name and a number on each line.
fn number(file: &str, name: &str) -> Option<usize> {
    let mut lines = file.lines().map(str::split_whitespace);
    lines
        .find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok()).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_understood() {
        let file = "MemTotal:  16 kB\nMemAvailable:   12 kB\nfile_dirty 3\nfile 4\n";
        assert_eq!(number(file, "MemAvailable:"), Some(12));
        assert_eq!(number(file, "file"), Some(4));
        assert_eq!(number(file, "none"), None);
        if cfg!(target_os = "linux") {
            assert!(available().is_some_and(|bytes| bytes > 1 << 20));
        }
    }
}
