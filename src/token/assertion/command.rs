//! A program that prints an assertion.

use async_trait::async_trait;

use super::super::Environment;
use super::super::entra::mark_of;
use super::super::error::FetchError;
use super::super::program::{Call, Program, ProgramError};
use super::origin::Origin;
use super::{AssertionError, AssertionSource, Exchange};
use crate::secret::Secret;

/// Runs the program for each exchange, without a shell.
///
/// What it is given may hold secrets, so errors name the program only.
#[derive(Debug)]
pub(super) struct CommandAssertion {
    env: Environment,
    program: String,
    args: Vec<Secret>,
    origin: Origin,
}

impl CommandAssertion {
    pub(super) fn new(argv: &[String], env: &Environment) -> Result<Self, FetchError> {
        let Some((program, args)) = argv.split_first().filter(|(name, _)| !name.is_empty()) else {
            let nothing = Origin::new("a command", RENEW, CHECK);
            return Err(nothing.failed(AssertionError::Setting {
                setting: "the command",
                problem: "it names no program",
            }));
        };
        let source = Self {
            env: env.clone(),
            origin: Origin::new(format!("the command {program}"), RENEW, CHECK),
            program: program.clone(),
            args: args.iter().map(|arg| Secret::new(arg.as_str())).collect(),
        };
        // It may be replaced while this process runs, but should be there.
        source.find()?;
        Ok(source)
    }

    fn find(&self) -> Result<Program, FetchError> {
        let found = Program::find(&self.env, &self.program);
        found.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: ProgramError) -> FetchError {
        self.origin.failed(AssertionError::Program(error))
    }
}

#[async_trait]
impl AssertionSource for CommandAssertion {
    async fn assertion(&self, _: &Exchange<'_>) -> Result<Secret, FetchError> {
        let program = self.find()?;
        let call = Call::new(self.args.iter().map(Secret::expose));
        let ended = program.run(&self.env, call).await;
        let ended = ended.map_err(|error| self.failed(error))?;
        if !ended.success() {
            return Err(self.failed(ended.failure()));
        }
        self.origin.accept_bytes(&ended.stdout)
    }

    fn describe(&self) -> String {
        self.origin.name().to_owned()
    }

    fn mark(&self) -> String {
        let args = self.args.iter().map(Secret::expose);
        mark_of(std::iter::once(&*self.program).chain(args))
    }
}

const RENEW: &str = "the program printed an old one: check what it keeps, and this machine's clock";

const CHECK: &str = "it must print one signed JWT and nothing else to its standard output";

#[cfg(all(test, unix))]
mod tests {
    use super::super::super::testing::TempPath;
    use super::super::testing::{ask, jwt, told};
    use super::*;

    async fn run(body: &str) -> Result<Secret, FetchError> {
        let folder = TempPath::new();
        folder.put("issuer", body);
        let argv = ["issuer", "a b", "$HOME"].map(str::to_owned);
        ask(&CommandAssertion::new(&argv, &folder.environment())?).await
    }

    #[tokio::test]
    async fn what_it_prints_is_the_assertion_and_no_shell_is_involved() {
        let token = jwt(60, "s");
        let body = format!(r#"[ "$1|$2" = 'a b|$HOME' ] && printf '%s\n' {token}"#);
        assert_eq!(run(&body).await.unwrap().expose(), token);
    }

    #[tokio::test]
    async fn it_is_run_again_for_each_exchange() {
        let folder = TempPath::new();
        let (first, second) = (jwt(60, "first"), jwt(60, "second"));
        folder.put("issuer", &format!("echo {first}"));
        let source = CommandAssertion::new(&["issuer".to_owned()], &folder.environment()).unwrap();
        assert_eq!(ask(&source).await.unwrap().expose(), first);
        folder.put("issuer", &format!("echo {second}"));
        assert_eq!(ask(&source).await.unwrap().expose(), second);
    }

    #[tokio::test]
    async fn what_it_says_wrong_is_told_without_what_it_printed() {
        let token = jwt(60, "MARKER");
        let error = run(&format!("echo {token}; echo no luck {token} >&2; exit 3")).await;
        let error = error.unwrap_err();
        let text = told(&error);
        assert!(text.contains("the command issuer"), "{text}");
        assert!(text.contains("exit code 3: no luck [hidden]"), "{text}");
        assert!(!format!("{error:?}{text}").contains("eyJ"), "{error:?}");

        for (body, word) in [
            ("echo MARKER", "no signed JWT"),
            ("echo '<html>MARKER</html>'", "no signed JWT"),
            (":", "it is empty"),
            ("head -c 300000 /dev/zero", "more than"),
        ] {
            let text = told(&run(body).await.unwrap_err());
            assert!(text.contains(word), "{body}: {text}");
        }
        let text = told(&run(&format!("echo {}", jwt(-60, "s"))).await.unwrap_err());
        assert!(text.contains("the program printed an old one"), "{text}");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_at_once() {
        let folder = TempPath::new();
        for (argv, word) in [
            (vec![], "names no program"),
            (vec![String::new()], "names no program"),
            (vec!["absent".to_owned()], "absent is not installed"),
            (vec!["./absent".to_owned()], "relative path"),
        ] {
            let error = CommandAssertion::new(&argv, &folder.environment()).unwrap_err();
            assert!(told(&error).contains(word), "{error:?}");
        }
    }

    #[test]
    fn arguments_are_not_shown() {
        let folder = TempPath::new();
        folder.put("issuer", ":");
        let argv = ["issuer", "MARKER"].map(str::to_owned);
        let source = CommandAssertion::new(&argv, &folder.environment()).unwrap();
        assert!(!format!("{source:?} {}", source.describe()).contains("MARKER"));
    }
}
