//! The scripts of `sql/`: run twice, with hostile names, by the identities that they are for.

mod cli;
mod effects;
mod grammar;
mod hostile;
mod place;
mod readme;
