//! Stack for what T-SQL nests: trees of expressions and queries are cloned, visited and dropped by
//! recursion that nobody can interrupt, and an overflow ends the whole process.

/// What the deepest tree that the parser lets through may need, in a build without optimisation.
const NEEDED: usize = 12 << 20;
/// What is taken if there is less. Memory is used as far as it is touched only.
const TAKEN: usize = 16 << 20;

/// Runs a batch with enough stack, however little its thread has.
pub(super) fn with_stack<T>(run: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(NEEDED, TAKEN, run)
}
