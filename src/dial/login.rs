//! LOGIN7 and its answer: who we are, and what the server says to that.

use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::answer::{Answer, Verdict};
use super::line::Line;
use super::login_error::LoginError;
use super::profile::LoginProfile;
use super::routing::Route;
use super::text::printable;
use super::wire::{self, Bounds};
use crate::session::SessionStream;
use crate::target::{Auth, Target};
use crate::tds::{
    Feature, FeatureId, FedAuth, FedAuthInfo, FedAuthToken, Login7, PacketType, Routing,
    TdsVersion, option_flags1, option_flags2, option_flags3, type_flags,
};
use crate::token::{AccessToken, Resource};

/// SQL Server takes a TDS packet as one TLS record, which holds 16 KiB.
const MAX_PACKET_UNDER_TLS: u32 = 16_383;

/// How a token reaches the server (MS-TDS 2.2.6.4, FEDAUTH).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FedAuthFlow {
    /// The token stands in LOGIN7 itself, which saves a round trip. A server
    /// that asks for it by FEDAUTHINFO all the same gets it once more.
    #[default]
    SecurityToken,
    /// LOGIN7 announces a token; the server says for which resource
    /// (FEDAUTHINFO), and only then is it sent.
    Adal,
}

/// A token and what it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bearer<'a> {
    pub(super) token: &'a AccessToken,
    pub(super) resource: &'a Resource,
    pub(super) flow: FedAuthFlow,
    /// Repeats the server's FEDAUTHREQUIRED.
    pub(super) echo: bool,
}

/// Everything that a LOGIN7 is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) target: &'a Target,
    pub(super) profile: &'a LoginProfile,
    pub(super) route: &'a Route,
    pub(super) workstation: &'a str,
    pub(super) bearer: Option<Bearer<'a>>,
    pub(super) strict: bool,
    pub(super) encrypted: bool,
}

/// Sends the login and reads the answer to its end, the detour by FEDAUTHINFO
/// included.
pub(super) async fn log_in(
    line: Line,
    login: Login<'_>,
) -> Result<(SessionStream, Verdict), LoginError> {
    if login.bearer.is_some() && !line.is_encrypted() {
        return Err(LoginError::Unprotected);
    }
    let request = login.request()?;
    let mut payload = Zeroizing::new(Vec::new());
    request.encode(&mut payload)?;
    let packets = wire::packets(PacketType::LOGIN7, &payload);
    let mut stream = line.send_login(&packets).await?;
    let mut answer = Answer::read(&wire::receive(&mut stream, Bounds::LOGIN).await?)?;
    if let Some(info) = answer.fed_auth_info.take() {
        answer = send_token(&mut stream, login.bearer, &info)
            .await?
            .after(answer);
    }
    let verdict = answer.judge(&request.features, login.bearer.is_some())?;
    Ok((stream, verdict))
}

/// What a server says to a login that announces a token and brings none.
#[derive(Debug)]
pub(super) enum Told {
    Info(FedAuthInfo),
    Routed(Routing),
}

/// Announces a token so as to hear from the server what it must be (MS-TDS
/// 3.2.5.4), and goes no further.
pub(super) async fn announce(line: Line, login: Login<'_>, echo: bool) -> Result<Told, LoginError> {
    if !line.is_encrypted() {
        return Err(LoginError::Unprotected);
    }
    let mut request = login.request()?;
    let workflow = WORKFLOW_OF_APPLICATIONS;
    let announced = FedAuth::Adal { echo, workflow }.to_feature()?;
    request.features.insert(0, announced);
    let mut payload = Vec::new();
    request.encode(&mut payload)?;
    let packets = wire::packets(PacketType::LOGIN7, &payload);
    let mut stream = line.send_login(&packets).await?;
    let mut answer = Answer::read(&wire::receive(&mut stream, Bounds::LOGIN).await?)?;
    if let Some(info) = answer.fed_auth_info.take() {
        return Ok(Told::Info(info));
    }
    match answer.judge(&request.features, true)? {
        Verdict::Routed(to) => Ok(Told::Routed(to)),
        // Nobody can have been let in without a token.
        Verdict::Granted(_) => Err(LoginError::TokenNotAcknowledged),
    }
}

/// Answers FEDAUTHINFO (MS-TDS 2.2.6.3).
async fn send_token<S>(
    stream: &mut S,
    bearer: Option<Bearer<'_>>,
    info: &FedAuthInfo,
) -> Result<Answer, LoginError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let bearer = bearer.ok_or(LoginError::UnaskedFedAuthInfo)?;
    let ours = bearer.resource.as_str();
    if !same_resource(&info.spn, ours) {
        return Err(LoginError::Resource {
            wanted: printable(&info.spn),
            ours: ours.to_owned(),
        });
    }
    let token = FedAuthToken {
        token: bearer.token.secret().clone(),
        nonce: None,
    };
    let mut payload = Zeroizing::new(Vec::new());
    token.encode(&mut payload)?;
    wire::send(stream, &wire::packets(PacketType::FEDAUTH_TOKEN, &payload)).await?;
    let answer = Answer::read(&wire::receive(stream, Bounds::LOGIN).await?)?;
    if answer.fed_auth_info.is_some() {
        return Err(LoginError::UnaskedFedAuthInfo);
    }
    Ok(answer)
}

impl Login<'_> {
    fn request(&self) -> Result<Login7, LoginError> {
        let (profile, options) = (self.profile, &self.target.login);
        let defaults = Login7::default();
        let mut login = Login7 {
            tds_version: if self.strict {
                TdsVersion::V8_0
            } else {
                TdsVersion::V7_4
            },
            packet_size: self.packet_size(),
            client_prog_version: profile.client_version.unwrap_or_else(our_version),
            client_pid: profile.client_pid.unwrap_or_else(std::process::id),
            // Bulk copy is wanted, so dump/load stays on.
            option_flags1: profile
                .option_flags1
                .unwrap_or(defaults.option_flags1 & !option_flags1::DUMPLOAD_OFF),
            option_flags2: profile.option_flags2.unwrap_or(defaults.option_flags2)
                & !option_flags2::INTEGRATED_SECURITY,
            type_flags: self.type_flags(),
            option_flags3: profile.option_flags3.unwrap_or(defaults.option_flags3)
                & !(option_flags3::CHANGE_PASSWORD | option_flags3::USER_INSTANCE),
            lcid: profile.lcid.unwrap_or(defaults.lcid),
            host_name: profile
                .host_name
                .clone()
                .or_else(|| options.workstation_id.clone())
                .unwrap_or_else(|| self.workstation.to_owned()),
            app_name: profile
                .application_name
                .clone()
                .unwrap_or_else(|| options.application_name.clone()),
            server_name: self.route.login_name.clone(),
            library_name: profile
                .library_name
                .clone()
                .unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned()),
            language: profile
                .language
                .clone()
                .or_else(|| options.language.clone())
                .unwrap_or_default(),
            database: self.database().unwrap_or_default().to_owned(),
            client_id: profile.client_id.unwrap_or_default(),
            features: self.features()?,
            ..defaults
        };
        if let Auth::SqlPassword { user, password } = &self.target.auth {
            login.user_name.clone_from(user);
            login.password = password.clone();
        }
        Ok(login)
    }

    /// A redirect's word counts more than the client's, and that more than the
    /// connection string's.
    fn database(&self) -> Option<&str> {
        let asked = [
            &self.route.database,
            &self.profile.database,
            &self.target.database,
        ];
        asked.into_iter().find_map(Option::as_deref)
    }

    fn packet_size(&self) -> u32 {
        let options = &self.target.login;
        let asked = self.profile.packet_size;
        let most = if self.encrypted {
            MAX_PACKET_UNDER_TLS
        } else {
            32_767
        };
        asked
            .unwrap_or_else(|| options.packet_size.into())
            .clamp(512, most)
    }

    fn type_flags(&self) -> u8 {
        let wanted = self
            .profile
            .read_only
            .unwrap_or(self.target.login.read_only);
        let others = self.profile.type_flags.unwrap_or_default() & !type_flags::READ_ONLY_INTENT;
        if wanted {
            others | type_flags::READ_ONLY_INTENT
        } else {
            others
        }
    }

    fn features(&self) -> Result<Vec<Feature>, LoginError> {
        let mut features = Vec::new();
        if let Some(bearer) = &self.bearer {
            let echo = bearer.echo;
            let fed_auth = match bearer.flow {
                FedAuthFlow::SecurityToken => FedAuth::SecurityToken {
                    echo,
                    token: bearer.token.secret().clone(),
                    nonce: None,
                },
                FedAuthFlow::Adal => FedAuth::Adal {
                    echo,
                    workflow: WORKFLOW,
                },
            };
            features.push(fed_auth.to_feature()?);
        }
        let ours = [FeatureId::FEDAUTH, FeatureId::ENHANCEDROUTINGSUPPORT];
        let theirs = self.profile.features.iter();
        features.extend(
            theirs
                .filter(|feature| !ours.contains(&feature.id))
                .cloned(),
        );
        features.push(Feature::new(FeatureId::ENHANCEDROUTINGSUPPORT, []));
        Ok(features)
    }
}

/// The workflow that Microsoft's drivers name for a managed identity; servers
/// do not care.
const WORKFLOW: u8 = 3;
/// The one that they name for an application.
const WORKFLOW_OF_APPLICATIONS: u8 = 1;

/// Our version as LOGIN7 carries it.
fn our_version() -> u32 {
    let version = super::prelogin::client_version();
    u32::from_be_bytes([version.major, version.minor, 0, 0]) | u32::from(version.build)
}

/// Whether two names mean one resource.
pub(super) fn same_resource(a: &str, b: &str) -> bool {
    let bare = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    bare(a) == bare(b)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::target::Server;

    #[tokio::test]
    async fn a_token_needs_tls_around_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap());
        let line = Line::Even(SessionStream::plain(socket.await.unwrap()));
        let target = Target::new(Server::new("db"), Auth::Callback);
        let (route, profile) = (Route::to(&target), LoginProfile::default());
        let token = AccessToken::new("token", Duration::from_secs(3600));
        let resource = Resource::from(target.cloud);
        let login = Login {
            target: &target,
            profile: &profile,
            route: &route,
            workstation: "",
            bearer: Some(Bearer {
                token: &token,
                resource: &resource,
                flow: FedAuthFlow::default(),
                echo: true,
            }),
            strict: false,
            encrypted: true,
        };
        let error = log_in(line, login).await.map(drop).unwrap_err();
        assert!(matches!(error, LoginError::Unprotected));
        let (mut seen, mut bytes) = (listener.accept().await.unwrap().0, Vec::new());
        assert_eq!(seen.read_to_end(&mut bytes).await.unwrap(), 0);
    }

    #[test]
    fn a_slash_and_case_make_no_other_resource() {
        assert!(same_resource(
            "https://database.windows.net",
            "https://Database.windows.net/"
        ));
        assert!(!same_resource(
            "https://database.windows.net",
            "https://vault.azure.net/"
        ));
    }
}
