//! Files of settings in TOML: read key by key, with all mistakes told at once.

mod document;
#[cfg(feature = "grants")]
mod lists;
#[cfg(feature = "proxy")]
mod numbers;
mod problem;
mod source;

pub(crate) use document::{Document, Found, Section};
#[cfg(feature = "proxy")]
pub(crate) use numbers::Step;
pub use problem::Problem;
pub(crate) use problem::{Listed, nearest};
#[cfg(feature = "grants")]
pub(crate) use source::SourceError;
pub(crate) use source::{TextSource, read_bounded};
