//! An assertion in a variable of the environment.

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::super::Environment;
use super::super::error::FetchError;
use super::origin::Origin;
use super::{AssertionError, AssertionSource, Exchange};
use crate::secret::Secret;

/// Reads the variable for each exchange. Whoever started the process wrote it,
/// so once it has ended there will be no other.
#[derive(Debug)]
pub(super) struct VariableAssertion {
    variable: String,
    env: Environment,
    origin: Origin,
    absent: &'static str,
}

impl VariableAssertion {
    pub(super) fn new(variable: &str, env: &Environment) -> Self {
        let origin = Origin::new(format!("the variable {variable}"), RENEW, CHECK);
        Self::with(variable, env, origin, "set it to a signed JWT")
    }

    pub(super) fn with(
        variable: &str,
        env: &Environment,
        origin: Origin,
        absent: &'static str,
    ) -> Self {
        Self {
            variable: variable.to_owned(),
            env: env.clone(),
            origin,
            absent,
        }
    }

    /// Fails if the variable is absent, which nothing will change later on.
    pub(super) fn present(self) -> Result<Self, FetchError> {
        match self.env.has(&self.variable) {
            true => Ok(self),
            false => Err(self.missing()),
        }
    }

    fn missing(&self) -> FetchError {
        self.origin.failed(AssertionError::MissingVariables {
            variables: format!("{} is", self.variable),
            advice: self.absent,
        })
    }
}

#[async_trait]
impl AssertionSource for VariableAssertion {
    async fn assertion(&self, _: &Exchange<'_>) -> Result<Secret, FetchError> {
        let value = self.env.var(&self.variable).map(Zeroizing::new);
        self.origin.accept(&value.ok_or_else(|| self.missing())?)
    }

    fn describe(&self) -> String {
        self.origin.name().to_owned()
    }

    fn renews(&self) -> bool {
        false
    }
}

const RENEW: &str = "a variable cannot be renewed while the process runs: restart it with a fresh \
                     token, or give the token in a file, or a command that fetches it";

const CHECK: &str = "the variable must hold one signed JWT and nothing else";

#[cfg(test)]
mod tests {
    use super::super::gitlab::gitlab;
    use super::super::terraform::terraform;
    use super::super::testing::{ask, jwt, told};
    use super::*;

    fn env(name: &str, value: &str) -> Environment {
        Environment::from_pairs([(name, value)])
    }

    #[tokio::test]
    async fn the_variable_holds_the_assertion() {
        let token = jwt(60, "s");
        let plain = VariableAssertion::new("T", &env("T", &format!("{token}\n")));
        assert_eq!(ask(&plain).await.unwrap().expose(), token);
        let job = gitlab("AZURE_TOKEN", &env("AZURE_TOKEN", &token)).unwrap();
        assert_eq!(ask(&job).await.unwrap().expose(), token);
        assert_eq!(job.describe(), "GitLab's ID token in AZURE_TOKEN");
        let run = terraform(None, &env("TFC_WORKLOAD_IDENTITY_TOKEN", &token)).unwrap();
        assert_eq!(ask(&run).await.unwrap().expose(), token);
        let tagged = terraform(Some("SQL"), &env("TFC_WORKLOAD_IDENTITY_TOKEN_SQL", &token));
        assert_eq!(ask(&tagged.unwrap()).await.unwrap().expose(), token);
    }

    #[tokio::test]
    async fn an_end_in_the_past_says_what_cannot_be_renewed() {
        let old = jwt(-600, "MARKER");
        for (source, word) in [
            (
                VariableAssertion::new("T", &env("T", &old)),
                "a variable cannot be renewed",
            ),
            (
                gitlab("T", &env("T", &old)).unwrap(),
                "cannot be renewed in the job",
            ),
            (
                terraform(None, &env("TFC_WORKLOAD_IDENTITY_TOKEN", &old)).unwrap(),
                "cannot be renewed in the phase",
            ),
        ] {
            let error = ask(&source).await.unwrap_err();
            let text = told(&error);
            assert!(
                text.contains("it ended 10 min ago") && text.contains(word),
                "{text}"
            );
            assert!(!error.is_transient());
            assert!(!format!("{error:?} {source:?}").contains("MARKER"));
        }
    }

    #[tokio::test]
    async fn what_is_absent_or_no_token_is_named() {
        let absent = told(&gitlab("T", &env("U", "x")).unwrap_err());
        assert!(
            absent.contains("T is not set; add `id_tokens:`"),
            "{absent}"
        );
        let absent =
            told(&terraform(Some("X"), &env("TFC_WORKLOAD_IDENTITY_TOKEN", "x")).unwrap_err());
        assert!(
            absent.contains("TFC_WORKLOAD_IDENTITY_TOKEN_X is not set"),
            "{absent}"
        );
        assert!(
            absent.contains("TFC_WORKLOAD_IDENTITY_AUDIENCE"),
            "{absent}"
        );
        // An empty one counts as absent, as everywhere.
        let absent = VariableAssertion::new("T", &env("T", ""));
        assert!(told(&ask(&absent).await.unwrap_err()).contains("T is not set"));
        let source = VariableAssertion::new("T", &env("T", "<html>MARKER</html>"));
        let text = told(&ask(&source).await.unwrap_err());
        assert!(text.contains("no signed JWT"), "{text}");
    }
}
