//! What this machine offers, found out without asking anybody for a token.

use std::path::Path;

use super::assertion::offers;
use super::chain::{ChainMember, Selection};
use super::developer::Tool;
use super::env_principal::{self, Described};
use super::error::FetchError;
use super::managed_identity::ManagedIdentity;
use super::{Sources, TokenSource as _};
use crate::causes::below;
use crate::target::{AssertionFrom, Auth, Cloud, Identity, IdentityPlatform};

/// Every source, and whom the default chain would ask.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) offers: Vec<Offer>,
    /// The members in order, and who is left out by whose will.
    pub(crate) chain: Result<(Vec<&'static str>, Vec<String>), FetchError>,
}

/// A source as this machine has it, or has not.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) source: &'static str,
    pub(crate) state: State,
    /// What shows it; empty if nothing does.
    pub(crate) sign: String,
    /// What is missing, and what to do about it; empty if nothing is.
    pub(crate) missing: String,
    /// How a connection string asks for it.
    pub(crate) written: &'static str,
}

/// Whether a source can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// All that it needs is there; whether it gives a token is another matter.
    Available,
    /// It is there, but whether it can be used only a token would show.
    Maybe,
    Missing,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Maybe => "maybe",
            Self::Missing => "missing",
        }
    }
}

impl Sources {
    /// Looks at variables, files and programs, and for a second whether the
    /// metadata service of virtual machines answers. No program is run, and no
    /// secret is in what comes back.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub(crate) async fn survey(&self) -> Survey {
        let mut offers = vec![
            self.principal(),
            self.workload_identity(),
            self.managed_identity().await,
        ];
        offers.extend(ISSUERS.iter().map(|issuer| self.issuer(issuer)));
        offers.extend(
            TOOLS
                .iter()
                .map(|(tool, written)| self.installed(*tool, written)),
        );
        let chain = Selection::of(&self.env, &self.excluded).map(|selection| {
            let names = selection.members.into_iter().map(ChainMember::name);
            (names.collect(), selection.left_out)
        });
        Survey { offers, chain }
    }

    fn principal(&self) -> Offer {
        let offer = |state, sign: &str, missing: String| Offer {
            source: "service principal (environment)",
            state,
            sign: sign.to_owned(),
            missing,
            written: "Authentication=EntradaEnvironment",
        };
        match env_principal::described(&self.env) {
            Ok(Described::Principal { reason, .. }) => {
                offer(State::Available, reason, String::new())
            }
            Ok(Described::Password) => offer(
                State::Missing,
                "AZURE_USERNAME and AZURE_PASSWORD are set",
                "a user's password is not supported; set AZURE_TENANT_ID and AZURE_CLIENT_SECRET"
                    .to_owned(),
            ),
            Err(missing) => offer(State::Missing, "", missing.to_string()),
        }
    }

    fn workload_identity(&self) -> Offer {
        const FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
        let mut offer = self.issuer(&Issuer {
            source: "workload identity",
            is: |auth| matches!(auth, Auth::WorkloadIdentity { .. }),
            variable: FILE,
            advice: "on Kubernetes, label the pod azure.workload.identity/use=true",
            written: "Authentication=EntradaWorkloadIdentity",
        });
        let file = self.env.var(FILE);
        if offer.state == State::Available && !file.is_some_and(|file| Path::new(&file).is_file()) {
            offer.state = State::Missing;
            offer.missing = format!("the file that {FILE} names is not there");
        }
        offer
    }

    async fn managed_identity(&self) -> Offer {
        let offer = |state, sign: String, missing| Offer {
            source: "managed identity",
            state,
            sign,
            missing,
            written: "Authentication=EntradaManagedIdentity",
        };
        let identity = Identity::SystemAssigned;
        let managed = match ManagedIdentity::from_sources(identity, None, self) {
            Ok(managed) => managed,
            Err(error) => {
                return offer(State::Missing, String::new(), below(&error));
            }
        };
        let key = managed.key();
        let sign = match key.chosen_by() {
            "" => key.source().to_owned(),
            reason => format!("{}: {reason}", key.source()),
        };
        match managed.probe().await {
            // A machine without an identity has the service, too; and whatever
            // has its address elsewhere may answer.
            Ok(()) if key.source() == IdentityPlatform::Imds.name() => offer(
                State::Maybe,
                format!("{sign}; something answers at the address of the metadata service"),
                "whether this machine has an identity was not asked".to_owned(),
            ),
            Ok(()) => offer(State::Available, sign, String::new()),
            Err(error) => offer(State::Missing, sign, error.to_string()),
        }
    }

    fn issuer(&self, issuer: &Issuer) -> Offer {
        let found = offers(&self.env)
            .into_iter()
            .find(|offer| (issuer.is)(&offer.auth));
        let (state, sign, missing) = match found {
            None => {
                let missing = format!("{} is not set; {}", issuer.variable, issuer.advice);
                (State::Missing, String::new(), missing)
            }
            Some(offer) => {
                // No cloud differs in what a source needs to be made.
                let made = self.source(&offer.auth, &Cloud::Public);
                let (state, missing) = match made {
                    Ok(_) => (State::Available, String::new()),
                    // The server tells it at the login.
                    Err(error) if matches!(error.reason(), Some(FetchError::MissingTenant)) => {
                        (State::Available, String::new())
                    }
                    Err(error) => (State::Missing, below(&error)),
                };
                (state, format!("{} is set", offer.sign), missing)
            }
        };
        Offer {
            source: issuer.source,
            state,
            sign,
            missing,
            written: issuer.written,
        }
    }

    fn installed(&self, tool: Tool, written: &'static str) -> Offer {
        let (state, sign, missing) = match tool.find(&self.env) {
            Ok(program) => (
                State::Maybe,
                format!("{} is there", program.path().display()),
                format!(
                    "whether somebody is signed in was not asked; `{}` does it",
                    tool.sign_in()
                ),
            ),
            Err(error) => (State::Missing, String::new(), error.to_string()),
        };
        Offer {
            source: tool.name(),
            state,
            sign,
            missing,
            written,
        }
    }
}

/// An issuer of tokens that shows itself by a variable.
struct Issuer {
    source: &'static str,
    is: fn(&Auth) -> bool,
    variable: &'static str,
    advice: &'static str,
    written: &'static str,
}

const ISSUERS: [Issuer; 4] = [
    Issuer {
        source: "GitHub Actions",
        is: |auth| {
            matches!(
                auth,
                Auth::Federated {
                    from: AssertionFrom::GitHubActions,
                    ..
                }
            )
        },
        variable: "ACTIONS_ID_TOKEN_REQUEST_URL",
        advice: "give the job `permissions: id-token: write`",
        written: "Authentication=EntradaFederated;Entrada Federated Token=github",
    },
    Issuer {
        source: "GitLab",
        is: |auth| {
            matches!(
                auth,
                Auth::Federated {
                    from: AssertionFrom::GitLab { .. },
                    ..
                }
            )
        },
        variable: "GITLAB_OIDC_TOKEN",
        advice: "give the job an `id_tokens` entry of this name, or write the name that it has instead",
        written: "Authentication=EntradaFederated;Entrada Federated Token=gitlab:GITLAB_OIDC_TOKEN",
    },
    Issuer {
        source: "Azure Pipelines",
        is: |auth| matches!(auth, Auth::AzurePipelines { .. }),
        variable: "SYSTEM_OIDCREQUESTURI",
        advice: "run as a job of Azure Pipelines, with $(System.AccessToken) mapped into its environment",
        written: "Authentication=EntradaAzurePipelines",
    },
    Issuer {
        source: "HCP Terraform",
        is: |auth| {
            matches!(
                auth,
                Auth::Federated {
                    from: AssertionFrom::TerraformCloud { .. },
                    ..
                }
            )
        },
        variable: "TFC_WORKLOAD_IDENTITY_TOKEN",
        advice: "set TFC_WORKLOAD_IDENTITY_AUDIENCE in the workspace",
        written: "Authentication=EntradaFederated;Entrada Federated Token=terraform",
    },
];

const TOOLS: [(Tool, &str); 3] = [
    (Tool::Az, "Authentication=EntradaAzureCli"),
    (Tool::PowerShell, "Authentication=EntradaAzurePowerShell"),
    (Tool::Azd, "Authentication=EntradaAzureDeveloperCli"),
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Environment;
    use super::super::testing::{Answer, ScriptedHttp};
    use super::*;

    async fn survey(env: &[(&str, &str)], script: Vec<Answer>) -> Survey {
        let mut sources = Sources::new(Environment::from_pairs(env.iter().copied()));
        sources.local = Arc::new(ScriptedHttp::new(script));
        sources.survey().await
    }

    fn offer<'a>(survey: &'a Survey, source: &str) -> &'a Offer {
        survey
            .offers
            .iter()
            .find(|offer| offer.source == source)
            .unwrap()
    }

    #[tokio::test]
    async fn a_bare_machine_lacks_everything_and_is_told_what() {
        let survey = survey(&[], vec![Answer::TimedOut]).await;
        assert_eq!(survey.offers.len(), 10);
        for offer in &survey.offers {
            assert_eq!(offer.state, State::Missing, "{offer:?}");
            assert!(
                !offer.missing.is_empty() && offer.written.starts_with("Authentication="),
                "{offer:?}"
            );
        }
        let (order, left_out) = survey.chain.unwrap();
        assert_eq!(
            order[..3],
            ["environment", "workload identity", "managed identity"]
        );
        assert!(left_out.is_empty());
    }

    #[tokio::test]
    async fn what_is_there_is_told_by_its_sign_and_without_secrets() {
        let env = [
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_CLIENT_SECRET", "MARKER"),
            ("IDENTITY_ENDPOINT", "http://h/"),
            ("IDENTITY_HEADER", "MARKER"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://h/?MARKER"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "MARKER"),
            ("SYSTEM_OIDCREQUESTURI", "https://h/"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/no/such/file"),
            ("AZURE_TOKEN_CREDENTIALS", "prod"),
        ];
        let survey = survey(&env, Vec::new()).await;
        for (source, state, word) in [
            (
                "service principal (environment)",
                State::Available,
                "AZURE_CLIENT_SECRET",
            ),
            ("managed identity", State::Available, "IDENTITY_ENDPOINT"),
            (
                "GitHub Actions",
                State::Available,
                "ACTIONS_ID_TOKEN_REQUEST_URL",
            ),
            ("Azure Pipelines", State::Missing, "service connection"),
            ("workload identity", State::Missing, "is not there"),
        ] {
            let offer = offer(&survey, source);
            assert_eq!(offer.state, state, "{offer:?}");
            assert!(
                format!("{} {}", offer.sign, offer.missing).contains(word),
                "{offer:?}"
            );
        }
        assert!(!format!("{survey:?}").contains("MARKER"));
        assert_eq!(survey.chain.unwrap().0.len(), 3);
    }

    #[tokio::test]
    async fn a_virtual_machine_is_found_by_one_question() {
        let survey = survey(&[], vec![Answer::json(400, "no header")]).await;
        assert_eq!(offer(&survey, "managed identity").state, State::Maybe);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn tools_are_looked_for_and_not_run() {
        let folder = super::super::testing::TempPath::new();
        folder.put("az", "touch \"$0.ran\"");
        let mut sources = Sources::new(folder.environment());
        sources.local = Arc::new(ScriptedHttp::new([Answer::TimedOut]));
        let survey = sources.survey().await;
        let az = offer(&survey, "Azure CLI");
        assert!(
            az.state == State::Maybe && az.sign.contains("/az is there"),
            "{az:?}"
        );
        assert!(!folder.path().join("az.ran").exists());
    }
}
