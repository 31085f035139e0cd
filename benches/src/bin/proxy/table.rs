//! The table of ratios.

/// Rows for `docs/benchmarks.md`.
pub(crate) struct Table(Vec<String>);

impl Table {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// A figure with a bar: the ratio may not be above it.
    pub(crate) fn row(&mut self, what: &str, ours: &str, peer: &str, ratio: f64, bar: f64) {
        let verdict = if ratio <= bar { "met" } else { "**missed**" };
        self.add(format!(
            "| {what} | {ours} | {peer} | {ratio:.2} | ≤ {bar:.2} | {verdict} |"
        ));
    }

    /// A figure that nothing was promised for.
    pub(crate) fn note(&mut self, what: &str, ours: &str, peer: &str, ratio: f64) {
        self.add(format!("| {what} | {ours} | {peer} | {ratio:.2} | | |"));
    }

    /// Shown at once, too: all of them take minutes.
    fn add(&mut self, row: String) {
        eprintln!("{row}");
        self.0.push(row);
    }

    pub(crate) fn print(&self) {
        println!("| What | Entrada | Peer | Ratio | Bar | |");
        println!("| --- | --- | --- | --- | --- | --- |");
        self.0.iter().for_each(|row| println!("{row}"));
    }
}

/// The middle of what was measured.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
