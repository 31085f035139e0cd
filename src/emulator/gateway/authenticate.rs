//! Who logs in: by a token in LOGIN7, by a token that is asked for, or by password.

use std::sync::Arc;

use super::Shared;
use super::error::ConnectionError;
use super::fed_auth::{self, Credential, TokenRefused};
use super::login::{Prepared, blocking};
use super::messages;
use super::settings::host_of;
use crate::Secret;
use crate::emulator::backend::Backing;
use crate::emulator::engine::Principal;
use crate::tds::{
    FeatureId, FedAuth, FedAuthInfo, FedAuthToken, Login7, PacketType, ServerMessage, TdsVersion,
    Token, option_flags2,
};

/// Who logs in, and by which token; or what to tell the client, and what the log.
pub(super) type Judged = Result<(Principal, Option<Credential>), (ServerMessage, String)>;

impl Prepared {
    /// Judges whoever sent this LOGIN7.
    pub(super) async fn authenticate(
        &mut self,
        shared: &Shared,
        login: &Arc<Login7>,
    ) -> Result<Judged, ConnectionError> {
        if let Some(refusal) = general_refusal(shared, login) {
            return Ok(Err(refusal));
        }
        let Some(feature) = login.feature(FeatureId::FEDAUTH) else {
            return sql_login(shared, login.clone()).await;
        };
        let Ok(fed_auth) = FedAuth::from_feature(feature) else {
            return Ok(Err((
                messages::malformed_login(),
                "FEDAUTH is malformed".into(),
            )));
        };
        if fed_auth.echo() != self.negotiated.fed_auth_required {
            let reason = "FEDAUTH's echo bit does not repeat FEDAUTHREQUIRED".to_owned();
            return Ok(Err((messages::malformed_login(), reason)));
        }
        if !self.encrypted {
            let reason = "a token over a connection without TLS".to_owned();
            return Ok(Err((messages::token_refused(None), reason)));
        }
        let token = match fed_auth {
            FedAuth::SecurityToken {
                token, nonce: None, ..
            } => token,
            FedAuth::Adal { .. } => self.ask_for_token(shared, login.tds_version).await?,
            _ => {
                let reason = "FEDAUTH with a library or a nonce that was not offered".to_owned();
                return Ok(Err((messages::malformed_login(), reason)));
            }
        };
        Ok(judge(shared, &token))
    }

    /// Tells the client where to get a token, and reads it.
    async fn ask_for_token(
        &mut self,
        shared: &Shared,
        version: TdsVersion,
    ) -> Result<Secret, ConnectionError> {
        let info = FedAuthInfo {
            sts_url: format!(
                "https://login.microsoftonline.com/{}",
                shared.identity.tenant_id()
            ),
            spn: shared.settings.resource.clone(),
        };
        let mut payload = Vec::new();
        Token::FedAuthInfo(info).encode(version, &mut payload)?;
        self.io.writer.message(&payload).await?;
        let message = self.io.expect(PacketType::FEDAUTH_TOKEN).await?;
        Ok(FedAuthToken::decode(&message.payload)?.token)
    }
}

/// What is wrong whoever logs in.
fn general_refusal(shared: &Shared, login: &Login7) -> Option<(ServerMessage, String)> {
    let server = &login.server_name;
    if login.tds_version < TdsVersion::V7_4 {
        let reason = format!("TDS {} is too old", login.tds_version);
        return Some((messages::old_protocol(login.tds_version), reason));
    }
    if server.is_empty() && !shared.settings.accepted_names.is_empty() {
        return Some((messages::no_server_name(), "LOGIN7 names no server".into()));
    }
    if !shared.settings.accepts(server) {
        let label = host_of(server).split('.').next().unwrap_or_default();
        return Some((
            messages::unknown_server(label),
            format!("no server {server:?}"),
        ));
    }
    None
}

async fn sql_login(shared: &Shared, login: Arc<Login7>) -> Result<Judged, ConnectionError> {
    if login.option_flags2 & option_flags2::INTEGRATED_SECURITY != 0 {
        let reason = "integrated security".to_owned();
        return Ok(Err((messages::no_integrated_security(), reason)));
    }
    let backend = match &shared.backend {
        Backing::Embedded(backend) => backend.clone(),
        Backing::Forwarding(server) => return Ok(Ok((server.password_principal(&login), None))),
    };
    let judged = blocking(move || {
        backend
            .authenticate_sql(&login.user_name, &login.password, login_database(&login))
            .map(|principal| (principal, None))
            .map_err(|error| (error, format!("the SQL login {:?}", login.user_name)))
    });
    judged.await
}

fn judge(shared: &Shared, token: &Secret) -> Judged {
    fed_auth::validate(
        token,
        &shared.identity,
        &shared.settings.resource,
        &shared.directory,
    )
    .map(|(principal, credential)| (Principal::Entra(principal), Some(credential)))
    .map_err(|refused: TokenRefused| {
        (
            messages::token_refused(refused.public_words()),
            refused.to_string(),
        )
    })
}

/// The database that the login names.
pub(super) fn login_database(login: &Login7) -> Option<&str> {
    (!login.database.is_empty()).then_some(login.database.as_str())
}
