//! Answers that make no sense.
