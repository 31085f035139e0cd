//! What each fuzz target does with its bytes.
//!
//! The modules under test know no others, so they are compiled here, from their
//! own files: that takes seconds, where the whole crate would take minutes under
//! the fuzzer's flags.

#![allow(
    dead_code,
    unused_imports,
    reason = "the modules serve the rest of the crate, too"
)]

mod answer;
#[path = "../../src/conn_string/mod.rs"]
pub mod conn_string;
mod cuts;
mod decoders;
mod held;
#[path = "../../src/secret.rs"]
pub mod secret;
#[path = "../../src/tds/mod.rs"]
pub mod tds;
#[path = "../../src/transcode/mod.rs"]
pub mod transcode;
mod transcoder;

pub use decoders::{conn_string, login7, messages, prelogin, response_walker, rpc, tokens};
pub use transcoder::{transcode_answers, transcode_requests};
