//! What a vault says to a request without a token: whose tokens it takes.

/// A vault's answer to a request without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// What tokens for the vault must name.
    pub(super) resource: String,
    /// The tenant that the vault belongs to.
    pub(super) tenant: Option<String>,
}

impl Challenge {
    /// Reads `Bearer authorization="https://login…/TENANT", resource="https://vault…"`, or with
    /// `scope="https://vault…/.default"` in place of `resource`.
    pub(super) fn read(header: &str) -> Option<Self> {
        let scheme = header.get(..BEARER.len())?;
        if header.len() > MAX_LEN || !scheme.eq_ignore_ascii_case(BEARER) {
            return None;
        }
        let (mut resource, mut scope, mut tenant) = (None, None, None);
        for (name, value) in Parameters(&header[BEARER.len()..]) {
            let slot = match name.to_ascii_lowercase().as_str() {
                "resource" => &mut resource,
                "scope" => &mut scope,
                "authorization" | "authorization_uri" => &mut tenant,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        let scope = scope.map(|scope| scope.strip_suffix("/.default").unwrap_or(scope));
        let tenant = tenant.and_then(|authority| authority.trim_end_matches('/').rsplit_once('/'));
        Some(Self {
            resource: resource.or(scope)?.to_owned(),
            tenant: tenant.map(|(_, tenant)| tenant.to_owned()),
        })
    }
}

const BEARER: &str = "Bearer ";
const MAX_LEN: usize = 4096;

/// `name="value"` or `name=value`, with commas or blanks in between (RFC 9110, 11.2).
struct Parameters<'a>(&'a str);

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_start_matches([',', ' ', '\t']);
        let (name, rest) = rest.split_once('=')?;
        let (value, rest) = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find([',', ' ']).unwrap_or(rest.len())),
        };
        self.0 = rest;
        Some((name.trim(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_and_scope_are_read() {
        let vault = "https://vault.azure.net";
        for header in [
            r#"Bearer authorization="https://login.microsoftonline.com/T", resource="https://vault.azure.net""#,
            r#"bearer resource="https://vault.azure.net",authorization_uri="https://login.microsoftonline.com/T/""#,
            r#"Bearer authorization="https://login.microsoftonline.com/T" scope="https://vault.azure.net/.default""#,
            "Bearer authorization=https://login.microsoftonline.com/T, scope=https://vault.azure.net/.default, x=1",
        ] {
            let challenge = Challenge::read(header).unwrap();
            assert_eq!(challenge.resource, vault, "{header}");
            assert_eq!(challenge.tenant.as_deref(), Some("T"), "{header}");
        }
    }

    #[test]
    fn what_is_no_challenge_is_none() {
        for header in [
            "",
            "Bearer",
            "Bearer ",
            "Basic realm=\"x\"",
            "Bearer resource",
            "Bearer resource=\"https://vault",
            "Bearer authorization=\"https://a/b\"",
            "Bearér x=1",
        ] {
            assert_eq!(Challenge::read(header), None, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(header in "(Bearer )?([a-z]+=|\"|,|resource=|\\PC){0,20}") {
            let _ = Challenge::read(&header);
        }
    }
}
