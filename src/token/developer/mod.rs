//! The tools that developers sign in with. Their tokens are the developer's own
//! as a rule: to the database it is a user, not an application.

mod az;
mod azd;
mod error;
mod powershell;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;

pub use error::ToolError;

use super::entra::advice_for;
use super::error::FetchError;
use super::program::{Call, Finished, LIMIT, Program, ProgramError};
use super::reply::lasting_until;
use super::{AccessToken, Environment, Resource, SourceKey, Sources, TokenError, TokenSource};
use crate::secret::Secret;

/// Asks a developer's tool for the token of whoever is signed in to it.
///
/// The tool is looked for on `PATH` at each call, since developers install and
/// move such things while programs run. It is run without a shell, in a folder
/// of the system, for half a minute at most.
#[derive(Debug)]
pub(super) struct DeveloperTool {
    tool: Tool,
    tenant: Option<String>,
    env: Environment,
    limit: Duration,
}

impl DeveloperTool {
    /// A source over a tool, for its own tenant if none is given.
    pub(super) fn new(tool: Tool, tenant: Option<&str>, sources: &Sources) -> Self {
        Self {
            tool,
            tenant: tenant.map(str::to_owned),
            env: sources.env.clone(),
            limit: LIMIT,
        }
    }

    async fn fetch(&self, resource: &Resource) -> Result<AccessToken, FetchError> {
        let Printed { secret, expires_on } = self.ask(resource).await?;
        lasting_until(secret, expires_on, SystemTime::now())
    }

    async fn ask(&self, resource: &Resource) -> Result<Printed, FetchError> {
        let tool = self.tool;
        tool.check("resource", resource.as_str(), "._:/-")?;
        if let Some(tenant) = &self.tenant {
            tool.check("tenant", tenant, ".-")?;
        }
        let program = tool.find(&self.env)?;
        let mut call = tool.call(resource, self.tenant.as_deref());
        call.limit = self.limit;
        let done = program.run(&self.env, call).await?;
        match tool {
            Tool::Az => az::read(&done, &self.env),
            Tool::Azd => azd::read(&done),
            Tool::PowerShell => powershell::read(&done),
        }
    }
}

#[async_trait]
impl TokenSource for DeveloperTool {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        let fetched = self.fetch(resource).await;
        fetched.map_err(|reason| TokenError::fetch(self.key(), resource, reason))
    }

    fn key(&self) -> SourceKey {
        // Variables say which tool is found, and where it keeps who is signed in.
        let key = SourceKey::new(self.tool.name())
            .with_identity("whoever is signed in")
            .with_credential(self.env.mark());
        match &self.tenant {
            Some(tenant) => key.with_tenant(tenant),
            None => key,
        }
    }
}

/// A tool that gives tokens to those who are signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Az,
    Azd,
    PowerShell,
}

impl Tool {
    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Az => "Azure CLI",
            Self::Azd => "Azure Developer CLI",
            Self::PowerShell => "Azure PowerShell",
        }
    }

    /// How to sign in to it.
    pub(super) fn sign_in(self) -> &'static str {
        match self {
            Self::Az => "az login",
            Self::Azd => "azd auth login",
            Self::PowerShell => "Connect-AzAccount",
        }
    }

    /// The program on this environment's `PATH`; nothing is run.
    pub(super) fn find(self, env: &Environment) -> Result<Program, FetchError> {
        let names: &[&'static str] = match self {
            Self::Az => &["az"],
            Self::Azd => &["azd"],
            // Windows has had its own for longer.
            Self::PowerShell if cfg!(windows) => &["pwsh", "powershell"],
            Self::PowerShell => &["pwsh"],
        };
        for name in names {
            match Program::find(env, name) {
                Err(ProgramError::NotFound { .. }) => {}
                other => return Ok(other?),
            }
        }
        Err(ToolError::NotInstalled {
            tool: self.name(),
            program: names[0],
            sign_in: self.sign_in(),
        }
        .into())
    }

    fn call(self, resource: &Resource, tenant: Option<&str>) -> Call<'static> {
        match self {
            Self::Az => az::call(resource, tenant),
            Self::Azd => azd::call(resource, tenant),
            Self::PowerShell => powershell::call(resource, tenant),
        }
    }

    /// Lets no value through that a tool, `cmd.exe` or PowerShell could take for
    /// something else. A leading dash would make it an option.
    fn check(self, what: &'static str, value: &str, signs: &str) -> Result<(), ToolError> {
        let known = |c: char| c.is_ascii_alphanumeric() || signs.contains(c);
        if !value.is_empty() && !value.starts_with('-') && value.chars().all(known) {
            return Ok(());
        }
        Err(ToolError::Value {
            tool: self.name(),
            what,
        })
    }

    /// What a failure means, by what the tool said.
    fn judge(self, done: &Finished, said: String, signs: &[&str]) -> FetchError {
        if let Some(code) = aadsts(&said) {
            let advice = match advice_for(code) {
                Some(advice) => format!("{advice} (`{}`)", self.sign_in()),
                None => format!(
                    "sign in again with `{}`; https://login.microsoftonline.com/error?code={code} \
                     explains the code",
                    self.sign_in()
                ),
            };
            return ToolError::Refused {
                tool: self.name(),
                said,
                advice,
            }
            .into();
        }
        let lower = said.to_ascii_lowercase();
        if signs.iter().any(|sign| lower.contains(sign)) {
            let (tool, sign_in) = (self.name(), self.sign_in());
            return ToolError::NotSignedIn {
                tool,
                sign_in,
                said,
            }
            .into();
        }
        done.failure_saying(said).into()
    }

    fn no_token(self, problem: &'static str) -> FetchError {
        ToolError::NoToken {
            tool: self.name(),
            problem,
        }
        .into()
    }
}

/// What a tool printed.
#[derive(Debug)]
struct Printed {
    secret: Secret,
    expires_on: SystemTime,
}

/// The first JSON object of the output, which may follow a notice of some lines.
fn json<T: serde::de::DeserializeOwned>(tool: Tool, done: &Finished) -> Result<T, FetchError> {
    let text = std::str::from_utf8(&done.stdout).map_err(|_| tool.no_token("no UTF-8"))?;
    let starts = |line: &&str| line.trim_start().starts_with('{');
    let line = text
        .lines()
        .find(starts)
        .ok_or_else(|| tool.no_token("no JSON object"))?;
    let offset = line.as_ptr().addr() - text.as_ptr().addr();
    let mut values = serde_json::Deserializer::from_str(&text[offset..]).into_iter();
    match values.next() {
        Some(Ok(value)) => Ok(value),
        _ => Err(tool.no_token("JSON that is no token")),
    }
}

/// The code of an error of Entra: the number after `AADSTS`.
fn aadsts(text: &str) -> Option<u32> {
    let (_, code) = text.split_once("AADSTS")?;
    let end = code.find(|c: char| !c.is_ascii_digit());
    code[..end.unwrap_or(code.len())].parse().ok()
}

#[cfg(all(test, unix))]
mod tests;
