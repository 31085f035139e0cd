//! Whether a connection string that says something else leads elsewhere.

use super::{Auth, Target};
use crate::secret::Secret;

impl Target {
    /// Whether sessions of this one are not what `after` asks for: another
    /// server, identity, encryption or login.
    ///
    /// The database is left to the caller: for some it is what clients choose.
    /// Passwords and their kin prove who it is, and time-outs and pooling are for
    /// what comes.
    pub(crate) fn leads_elsewhere(&self, after: &Self) -> bool {
        self.server != after.server
            || self.cloud != after.cloud
            || self.tls != after.tls
            || self.login != after.login
            || without_proof(&self.auth) != without_proof(&after.auth)
    }
}

/// The identity without what proves it. A token that is given as text is the
/// identity itself.
fn without_proof(auth: &Auth) -> Auth {
    let mut auth = auth.clone();
    match &mut auth {
        Auth::ClientAssertion { assertion, .. } => *assertion = Secret::default(),
        Auth::ServicePrincipalSecret { secret, .. } => *secret = Secret::default(),
        Auth::SqlPassword { password, .. } => *password = Secret::default(),
        Auth::AzurePipelines { system_token, .. } => *system_token = None,
        Auth::ServicePrincipalCertificate { password, .. } => *password = None,
        _ => {}
    }
    auth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    const BEFORE: &str = "Server=a.example;Database=shop;User ID=app;Password=one";

    #[test]
    fn another_server_user_method_or_encryption_leads_elsewhere() {
        for after in [
            "Server=b.example;Database=shop;User ID=app;Password=one",
            "Server=a.example,1444;Database=shop;User ID=app;Password=one",
            "Server=a.example;Database=shop;User ID=other;Password=one",
            "Server=a.example;Database=shop;Authentication=ActiveDirectoryMSI",
            "Server=a.example;Database=shop;User ID=app;Password=one;Encrypt=strict",
            "Server=a.example;Database=shop;User ID=app;Password=one;TrustServerCertificate=true",
            "Server=a.example;Database=shop;User ID=app;Password=one;Application Name=till",
        ] {
            assert!(target(BEFORE).leads_elsewhere(&target(after)), "{after}");
        }
    }

    #[test]
    fn a_password_a_database_or_a_limit_does_not() {
        for after in [
            BEFORE,
            "Server=a.example;Database=shop;User ID=app;Password=two",
            "Server=a.example;Database=stock;User ID=app;Password=one",
            "Server=a.example;Database=shop;User ID=app;Password=one;Connect Timeout=3",
            "Server=a.example;Database=shop;User ID=app;Password=one;Max Pool Size=3",
        ] {
            assert!(!target(BEFORE).leads_elsewhere(&target(after)), "{after}");
        }
        let by_secret = "Server=a.example;Authentication=ActiveDirectoryServicePrincipal;\
                         User ID=11111111-1111-1111-1111-111111111111;Password=";
        let [one, two] = ["one", "two"].map(|secret| target(&format!("{by_secret}{secret}")));
        assert!(!one.leads_elsewhere(&two));
    }
}
