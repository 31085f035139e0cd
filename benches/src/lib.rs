//! What the benches share: which measurement is compared with which, and a server of canned rows.

pub mod canned;

/// A comparison: a criterion group, our measurement in it, and the peer's.
pub struct Comparison {
    /// What is measured.
    pub what: &'static str,
    /// Name of the criterion group.
    pub group: &'static str,
    /// Our function in the group.
    pub ours: &'static str,
    /// The peer's function in the group.
    pub peer: &'static str,
    /// The bar from the design: the most that the ratio of our time to the peer's may be.
    pub bar: f64,
}

/// Every comparison, in the order of the table.
pub const COMPARISONS: &[Comparison] = &[
    Comparison {
        what: "parse an ADO.NET string",
        group: "parse",
        ours: "entrada",
        peer: "tiberius",
        bar: 1.0,
    },
    Comparison {
        what: "cached token",
        group: "cached token",
        ours: "entrada",
        peer: "azure_identity",
        bar: 0.1,
    },
    Comparison {
        what: "pool: get, `SELECT 1`, put back",
        group: "pool",
        ours: "entrada",
        peer: "bb8-tiberius",
        bar: 1.0,
    },
    Comparison {
        what: "a million rows through the pool",
        group: "a million rows",
        ours: "entrada",
        peer: "tiberius",
        bar: 1.0 / 0.95,
    },
];
