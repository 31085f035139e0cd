//! What token sources are permitted, for every command that logs in.

use crate::token::{Environment, Sources};

/// Options about token sources.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Tokens")]
pub(super) struct SourceArgs {
    /// Read ActiveDirectoryIntegrated as the default chain, for there is no Kerberos here
    #[arg(long, env = "ENTRADA_INTEGRATED_AS_DEFAULT")]
    integrated_as_default: bool,

    /// Also send credentials to this authority (host or host:port), which is none of Microsoft's
    #[arg(
        long = "allow-authority",
        value_name = "HOST",
        env = "ENTRADA_ALLOW_AUTHORITY",
        value_delimiter = ','
    )]
    authorities: Vec<String>,
}

impl SourceArgs {
    /// Sources that read this process's environment.
    pub(super) fn sources(&self) -> Sources {
        let sources = Sources::new(Environment::from_process());
        let permitted = self.authorities.iter();
        permitted
            .fold(sources, |sources, host| sources.allow_authority(host))
            .integrated_as_default(self.integrated_as_default)
    }
}
