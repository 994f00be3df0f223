//! The result of `bptt bench` for people.

use bptt_probe::bench::{Ceiling, LoadReport, Report};

/// A few lines.
pub fn text(report: &Report, ceiling: Option<Ceiling>) -> String {
    let lines = [
        head(report),
        time(report),
        report.load.as_ref().map_or_else(Vec::new, |load| served(report, load)),
        latency(report),
        work(report, ceiling),
        bounds(report),
    ];
    lines.concat().join("\n")
}

/// A comparison of engines on one size: a line for each, with its times as multiples of those of the first.
pub fn comparison_text(reports: &[Report]) -> String {
    let first = &reports[0];
    let Report { cell, batch, time, input, hidden, device, dtype, threads, repeats, .. } = first;
    let modes: Vec<&str> =
        reports.iter().filter(|r| r.engine == first.engine).map(|r| r.mode.as_str()).collect();
    let mut lines = vec![
        format!(
            "{cell} B {batch} T {time} I {input} H {hidden}: device {device}, {dtype}, threads \
             {threads}, medians of {repeats}"
        ),
        String::new(),
    ];
    let mut head = format!("{:<10}", "engine");
    modes.iter().for_each(|mode| head.push_str(&format!("{mode:>12}      ")));
    lines.push(head.trim_end().to_string());
    for of_engine in reports.chunks(modes.len()) {
        let mut line = format!("{:<10}", of_engine[0].engine);
        for (report, first) in of_engine.iter().zip(reports) {
            let ratio = report.median_ms / first.median_ms;
            line.push_str(&format!("{:>9.3} ms {ratio:>4.1}x", report.median_ms));
        }
        lines.push(line);
    }
    lines.push(String::new());
    lines.push(
        "For another cell or size: bptt bench --cell gru --batch 32 --time 100 --input 128 \
         --hidden 128"
            .into(),
    );
    lines.join("\n")
}

fn head(report: &Report) -> Vec<String> {
    let Report { cell, batch, time, input, hidden, heads, layers, threads, .. } = report;
    let in_heads = if *heads > 1 { format!(", heads {heads}") } else { String::new() };
    let kernel = match report.kernel.as_str() {
        "-" => String::new(),
        kernel => format!(", kernel {kernel}"),
    };
    let both = if report.bidirectional { ", both directions" } else { "" };
    let sizes = match report.load {
        Some(_) => format!("I {input} H {hidden}"),
        None => format!("B {batch} T {time} I {input} H {hidden}"),
    };
    vec![format!(
        "{cell} {sizes}{in_heads}, layers {layers}{both}: {}, engine {}{kernel}, device {}, {}, threads {threads}",
        report.mode, report.engine, report.device, report.dtype,
    )]
}

fn time(report: &Report) -> Vec<String> {
    let (whole, unit, scale) = match report.mode.as_str() {
        "pool" => return Vec::new(),
        "step" => (" a step", "µs", 1e3),
        _ => ("", "ms", 1.0),
    };
    let [median, min, max] =
        [report.median_ms, report.min_ms, report.max_ms].map(|ms| format!("{:.3}", ms * scale));
    let repeats = report.repeats;
    vec![format!("time    {median} {unit}{whole} (median of {repeats}; {min} to {max})")]
}

fn served(report: &Report, load: &LoadReport) -> Vec<String> {
    let LoadReport { streams, rate, seconds, max_batch, max_wait_ms, .. } = load;
    let mut lines = vec![
        format!(
            "load    {rate} inputs a second for {seconds} s over {streams} streams (Poisson), batches of \
             up to {max_batch}, max wait {max_wait_ms} ms",
        ),
        format!(
            "served  {:.0} a second, in batches of {:.1} on average, computing {:.1} % of the time",
            load.throughput,
            load.mean_batch,
            100.0 * load.busy,
        ),
        format!(
            "misses  {} of {} inputs ({:.3} %) had no answer after {} ms{}",
            load.misses,
            load.inputs,
            100.0 * load.miss_share,
            load.deadline_ms,
            match load.inputs - load.answers {
                0 => String::new(),
                none => format!("; {none} had none after {} s", 2.0 * seconds),
            },
        ),
    ];
    if load.overloaded {
        // An idle machine with a queue means that streams wait for their own answers.
        let cure = match load.busy < 0.9 {
            true => {
                "; the machine was idle at times, so a smaller --max-wait or more --streams may help"
            }
            false => "",
        };
        lines.push(format!(
            "        this load is above what the pool serves on {} with {} threads: latencies grew all the \
             time, and would grow further{cure}",
            report.device, report.threads,
        ));
    }
    lines
}

fn latency(report: &Report) -> Vec<String> {
    let (Some(samples), Some(longest)) = (report.samples, report.longest_ms) else {
        return Vec::new();
    };
    let (unit, scale, what) = match report.clock_ms {
        Some(clock) => {
            let clock =
                format!("{samples} single steps, without {:.3} µs for the clock", clock * 1e3);
            ("µs", 1e3, clock)
        }
        None => ("ms", 1.0, format!("{samples} inputs, from arrival to answer")),
    };
    let percentile = |ms: Option<f64>| {
        ms.map_or_else(|| "– (too few)".to_string(), |ms| format!("{:.3}", ms * scale))
    };
    vec![format!(
        "latency p50 {}, p99 {}, p99.9 {}, max {:.3} {unit} ({what})",
        percentile(report.p50_ms),
        percentile(report.p99_ms),
        percentile(report.p999_ms),
        longest * scale,
    )]
}

/// What the run cannot be faster than.
fn bounds(report: &Report) -> Vec<String> {
    let Some(bounds) = &report.bounds else { return Vec::new() };
    let what = match bounds.by.as_str() {
        "cache" => "reading the weights from the cache",
        _ => "the products, at the rate of that large one,",
    };
    let (unit, scale) = if report.mode == "step" { ("µs", 1e3) } else { ("ms", 1.0) };
    let reached = |ms: f64| format!("{:.0} %", 100.0 * ms / report.median_ms);
    vec![format!(
        "bound   {what} would take {:.3} {unit}, so {} is reached; the same products alone take {:.3} {unit}, {}",
        bounds.alone_ms * scale,
        reached(bounds.alone_ms),
        bounds.products_ms * scale,
        reached(bounds.products_ms),
    )]
}

fn work(report: &Report, ceiling: Option<Ceiling>) -> Vec<String> {
    let gflops = report.gflops;
    let reached = match ceiling {
        None => String::new(),
        Some(ceiling) => format!(
            ", {:.0} % of what a product of 1024 x 1024 matrices reaches here ({:.1} before, \
             {:.1} after)",
            100.0 * gflops / ceiling.best(),
            ceiling.before,
            ceiling.after,
        ),
    };
    let peak = report.peak_bytes.map_or_else(
        || "–".to_string(),
        |bytes| format!("{:.2} MB above parameters and input", bytes as f64 / 1e6),
    );
    let mut lines = vec![
        format!("work    {gflops:.1} GF/s in matrix products{reached}"),
        format!("memory  {peak}"),
    ];
    // The reference body launches whatever Burn does.
    if let Some(launches) = report.launches.filter(|&launches| launches > 0) {
        lines.push(format!(
            "kernels {launches} launches a run, beside the large products before and behind each sequence"
        ));
    }
    lines
}
