//! Why a developer's tool gave no token.

/// Why a developer's tool gave no token, beyond what can go wrong with
/// [any program](super::super::ProgramError).
///
/// Nothing that the tool wrote to its standard output is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// A module that the tool needs is missing.
    #[error("{tool} lacks the module {module}; install it with `{install}`")]
    MissingModule {
        /// The tool.
        tool: &'static str,
        /// What it lacks.
        module: &'static str,
        /// The command that gets it.
        install: &'static str,
    },
    /// The tool is not there.
    #[error(
        "{tool} is not installed here: no folder that PATH names by its full path has `{program}`; \
         install it, then run `{sign_in}`"
    )]
    NotInstalled {
        /// The tool.
        tool: &'static str,
        /// Its program.
        program: &'static str,
        /// The command to go on with.
        sign_in: &'static str,
    },
    /// Nobody is signed in.
    #[error("nobody is signed in to {tool}; run `{sign_in}` (it says: {said})")]
    NotSignedIn {
        /// The tool.
        tool: &'static str,
        /// The command that changes it.
        sign_in: &'static str,
        /// What the tool said, shortened.
        said: String,
    },
    /// The tool ended well without a token.
    #[error(
        "{tool} printed {problem}; it is not shown, as it may hold a token: run the tool by hand"
    )]
    NoToken {
        /// The tool.
        tool: &'static str,
        /// What it printed instead.
        problem: &'static str,
    },
    /// Entra refused whoever is signed in.
    #[error("Entra refused who is signed in to {tool}; {advice} (it says: {said})")]
    Refused {
        /// The tool.
        tool: &'static str,
        /// What to do.
        advice: String,
        /// What the tool said, shortened.
        said: String,
    },
    /// A value is nothing to be passed to a program.
    #[error(
        "the {what} has characters that no {what} has, so it is not passed to {tool}; correct it"
    )]
    Value {
        /// The tool.
        tool: &'static str,
        /// Which value: the tenant or the resource.
        what: &'static str,
    },
}
