//! Who belongs to the default chain.

use crate::token::Environment;
use crate::token::error::FetchError;

/// A source of the [default chain](crate::target::Auth::Default).
///
/// The order of the variants means nothing; the chain asks in the order of
/// [`ALL`](Self::ALL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChainMember {
    /// Whoever is signed in to the Azure CLI.
    AzureCli,
    /// Whoever is signed in to the Azure Developer CLI.
    AzureDeveloperCli,
    /// Whoever is signed in to Azure PowerShell.
    AzurePowerShell,
    /// The service principal that the `AZURE_CLIENT_*` variables describe.
    Environment,
    /// The identity of the machine or service.
    ManagedIdentity,
    /// The federated token of a Kubernetes workload.
    WorkloadIdentity,
}

impl ChainMember {
    /// Every member, in the order of Microsoft's chain.
    pub const ALL: [Self; 6] = [
        Self::Environment,
        Self::WorkloadIdentity,
        Self::ManagedIdentity,
        Self::AzureCli,
        Self::AzurePowerShell,
        Self::AzureDeveloperCli,
    ];

    /// The tools that developers sign in with.
    pub const DEVELOPER_TOOLS: [Self; 3] = [
        Self::AzureCli,
        Self::AzurePowerShell,
        Self::AzureDeveloperCli,
    ];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AzureCli => "Azure CLI",
            Self::AzureDeveloperCli => "Azure Developer CLI",
            Self::AzurePowerShell => "Azure PowerShell",
            Self::Environment => "environment",
            Self::ManagedIdentity => "managed identity",
            Self::WorkloadIdentity => "workload identity",
        }
    }

    /// What `AZURE_TOKEN_CREDENTIALS` calls it: the name of its class in
    /// Microsoft's libraries.
    fn credential(self) -> &'static str {
        match self {
            Self::AzureCli => "AzureCliCredential",
            Self::AzureDeveloperCli => "AzureDeveloperCliCredential",
            Self::AzurePowerShell => "AzurePowerShellCredential",
            Self::Environment => "EnvironmentCredential",
            Self::ManagedIdentity => "ManagedIdentityCredential",
            Self::WorkloadIdentity => "WorkloadIdentityCredential",
        }
    }

    fn is_developer_tool(self) -> bool {
        Self::DEVELOPER_TOOLS.contains(&self)
    }
}

/// Who is asked, and why not the others.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::token) struct Selection {
    pub(in crate::token) members: Vec<ChainMember>,
    /// One member is named alone: then it is no guess that it is there.
    pub(super) is_named: bool,
    /// Who is not, and by whose will: for people.
    pub(in crate::token) left_out: Vec<String>,
}

impl Selection {
    /// What `AZURE_TOKEN_CREDENTIALS` chooses, less those excluded.
    ///
    /// # Errors
    /// The variable has a value that means nothing here, or nobody is left.
    pub(in crate::token) fn of(
        env: &Environment,
        excluded: &[ChainMember],
    ) -> Result<Self, FetchError> {
        let value = env.var(VARIABLE).unwrap_or_default();
        let value = value.trim();
        let is = |name: &str| value.eq_ignore_ascii_case(name);
        let named = ChainMember::ALL
            .into_iter()
            .find(|member| is(member.credential()));
        if !(value.is_empty() || is("dev") || is("prod") || named.is_some()) {
            return Err(FetchError::UnknownValue {
                variable: VARIABLE,
                value: value.chars().filter(|c| !c.is_control()).take(40).collect(),
                valid: valid(),
            });
        }
        let chosen = |member: ChainMember| match named {
            Some(named) => named == member,
            None if is("dev") => member.is_developer_tool(),
            None if is("prod") => !member.is_developer_tool(),
            None => true,
        };
        let is_excluded = |member: ChainMember| excluded.contains(&member);
        let members = |wanted: &dyn Fn(ChainMember) -> bool| -> Vec<_> {
            ChainMember::ALL
                .into_iter()
                .filter(|member| wanted(*member))
                .collect()
        };
        let notes = [
            (
                members(&|m| !chosen(m)),
                format!("left out by {VARIABLE}={value}"),
            ),
            (
                members(&|m| chosen(m) && is_excluded(m)),
                "excluded by this program's settings".to_owned(),
            ),
        ];
        let left_out: Vec<_> = notes
            .into_iter()
            .filter(|(members, _)| !members.is_empty())
            .map(|(members, by)| format!("{by}: {}", names(&members)))
            .collect();
        let members = members(&|m| chosen(m) && !is_excluded(m));
        if members.is_empty() {
            return Err(FetchError::NobodyToAsk {
                left_out: left_out.join("; "),
            });
        }
        Ok(Self {
            members,
            is_named: named.is_some(),
            left_out,
        })
    }
}

/// `a, b, c`.
pub(super) fn names(members: &[ChainMember]) -> String {
    members
        .iter()
        .map(|member| member.name())
        .collect::<Vec<_>>()
        .join(", ")
}

fn valid() -> String {
    let credentials = ChainMember::ALL.map(ChainMember::credential);
    format!("dev, prod, {}", credentials.join(", "))
}

const VARIABLE: &str = "AZURE_TOKEN_CREDENTIALS";

#[cfg(test)]
mod tests {
    use super::ChainMember as M;
    use super::*;

    fn select(value: &str, excluded: &[M]) -> Result<Selection, FetchError> {
        Selection::of(&Environment::from_pairs([(VARIABLE, value)]), excluded)
    }

    #[test]
    fn the_variable_chooses_without_regard_to_case() {
        let all = M::ALL.to_vec();
        for (value, expected) in [
            ("", all.clone()),
            (" PROD ", all[..3].to_vec()),
            ("Dev", all[3..].to_vec()),
            ("azurecliCREDENTIAL", vec![M::AzureCli]),
            ("ManagedIdentityCredential", vec![M::ManagedIdentity]),
            ("WorkloadIdentityCredential", vec![M::WorkloadIdentity]),
            ("EnvironmentCredential", vec![M::Environment]),
            ("AzurePowerShellCredential", vec![M::AzurePowerShell]),
            ("AzureDeveloperCliCredential", vec![M::AzureDeveloperCli]),
        ] {
            let selected = select(value, &[]).unwrap();
            assert_eq!(selected.members, expected, "{value}");
            assert_eq!(selected.is_named, expected.len() == 1, "{value}");
        }
    }

    #[test]
    fn another_value_is_an_error_that_lists_those_there_are() {
        let error = select("InteractiveBrowserCredential\n", &[])
            .unwrap_err()
            .to_string();
        for part in [
            "AZURE_TOKEN_CREDENTIALS",
            "InteractiveBrowserCredential",
            "dev, prod",
            "AzureCliCredential",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(!error.contains('\n'));
    }

    #[test]
    fn those_excluded_are_named_and_somebody_must_be_left() {
        let selected = select("", &M::DEVELOPER_TOOLS).unwrap();
        assert_eq!(selected.members, M::ALL[..3]);
        assert_eq!(
            selected.left_out,
            [
                "excluded by this program's settings: Azure CLI, Azure PowerShell, Azure Developer CLI"
            ]
        );
        let selected = select("prod", &[M::Environment]).unwrap();
        assert_eq!(selected.left_out.len(), 2);
        let error = select("dev", &M::DEVELOPER_TOOLS).unwrap_err().to_string();
        assert!(
            error.contains("AZURE_TOKEN_CREDENTIALS=dev") && error.contains("excluded"),
            "{error}"
        );
    }
}
