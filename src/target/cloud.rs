//! The Azure clouds: which one a server belongs to, and what follows for tokens.

/// An Azure cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cloud {
    /// Azure operated by 21Vianet.
    China,
    /// The closed German cloud.
    Germany,
    /// Everything that is not recognised as one of the others.
    #[default]
    Public,
    /// Azure for the United States government.
    UsGovernment,
}

/// Server suffixes of the clouds that have a token resource of their own.
const SUFFIXES: &[(&str, Cloud)] = &[
    (".database.usgovcloudapi.net", Cloud::UsGovernment),
    (".sql.azuresynapse.usgovcloudapi.net", Cloud::UsGovernment),
    (".database.chinacloudapi.cn", Cloud::China),
    (".sql.azuresynapse.azure.cn", Cloud::China),
    (".database.cloudapi.de", Cloud::Germany),
];

/// Server suffixes of the public cloud.
const PUBLIC: &[&str] = &[
    ".database.windows.net",
    ".sql.azuresynapse.net",
    ".database.fabric.microsoft.com",
    ".datawarehouse.fabric.microsoft.com",
    ".datawarehouse.pbidedicated.microsoft.com",
    ".pbidedicated.microsoft.com",
    ".pbidedicated.windows.net",
];

impl Cloud {
    /// All clouds.
    pub const ALL: [Self; 4] = [Self::China, Self::Germany, Self::Public, Self::UsGovernment];

    /// The cloud of a server, by the suffix of its host name.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        let host = host.strip_suffix('.').unwrap_or(host);
        SUFFIXES
            .iter()
            .find(|(suffix, _)| ends_with(host, suffix))
            .map_or(Self::Public, |(_, cloud)| *cloud)
    }

    /// Whether the host belongs to Azure at all.
    #[must_use]
    pub fn is_azure_host(host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let mut suffixes = SUFFIXES
            .iter()
            .map(|(s, _)| *s)
            .chain(PUBLIC.iter().copied());
        suffixes.any(|suffix| ends_with(host, suffix))
    }

    /// The resource for which a database token is issued, with its trailing slash.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::China => "https://database.chinacloudapi.cn/",
            Self::Germany => "https://database.cloudapi.de/",
            Self::Public => "https://database.windows.net/",
            Self::UsGovernment => "https://database.usgovcloudapi.net/",
        }
    }

    /// The Entra authority of the cloud, without a trailing slash.
    #[must_use]
    pub fn authority_host(self) -> &'static str {
        match self {
            Self::China => "https://login.partner.microsoftonline.cn",
            Self::Germany => "https://login.microsoftonline.de",
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGovernment => "https://login.microsoftonline.us",
        }
    }

    /// The cloud's name in plain words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::China => "Azure China",
            Self::Germany => "Azure Germany",
            Self::Public => "Azure public cloud",
            Self::UsGovernment => "Azure US Government",
        }
    }
}

pub(super) fn ends_with(host: &str, suffix: &str) -> bool {
    let (host, suffix) = (host.as_bytes(), suffix.as_bytes());
    host.len() > suffix.len() && host[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffix_decides_without_case() {
        for (host, cloud) in [
            ("a.database.windows.net", Cloud::Public),
            ("a.Database.ChinaCloudApi.CN", Cloud::China),
            ("a.database.usgovcloudapi.net.", Cloud::UsGovernment),
            ("a.database.cloudapi.de", Cloud::Germany),
            ("localhost", Cloud::Public),
            ("database.chinacloudapi.cn", Cloud::Public),
        ] {
            assert_eq!(Cloud::of_host(host), cloud, "{host}");
        }
    }

    #[test]
    fn azure_hosts_are_told_from_others() {
        assert!(Cloud::is_azure_host("w-ondemand.sql.azuresynapse.net"));
        assert!(Cloud::is_azure_host("A.DATABASE.WINDOWS.NET"));
        assert!(!Cloud::is_azure_host("database.windows.net"));
        assert!(!Cloud::is_azure_host("ü.example"));
    }
}
