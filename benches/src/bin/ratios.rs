//! Prints the table of ratios from what the last `cargo bench` measured.

use std::path::Path;
use std::process::ExitCode;

use entrada_benches::COMPARISONS;

fn main() -> ExitCode {
    println!("| What | Entrada | Peer | Ratio of times | Bar | |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut complete = true;
    for comparison in COMPARISONS {
        let ours = median(comparison.group, comparison.ours);
        let peer = median(comparison.group, comparison.peer);
        let (Some(ours), Some(peer)) = (ours, peer) else {
            println!("| {} | not measured | | | | |", comparison.what);
            complete = false;
            continue;
        };
        let ratio = ours / peer;
        println!(
            "| {} | {} | {} by {} | {ratio:.3} | ≤ {:.2} | {} |",
            comparison.what,
            time(ours),
            time(peer),
            comparison.peer,
            comparison.bar,
            if ratio <= comparison.bar {
                "met"
            } else {
                "**missed**"
            },
        );
    }
    if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Median time of one iteration in nanoseconds.
fn median(group: &str, function: &str) -> Option<f64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/criterion");
    // criterion replaces what a file name may not hold.
    let path = root.join(group).join(function).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.1} ns"),
        n if n < 1e6 => format!("{:.2} µs", n / 1e3),
        n if n < 1e9 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.3} s", n / 1e9),
    }
}
