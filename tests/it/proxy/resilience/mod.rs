//! The proxy in a crowd, and among peers that fail.

mod crowd;
mod echo;
#[cfg(all(feature = "cli", unix))]
mod load;
mod numbers;
mod slow;
mod tokens;
mod trouble;
mod visitor;
