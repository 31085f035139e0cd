//! What token sources are permitted, for every command that logs in.

use std::ffi::OsString;

use clap::builder::FalseyValueParser;

use crate::token::{ChainMember, Environment, Sources};

/// Options about token sources.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Tokens")]
pub(super) struct SourceArgs {
    /// Read ActiveDirectoryIntegrated as the default chain, for there is no Kerberos here
    #[arg(long, env = "ENTRADA_INTEGRATED_AS_DEFAULT", value_parser = FalseyValueParser::new())]
    integrated_as_default: bool,

    /// Leave the tools that developers sign in with out of the default chain
    #[arg(long, env = "ENTRADA_NO_DEVELOPER_TOOLS", value_parser = FalseyValueParser::new())]
    no_developer_tools: bool,

    /// Let workload identity use the token proxy of an AKS cluster (identity bindings)
    #[arg(long, env = "ENTRADA_KUBERNETES_TOKEN_PROXY", value_parser = FalseyValueParser::new())]
    kubernetes_token_proxy: bool,

    /// Also send credentials to this authority (host or host:port), which is none of Microsoft's
    #[arg(
        long = "allow-authority",
        value_name = "HOST",
        env = "ENTRADA_ALLOW_AUTHORITY",
        value_delimiter = ','
    )]
    authorities: Vec<String>,

    /// The folder of Azure Arc's keys, where it is not the agent's own: for emulators
    #[arg(long, value_name = "FOLDER", env = "ENTRADA_ARC_KEY_FOLDER")]
    arc_key_folder: Option<OsString>,
}

impl SourceArgs {
    /// Sources that read this process's environment.
    pub(super) fn sources(&self) -> Sources {
        let mut sources = Sources::new(Environment::from_process());
        if self.no_developer_tools {
            let tools = ChainMember::DEVELOPER_TOOLS.into_iter();
            sources = tools.fold(sources, Sources::exclude);
        }
        let folder = self.arc_key_folder.as_ref();
        if let Some(folder) = folder.filter(|folder| !folder.is_empty()) {
            sources = sources.arc_key_folder(folder);
        }
        let permitted = self.authorities.iter().filter(|host| !host.is_empty());
        permitted
            .fold(sources, |sources, host| sources.allow_authority(host))
            .integrated_as_default(self.integrated_as_default)
            .kubernetes_token_proxy(self.kubernetes_token_proxy)
    }
}
