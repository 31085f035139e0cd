//! The grammar of references, and which hosts may be asked for a secret.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::conn_string::is_reference;
use crate::target::Cloud;

/// The longest reference that is read, in bytes.
const MAX_LEN: usize = 2048;
const HTTPS: u16 = 443;
/// Suffixes of vaults by cloud, and the resource that tokens for them name: without a slash at its
/// end, other than Azure SQL's.
const VAULTS: &[(Cloud, &str, &str)] = &[
    (Cloud::Public, ".vault.azure.net", "https://vault.azure.net"),
    (
        Cloud::UsGovernment,
        ".vault.usgovcloudapi.net",
        "https://vault.usgovcloudapi.net",
    ),
    (Cloud::China, ".vault.azure.cn", "https://vault.azure.cn"),
    (
        Cloud::Germany,
        ".vault.microsoftazure.de",
        "https://vault.microsoftazure.de",
    ),
];

/// A Key Vault reference, as App Service writes them.
///
/// ```
/// use entrada::key_vault::Reference;
/// use entrada::target::Cloud;
///
/// let reference: Reference = "@Microsoft.KeyVault(VaultName=kv1;SecretName=db)".parse()?;
/// assert_eq!(reference.vault_host(Cloud::Public), "kv1.vault.azure.net");
/// assert_eq!((reference.secret_name(), reference.version()), ("db", None));
/// # Ok::<(), entrada::key_vault::ReferenceError>(())
/// ```
///
/// The forms are `@Microsoft.KeyVault(SecretUri=https://VAULT/secrets/NAME/VERSION)` and
/// `@Microsoft.KeyVault(VaultName=…;SecretName=…;SecretVersion=…)`, the version being optional in
/// both. Prefix and keys are read without case, blanks around keys and values do not count, keys
/// may come in any order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    vault: Vault,
    secret: String,
    version: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Vault {
    Host { host: String, port: u16 },
    Name(String),
}

impl Reference {
    /// Whether a text is a reference, or was meant to be one.
    #[must_use]
    pub fn is_reference(text: &str) -> bool {
        is_reference(text)
    }

    /// The vault's host. A vault that is only named takes the suffix of `cloud`.
    #[must_use]
    pub fn vault_host(&self, cloud: Cloud) -> String {
        match &self.vault {
            Vault::Host { host, .. } => host.clone(),
            Vault::Name(name) => format!("{}{}", name.to_ascii_lowercase(), suffix(cloud)),
        }
    }

    /// The secret's name.
    #[must_use]
    pub fn secret_name(&self) -> &str {
        &self.secret
    }

    /// The secret's version; `None` is the newest one.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Where to ask, if a token may be sent there.
    pub(super) fn address(
        &self,
        cloud: Cloud,
        allowed: &[String],
    ) -> Result<Address, ReferenceError> {
        let host = self.vault_host(cloud);
        let port = match &self.vault {
            Vault::Host { port, .. } => *port,
            Vault::Name(_) => HTTPS,
        };
        let authority = format!("{host}:{port}");
        let is_allowed = allowed.iter().any(|permitted| {
            permitted.eq_ignore_ascii_case(&authority)
                || (port == HTTPS && permitted.eq_ignore_ascii_case(&host))
        });
        let known = VAULTS.iter().find(|(_, suffix, _)| {
            let vault = host.strip_suffix(suffix);
            vault.is_some_and(|vault| check("VaultName", vault, VAULT_NAME).is_ok())
        });
        if !is_allowed && host.contains(".managedhsm.") {
            return Err(ReferenceError::ManagedHsm { host });
        }
        let resource = match known {
            Some(_) if port != HTTPS && !is_allowed => {
                return Err(ReferenceError::ForeignPort { host, port });
            }
            Some((.., resource)) => Some(*resource),
            None if is_allowed => None,
            None => return Err(ReferenceError::ForeignHost { host }),
        };
        Ok(Address {
            host,
            port,
            secret: self.secret.clone(),
            version: self.version.clone(),
            resource,
        })
    }

    fn of_uri(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |problem| ReferenceError::SecretUri { problem };
        let url = Url::parse(text).map_err(|_| wrong("it is no URL"))?;
        if url.scheme() != "https" {
            return Err(wrong("it must begin with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it must hold neither user nor password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it must have neither '?' nor '#'"));
        }
        let host = url.host_str().ok_or_else(|| wrong("it names no host"))?;
        const SHAPE: &str = "it must read https://VAULT/secrets/NAME or …/NAME/VERSION";
        let path = url.path().strip_prefix("/secrets/");
        let path = path.ok_or_else(|| wrong(SHAPE))?;
        let (secret, version) = match path.split_once('/') {
            Some((secret, version)) => (secret, version.strip_suffix('/').unwrap_or(version)),
            None => (path, ""),
        };
        Ok(Self {
            vault: Vault::Host {
                host: host.to_ascii_lowercase(),
                port: url.port_or_known_default().unwrap_or(HTTPS),
            },
            secret: check("the secret's name", secret, SECRET_NAME)?,
            version: match version {
                "" => None,
                version => Some(check("the secret's version", version, VERSION)?),
            },
        })
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() > MAX_LEN {
            return Err(ReferenceError::TooLong);
        }
        if !is_reference(text) {
            return Err(ReferenceError::NoReference);
        }
        let body = text.split_once('(').map_or("", |(_, body)| body);
        let body = body.trim_end().strip_suffix(')');
        let body = body.ok_or(ReferenceError::Unterminated)?;
        let mut parts = [None; KEYS.len()];
        for pair in body.split(';').filter(|pair| !pair.trim().is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(ReferenceError::UnknownKey)?;
            let known = KEYS
                .iter()
                .position(|known| known.eq_ignore_ascii_case(key.trim()));
            let at = known.ok_or(ReferenceError::UnknownKey)?;
            if parts[at].replace(value.trim()).is_some() {
                return Err(ReferenceError::Duplicate { key: KEYS[at] });
            }
        }
        let missing = |key| ReferenceError::Missing { key };
        match parts {
            [Some(uri), None, None, None] => Self::of_uri(uri),
            [Some(_), ..] => Err(ReferenceError::Mixed),
            [None, vault, secret, version] => Ok(Self {
                vault: Vault::Name(check(
                    KEYS[1],
                    vault.ok_or_else(|| missing(KEYS[1]))?,
                    VAULT_NAME,
                )?),
                secret: check(
                    KEYS[2],
                    secret.ok_or_else(|| missing(KEYS[2]))?,
                    SECRET_NAME,
                )?,
                version: version
                    .map(|version| check(KEYS[3], version, VERSION))
                    .transpose()?,
            }),
        }
    }
}

/// The reference in one spelling, whatever it was read from.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = &self.secret;
        f.write_str("@Microsoft.KeyVault(")?;
        match &self.vault {
            Vault::Host { host, port } => {
                write!(f, "SecretUri=https://{host}")?;
                if *port != HTTPS {
                    write!(f, ":{port}")?;
                }
                write!(f, "/secrets/{secret}")?;
                if let Some(version) = &self.version {
                    write!(f, "/{version}")?;
                }
            }
            Vault::Name(name) => {
                write!(f, "VaultName={name};SecretName={secret}")?;
                if let Some(version) = &self.version {
                    write!(f, ";SecretVersion={version}")?;
                }
            }
        }
        f.write_str(")")
    }
}

/// A secret in a vault that may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) secret: String,
    pub(super) version: Option<String>,
    /// What tokens for it name; `None` for a host that the caller has permitted.
    resource: Option<&'static str>,
}

impl Address {
    /// The resource that the vault's challenge announces, if a token for it may
    /// be sent to this host: a vault's, and this vault's own.
    pub(super) fn accept(&self, announced: &str) -> Option<&'static str> {
        let announced = announced.trim_end_matches('/');
        let (.., resource) = VAULTS
            .iter()
            .find(|(.., resource)| resource.eq_ignore_ascii_case(announced))?;
        (self.resource.is_none() || self.resource == Some(resource)).then_some(*resource)
    }

    /// Whether the secret can never change.
    pub(super) fn is_pinned(&self) -> bool {
        self.version.is_some()
    }

    /// What is asked. All parts have been checked, so that this is a URL.
    pub(super) fn url(&self, api_version: &str) -> Result<Url, url::ParseError> {
        let Self {
            host, port, secret, ..
        } = self;
        let version = self.version.as_ref();
        let version = version.map_or(String::new(), |version| format!("/{version}"));
        let mut url = Url::parse(&format!("https://{host}:{port}/secrets/{secret}{version}"))?;
        url.query_pairs_mut()
            .append_pair("api-version", api_version);
        Ok(url)
    }
}

const KEYS: [&str; 4] = ["SecretUri", "VaultName", "SecretName", "SecretVersion"];

/// What a name may look like: how many characters, and in words.
type Shape = (std::ops::RangeInclusive<usize>, &'static str);

const VAULT_NAME: Shape = (3..=24, "3 to 24 letters, digits and hyphens");
const SECRET_NAME: Shape = (1..=127, "1 to 127 letters, digits and hyphens");
const VERSION: Shape = (32..=32, "32 letters and digits");

fn check(key: &'static str, text: &str, shape: Shape) -> Result<String, ReferenceError> {
    let (length, expected) = shape;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if length.contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(ReferenceError::InvalidName { key, expected })
    }
}

fn suffix(cloud: Cloud) -> &'static str {
    let known = VAULTS.iter().find(|(of, ..)| *of == cloud);
    known.map_or(VAULTS[0].1, |(_, suffix, _)| suffix)
}

/// What is wrong with a reference. Only hosts are repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// A key comes twice.
    #[error("{key} is given twice; leave one")]
    Duplicate {
        /// The key.
        key: &'static str,
    },
    /// The host is no vault of a known cloud.
    #[error(
        "`{host}` is no vault of a known cloud, so no token is sent there; if it is yours, permit it by allow_vault"
    )]
    ForeignHost {
        /// The host.
        host: String,
    },
    /// A vault at another port than 443.
    #[error("`{host}` is asked at port 443, not {port}; leave the port out")]
    ForeignPort {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// A name has a wrong length or characters that it cannot have.
    #[error("{key} is not valid; it takes {expected}")]
    InvalidName {
        /// What it is the name of.
        key: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A Managed HSM, which has no secrets.
    #[error("`{host}` is a Managed HSM, which keeps keys and no secrets; use a vault")]
    ManagedHsm {
        /// The host.
        host: String,
    },
    /// A key is missing.
    #[error("{key} is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// Both forms in one.
    #[error("SecretUri stands alone; leave VaultName, SecretName and SecretVersion out")]
    Mixed,
    /// The text is something else.
    #[error("it does not start with '@Microsoft.KeyVault('")]
    NoReference,
    /// The URL of the secret cannot be used.
    #[error("SecretUri cannot be used: {problem}")]
    SecretUri {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It is longer than any reference.
    #[error("it is longer than {MAX_LEN} bytes")]
    TooLong,
    /// A key that means nothing.
    #[error(
        "it takes SecretUri=…, or VaultName=…;SecretName=… and SecretVersion=…, and nothing else"
    )]
    UnknownKey,
    /// The closing parenthesis is missing.
    #[error("it does not end with ')'")]
    Unterminated,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VERSION: &str = "0123456789abcdef0123456789abcdef";

    fn parse(body: &str) -> Result<Reference, ReferenceError> {
        format!("@Microsoft.KeyVault({body})").parse()
    }

    fn address(uri: &str) -> Result<Address, ReferenceError> {
        parse(&format!("SecretUri={uri}"))?.address(Cloud::Public, &[])
    }

    #[test]
    fn both_forms_are_read_with_and_without_version() {
        for (body, version) in [
            ("SecretUri=https://kv1.vault.azure.net/secrets/db", None),
            ("SecretUri=https://kv1.vault.azure.net/secrets/db/", None),
            (
                " secreturi = HTTPS://KV1.vault.azure.net:443/secrets/db ; ",
                None,
            ),
            ("VaultName=kv1;SecretName=db", None),
            (" SECRETNAME = db ;vaultname=kv1; ", None),
            ("SecretVersion=$;VaultName=kv1;SecretName=db", Some(VERSION)),
            (
                "SecretUri=https://kv1.vault.azure.net/secrets/db/$",
                Some(VERSION),
            ),
            (
                "SecretUri=https://kv1.vault.azure.net/secrets/db/$/",
                Some(VERSION),
            ),
        ] {
            let reference = parse(&body.replace("$", VERSION)).unwrap();
            assert_eq!(reference.vault_host(Cloud::Public), "kv1.vault.azure.net");
            assert_eq!(
                (reference.secret_name(), reference.version()),
                ("db", version),
                "{body}"
            );
            assert_eq!(
                reference.to_string().parse::<Reference>().unwrap(),
                reference
            );
        }
        let lower: Reference = "  @MICROSOFT.keyvault(VaultName=kv1;SecretName=db)  "
            .parse()
            .unwrap();
        assert_eq!(lower.vault_host(Cloud::China), "kv1.vault.azure.cn");
    }

    #[test]
    fn what_is_wrong_is_named() {
        use ReferenceError as E;
        let long = "x".repeat(128);
        for (body, expected) in [
            ("", E::Missing { key: "VaultName" }),
            ("VaultName=kv1", E::Missing { key: "SecretName" }),
            ("SecretName=db", E::Missing { key: "VaultName" }),
            ("VaultName=kv1;SecretName=db;x=1", E::UnknownKey),
            ("VaultName", E::UnknownKey),
            (
                "VaultName=kv1;vaultname=kv1;SecretName=db",
                E::Duplicate { key: "VaultName" },
            ),
            (
                "SecretUri=https://kv1.vault.azure.net/secrets/db;SecretName=db",
                E::Mixed,
            ),
        ] {
            assert_eq!(parse(body).unwrap_err(), expected, "{body}");
        }
        for body in [
            "VaultName=ab;SecretName=db",
            "VaultName=abcdefghijklmnopqrstuvwxy;SecretName=db",
            "VaultName=a.evil.example;SecretName=db",
            "VaultName=kv1;SecretName=",
            "VaultName=kv1;SecretName=d_b",
            &format!("VaultName=kv1;SecretName={long}"),
            "VaultName=kv1;SecretName=db;SecretVersion=",
            "VaultName=kv1;SecretName=db;SecretVersion=1",
            "SecretUri=https://kv1.vault.azure.net/secrets/d%62",
            "SecretUri=https://kv1.vault.azure.net/secrets/db/short",
            "SecretUri=https://kv1.vault.azure.net/secrets/",
        ] {
            let error = parse(body).unwrap_err();
            assert!(matches!(error, E::InvalidName { .. }), "{body}: {error}");
        }
        for body in [
            "SecretUri=http://kv1.vault.azure.net/secrets/db",
            "SecretUri=https://me:MARKER@kv1.vault.azure.net/secrets/db",
            "SecretUri=https://kv1.vault.azure.net/secrets/db?x=1",
            "SecretUri=https://kv1.vault.azure.net/secrets/db#x",
            "SecretUri=https://kv1.vault.azure.net/keys/db",
            "SecretUri=kv1.vault.azure.net/secrets/db",
            "SecretUri=",
        ] {
            let error = parse(body).unwrap_err();
            assert!(matches!(error, E::SecretUri { .. }), "{body}: {error}");
            assert!(!error.to_string().contains("MARKER"));
        }
        assert_eq!(
            "@Microsoft.KeyVault(VaultName=kv1".parse::<Reference>(),
            Err(E::Unterminated)
        );
        assert_eq!("MARKER".parse::<Reference>(), Err(E::NoReference));
    }

    #[test]
    fn only_vaults_of_known_clouds_are_asked() {
        for host in [
            "kv1.vault.azure.net",
            "kv1.vault.azure.cn",
            "kv1.vault.usgovcloudapi.net",
        ] {
            let found = address(&format!("https://{host}/secrets/db")).unwrap();
            assert_eq!((found.host.as_str(), found.port), (host, 443));
        }
        for host in [
            "evil.example",
            "vault.azure.net",
            "evilvault.azure.net",
            "kv1.vault.azure.net.evil.example",
            "a.b.vault.azure.net",
            "kv1.vault.azure.net.",
            "127.0.0.1",
            "[::1]",
        ] {
            let error = address(&format!("https://{host}/secrets/db")).unwrap_err();
            assert!(
                matches!(error, ReferenceError::ForeignHost { .. }),
                "{host}: {error}"
            );
        }
        let hsm = address("https://h.managedhsm.azure.net/secrets/db").unwrap_err();
        assert!(matches!(hsm, ReferenceError::ManagedHsm { .. }), "{hsm}");
        let port = address("https://kv1.vault.azure.net:8443/secrets/db").unwrap_err();
        assert!(matches!(port, ReferenceError::ForeignPort { .. }), "{port}");
    }

    #[test]
    fn a_host_may_be_permitted() {
        let ask = |uri: &str, allowed: &str| {
            let reference = parse(&format!("SecretUri={uri}")).unwrap();
            reference
                .address(Cloud::Public, &[allowed.to_owned()])
                .is_ok()
        };
        assert!(ask("https://kv.corp.example/secrets/db", "KV.corp.example"));
        assert!(ask(
            "https://kv.corp.example:8443/secrets/db",
            "kv.corp.example:8443"
        ));
        assert!(!ask(
            "https://kv.corp.example:8443/secrets/db",
            "kv.corp.example"
        ));
        assert!(!ask(
            "https://x.kv.corp.example/secrets/db",
            "kv.corp.example"
        ));
    }

    #[test]
    fn a_challenge_is_accepted_for_the_vaults_own_resource() {
        let own = address("https://kv1.vault.azure.net/secrets/db").unwrap();
        assert_eq!(
            own.accept("https://vault.azure.net/"),
            Some("https://vault.azure.net")
        );
        for other in [
            "https://vault.azure.cn",
            "https://azure.net",
            "https://evil.example",
            "",
        ] {
            assert_eq!(own.accept(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(
            body in "(SecretUri|VaultName|SecretName|https://|[=;:/@%.é() a-z0-9-]){0,20}",
            tail in "\\)?\\PC{0,3}",
        ) {
            let text = format!("@Microsoft.KeyVault({body}{tail}");
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
                if let Ok(address) = reference.address(Cloud::Public, &[]) {
                    let url = address.url("7.4").unwrap();
                    prop_assert_eq!(url.host_str(), Some(address.host.as_str()));
                }
            }
        }

        #[test]
        fn any_text_is_refused_or_read(text in "\\PC{0,60}") {
            let _ = text.parse::<Reference>();
        }
    }
}
