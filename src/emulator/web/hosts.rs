//! The names of Azure's and others' hosts that the emulator plays.

/// Entra's login hosts of all clouds, aliases included.
const LOGIN: [&str; 12] = [
    "login.microsoftonline.com",
    "login.windows.net",
    "login.microsoft.com",
    "sts.windows.net",
    "login.microsoftonline.us",
    "login.usgovcloudapi.net",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "login.microsoftonline.de",
    "login.sovcloud-identity.fr",
    "login.sovcloud-identity.de",
    "login.sovcloud-identity.sg",
];

/// What Key Vault's host names end with, in all clouds.
const VAULTS: [&str; 4] = [
    ".vault.azure.net",
    ".vault.usgovcloudapi.net",
    ".vault.azure.cn",
    ".vault.microsoftazure.de",
];

/// Those who issue tokens that Entra can be told to trust, and their pipelines' hosts.
const ISSUERS: [&str; 7] = [
    "token.actions.githubusercontent.com",
    "pipelines.actions.githubusercontent.com",
    "gitlab.com",
    "dev.azure.com",
    "vstoken.dev.azure.com",
    "app.terraform.io",
    CLUSTER,
];

/// Where an AKS cluster publishes the keys of its service account tokens.
pub(in crate::emulator) const CLUSTER: &str = "westeurope.oic.prod-aks.azure.com";

/// The TLS name of an AKS cluster's token proxy.
pub(in crate::emulator) const TOKEN_PROXY: &str = "entrada.ests.aks";

/// Whom a request is for, by the host that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Played<'a> {
    /// Entra, or an identity endpoint: whatever has no name of its own.
    Entra,
    /// One who issues tokens for pipelines and pods.
    Issuer(&'a str),
    /// The vault of that name.
    Vault(&'a str),
}

/// Whom this host (without a port) is.
pub(super) fn played(host: &str) -> Played<'_> {
    if let Some(issuer) = ISSUERS.iter().find(|name| name.eq_ignore_ascii_case(host)) {
        return Played::Issuer(issuer);
    }
    vault_of(host).map_or(Played::Entra, Played::Vault)
}

/// Whether the emulator plays the host under its own name.
pub(in crate::emulator) fn is_played(host: &str) -> bool {
    let login = LOGIN.iter().any(|name| name.eq_ignore_ascii_case(host));
    login || played(host) != Played::Entra
}

/// The names for the certificate.
pub(in crate::emulator) fn certificate_names() -> Vec<String> {
    let vaults = VAULTS.iter().map(|suffix| format!("*{suffix}"));
    let hosts = LOGIN.iter().chain(&ISSUERS).chain([&TOKEN_PROXY]);
    hosts.map(|name| (*name).to_owned()).chain(vaults).collect()
}

/// The cloud's DNS suffix of vaults that this host has, with the dot.
pub(in crate::emulator) fn vault_suffix(host: &str) -> Option<&'static str> {
    let host = host.to_ascii_lowercase();
    VAULTS.into_iter().find(|suffix| host.ends_with(suffix))
}

fn vault_of(host: &str) -> Option<&str> {
    let suffix = vault_suffix(host)?;
    let name = host.get(..host.len() - suffix.len())?;
    (!name.is_empty() && !name.contains('.')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart_without_regard_to_case() {
        assert_eq!(played("Shop.Vault.Azure.NET"), Played::Vault("Shop"));
        assert_eq!(played("a.b.vault.azure.net"), Played::Entra);
        assert_eq!(played("GitLab.com"), Played::Issuer("gitlab.com"));
        assert_eq!(played("127.0.0.1"), Played::Entra);
        assert!(is_played("LOGIN.microsoftonline.us"));
        for other in [
            ".vault.azure.net",
            "vault.azure.net",
            "example.com",
            "",
            "ü.vault.azure.net.x",
        ] {
            assert!(!is_played(other), "{other}");
        }
    }
}
