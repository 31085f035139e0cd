//! Where Entra is: hosts that may be sent a credential, and tenants.

use url::{Host, Url};

use super::super::Sources;
use super::super::error::FetchError;
use crate::target::Cloud;

/// The token endpoint of a tenant.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    pub(super) token_endpoint: Url,
    /// What assertions of other issuers must be for.
    pub(super) audience: &'static str,
    pub(super) tenant: String,
}

impl Authority {
    /// The endpoint of `tenant` at the authority that the environment names,
    /// else at the cloud's; `tenant` falls back to `AZURE_TENANT_ID`.
    ///
    /// A host that is neither one of Microsoft's nor permitted is an error, as
    /// is anything but https.
    pub(super) fn new(
        sources: &Sources,
        cloud: Cloud,
        tenant: Option<&str>,
    ) -> Result<Self, FetchError> {
        let env = sources.environment();
        let tenant = match tenant.filter(|tenant| !tenant.is_empty()) {
            Some(tenant) => tenant.to_owned(),
            None => env.var(TENANT_ID).ok_or(FetchError::MissingTenant)?,
        };
        check_tenant(&tenant)?;
        let base = match env.var(AUTHORITY_HOST) {
            Some(text) => from_variable(&text)?,
            None => Url::parse(cloud.authority_host())
                .map_err(|_| invalid("the cloud's authority cannot be parsed"))?,
        };
        let known = trusted(sources, &base)?;
        if env.has(REGION) {
            tracing::debug!(
                "{REGION} is ignored: regional endpoints serve Microsoft's own applications only"
            );
        }
        let mut token_endpoint = base;
        token_endpoint.set_path(&format!("/{tenant}/oauth2/v2.0/token"));
        Ok(Self {
            token_endpoint,
            audience: audience(known.unwrap_or(cloud)),
            tenant,
        })
    }

    /// The host, and the port if it is unusual.
    pub(super) fn name(&self) -> String {
        let host = self.token_endpoint.host_str().unwrap_or_default();
        match self.token_endpoint.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

/// The tenant that a server names by the URL of its token service: the first
/// segment of the path, since some servers add more.
pub(crate) fn told_tenant(sources: &Sources, url: &str) -> Result<String, FetchError> {
    let unusable = |problem| FetchError::TokenService { problem };
    let url = Url::parse(url.trim()).map_err(|_| unusable("it is no URL"))?;
    if url.scheme() != "https" {
        return Err(unusable("it does not begin with https://"));
    }
    trusted(sources, &url)?;
    let mut segments = url.path_segments().into_iter().flatten();
    let tenant = segments.next().filter(|tenant| !tenant.is_empty());
    let tenant = tenant.ok_or_else(|| unusable("it names no tenant"))?;
    check_tenant(tenant)?;
    Ok(tenant.to_owned())
}

/// Whose authority it is, if it is one of Microsoft's; an error if it is not and
/// nobody permitted it.
fn trusted(sources: &Sources, url: &Url) -> Result<Option<Cloud>, FetchError> {
    let host = url.host_str().unwrap_or_default();
    let named = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let known = known(host).filter(|_| url.port().is_none());
    let mut permitted = sources.authorities.iter();
    if known.is_none() && !permitted.any(|permitted| permitted.eq_ignore_ascii_case(&named)) {
        return Err(FetchError::UntrustedAuthority { host: named });
    }
    Ok(known)
}

/// Reads `AZURE_AUTHORITY_HOST`: a host or an https URL of one, where the AKS
/// webhook puts a slash at the end.
fn from_variable(text: &str) -> Result<Url, FetchError> {
    let text = text.trim();
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("https://{text}"))
    };
    let url = url.map_err(|_| invalid("it cannot be parsed"))?;
    if url.scheme() != "https" {
        return Err(invalid(
            "it must begin with https://, for a credential is sent there",
        ));
    }
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !bare || !matches!(url.path(), "" | "/") {
        return Err(invalid(
            "it must be a host and nothing more; the tenant is told by AZURE_TENANT_ID",
        ));
    }
    match url.host() {
        Some(Host::Domain(name)) if name.ends_with('.') => {
            Err(invalid("its host must not end with a dot"))
        }
        _ => Ok(url),
    }
}

/// A GUID or a domain name. The tenant is part of a path, so that nothing else
/// may be in it, and applications have no token in a tenant that stands for any.
fn check_tenant(tenant: &str) -> Result<(), FetchError> {
    let invalid = |problem| {
        let tenant = super::super::reply::tidy(tenant);
        Err(FetchError::InvalidTenant { tenant, problem })
    };
    let any = ["common", "organizations", "consumers"];
    if any.iter().any(|any| any.eq_ignore_ascii_case(tenant)) {
        return invalid("it stands for any tenant, but an application logs in at one");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let edge = |c: char| !c.is_ascii_alphanumeric();
    if tenant.len() > 253
        || !tenant.chars().all(allowed)
        || tenant.starts_with(edge)
        || tenant.ends_with(edge)
        || tenant.contains("..")
    {
        return invalid("a tenant is a GUID or a domain name such as contoso.onmicrosoft.com");
    }
    Ok(())
}

/// Whose authority a host is, if it is one of Microsoft's.
fn known(host: &str) -> Option<Cloud> {
    let mut hosts = HOSTS.iter();
    let (_, cloud) = hosts.find(|(name, _)| name.eq_ignore_ascii_case(host))?;
    Some(*cloud)
}

/// What the federated credentials of a cloud expect as `aud`.
fn audience(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::China => "api://AzureADTokenExchangeChina",
        Cloud::UsGovernment => "api://AzureADTokenExchangeUSGov",
        _ => "api://AzureADTokenExchange",
    }
}

fn invalid(problem: &'static str) -> FetchError {
    FetchError::InvalidEndpoint {
        variable: AUTHORITY_HOST,
        problem,
    }
}

/// Every host of Entra, as MSAL lists them. The new sovereign clouds count as
/// public for lack of anything known about them.
const HOSTS: &[(&str, Cloud)] = &[
    ("login.microsoftonline.com", Cloud::Public),
    ("login.windows.net", Cloud::Public),
    ("login.microsoft.com", Cloud::Public),
    ("sts.windows.net", Cloud::Public),
    ("login.microsoftonline.us", Cloud::UsGovernment),
    ("login.usgovcloudapi.net", Cloud::UsGovernment),
    ("login.partner.microsoftonline.cn", Cloud::China),
    ("login.chinacloudapi.cn", Cloud::China),
    ("login.microsoftonline.de", Cloud::Germany),
    ("login.sovcloud-identity.fr", Cloud::Public),
    ("login.sovcloud-identity.de", Cloud::Public),
    ("login.sovcloud-identity.sg", Cloud::Public),
];

/// Moves Entra elsewhere, as the Azure SDKs allow.
const AUTHORITY_HOST: &str = "AZURE_AUTHORITY_HOST";

/// Asks the Azure SDKs for a regional endpoint.
const REGION: &str = "AZURE_REGIONAL_AUTHORITY_NAME";

/// The tenant of an application that names none.
const TENANT_ID: &str = "AZURE_TENANT_ID";

#[cfg(test)]
mod tests {
    use super::super::super::Environment;
    use super::*;

    const TENANT: &str = "11111111-2222-3333-4444-555555555555";

    fn at(variable: &str) -> Result<Authority, FetchError> {
        let env = Environment::from_pairs([(AUTHORITY_HOST, variable)]);
        let sources = Sources::new(env).allow_authority("localhost:8443");
        Authority::new(&sources, Cloud::Public, Some(TENANT))
    }

    #[test]
    fn every_cloud_has_its_authority_and_audience() {
        let sources = Sources::new(Environment::from_pairs::<String, String>([]));
        for (cloud, host, audience) in [
            (
                Cloud::Public,
                "login.microsoftonline.com",
                "api://AzureADTokenExchange",
            ),
            (
                Cloud::UsGovernment,
                "login.microsoftonline.us",
                "api://AzureADTokenExchangeUSGov",
            ),
            (
                Cloud::China,
                "login.partner.microsoftonline.cn",
                "api://AzureADTokenExchangeChina",
            ),
            (
                Cloud::Germany,
                "login.microsoftonline.de",
                "api://AzureADTokenExchange",
            ),
        ] {
            let authority = Authority::new(&sources, cloud, Some("contoso.com")).unwrap();
            assert_eq!(
                authority.token_endpoint.as_str(),
                format!("https://{host}/contoso.com/oauth2/v2.0/token")
            );
            assert_eq!(
                (authority.audience, authority.name()),
                (audience, host.to_owned())
            );
        }
    }

    #[test]
    fn the_variable_is_a_host_with_or_without_scheme_and_slash() {
        for good in [
            "https://login.microsoftonline.us/",
            "https://LOGIN.microsoftonline.us",
            "login.microsoftonline.us",
            "https://login.microsoftonline.us:443/",
        ] {
            let authority = at(good).unwrap();
            assert_eq!(
                authority.token_endpoint.as_str(),
                format!("https://login.microsoftonline.us/{TENANT}/oauth2/v2.0/token")
            );
            assert_eq!(authority.audience, "api://AzureADTokenExchangeUSGov");
        }
    }

    #[test]
    fn a_server_names_its_tenant_by_the_first_segment() {
        let env = Environment::from_pairs::<String, String>([]);
        let sources = Sources::new(env).allow_authority("localhost:8443");
        for (url, tenant) in [
            (
                format!("https://login.microsoftonline.com/{TENANT}"),
                TENANT,
            ),
            (
                format!("https://login.windows.net/{TENANT}/oauth2/authorize"),
                TENANT,
            ),
            (format!("https://localhost:8443/{TENANT}/"), TENANT),
            (
                "https://login.microsoftonline.us/contoso.com".to_owned(),
                "contoso.com",
            ),
        ] {
            assert_eq!(told_tenant(&sources, &url).unwrap(), tenant, "{url}");
        }
        for url in [
            "",
            "login.microsoftonline.com/contoso.com",
            "http://login.microsoftonline.com/contoso.com",
            "https://login.microsoftonline.com/",
            "https://login.microsoftonline.com/common",
            "https://login.microsoftonline.com/..%2f..",
            "https://login.microsoftonline.com:8443/contoso.com",
            "https://login.microsoftonline.com.evil.example/contoso.com",
            "https://evil.example/contoso.com",
        ] {
            assert!(told_tenant(&sources, url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_is_no_https_host_is_refused() {
        for bad in [
            "http://login.microsoftonline.com",
            "https://login.microsoftonline.com/tenant",
            "https://login.microsoftonline.com?x=1",
            "https://user:pw@login.microsoftonline.com",
            "https://login.microsoftonline.com.",
            "https://",
            "ftp://login.microsoftonline.com",
            "a b",
        ] {
            let error = at(bad).unwrap_err();
            assert!(
                matches!(error, FetchError::InvalidEndpoint { .. }),
                "{bad}: {error:?}"
            );
            assert!(error.to_string().contains(AUTHORITY_HOST));
        }
    }

    #[test]
    fn a_host_that_nobody_permitted_is_refused() {
        for bad in [
            "https://login.microsoftonline.com.evil.example",
            "https://evil.example",
            "https://login.microsoftonline.com:8443",
            "https://localhost",
            "https://localhost:8444",
            "https://127.0.0.1:8443",
        ] {
            let error = at(bad).unwrap_err();
            assert!(
                matches!(error, FetchError::UntrustedAuthority { .. }),
                "{bad}: {error:?}"
            );
            assert!(error.to_string().contains("allow_authority"), "{error}");
        }
        assert_eq!(
            at("https://LOCALHOST:8443/").unwrap().name(),
            "localhost:8443"
        );
    }

    #[test]
    fn tenants_are_guids_or_domains() {
        let with = |tenant: &str| {
            let sources = Sources::new(Environment::from_pairs::<String, String>([]));
            Authority::new(&sources, Cloud::Public, Some(tenant))
        };
        for good in [TENANT, "contoso.onmicrosoft.com", "a-b.example"] {
            assert_eq!(with(good).unwrap().tenant, good);
        }
        let long = "a".repeat(254);
        for bad in [
            "common",
            "Organizations",
            "consumers",
            "a/b",
            "a?b",
            "..",
            "a..b",
            ".a",
            "a-",
            "ü.example",
            "a b",
            &long,
        ] {
            let error = with(bad).unwrap_err();
            assert!(
                matches!(error, FetchError::InvalidTenant { .. }),
                "{bad}: {error:?}"
            );
        }
    }

    #[test]
    fn the_tenant_may_come_from_the_environment() {
        let sources = Sources::new(Environment::from_pairs([(TENANT_ID, TENANT)]));
        for none in [None, Some("")] {
            let authority = Authority::new(&sources, Cloud::Public, none).unwrap();
            assert_eq!(authority.tenant, TENANT);
        }
        let sources = Sources::new(Environment::from_pairs::<String, String>([]));
        let error = Authority::new(&sources, Cloud::Public, None).unwrap_err();
        assert!(matches!(error, FetchError::MissingTenant), "{error:?}");
    }
}
