//! What goes wrong with one platform's identity endpoint and not with another's.

use std::io;
use std::path::PathBuf;

/// Why a platform's own way to give tokens came to nothing.
///
/// None of these passes by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlatformError {
    /// Azure Arc's agent did not say which file holds the key.
    #[error(
        "the agent of Azure Arc at {endpoint} sent no usable challenge: {problem}; check that the \
         agent's service himds is what answers there"
    )]
    Challenge {
        /// Its address, without the query.
        endpoint: String,
        /// What is wrong with its answer.
        problem: &'static str,
    },
    /// The file with Azure Arc's key breaks a rule, so it was not sent anywhere.
    #[error("the key file {} that Azure Arc's endpoint names is not used: {problem}", path.display())]
    KeyFileRefused {
        /// The file, as the endpoint named it.
        path: PathBuf,
        /// The rule.
        problem: &'static str,
    },
    /// The file with Azure Arc's key cannot be read.
    #[error("cannot read the key file {} of Azure Arc's agent; {advice}", path.display())]
    KeyFileUnreadable {
        /// The file.
        path: PathBuf,
        /// What to do about it.
        advice: &'static str,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The variable with the thumbprint of the endpoint's certificate holds none.
    #[error("the variable {variable} holds no thumbprint, which has 40 hexadecimal digits")]
    Thumbprint {
        /// The variable.
        variable: &'static str,
    },
    /// The reply does not say whom it is for, on a platform where that is no proof.
    #[error(
        "asked for the identity with {asked}, and the reply does not say that it is for that \
         one, so the token was thrown away; the agent is too old to choose between identities, so \
         update it, or name none to be given the machine's own"
    )]
    UnconfirmedIdentity {
        /// The selector asked for.
        asked: String,
    },
    /// The platform cannot be asked for an identity by an id of this kind.
    #[error("{platform} cannot be asked for an identity by its {selector}; {instead}")]
    UnsupportedSelector {
        /// The platform.
        platform: &'static str,
        /// The kind of id: `client id`, `object id`, `resource id`.
        selector: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// The endpoint's certificate is not the pinned one. No secret was sent to it.
    #[error(
        "{endpoint} shows a certificate with the thumbprint {shown} and not {pinned}, so nothing \
         was sent to it"
    )]
    WrongCertificate {
        /// Its address, without the query.
        endpoint: String,
        /// The thumbprint that the platform announced.
        pinned: String,
        /// The one that was shown.
        shown: String,
    },
    /// There is an identity with this id, but it is another kind of id.
    #[error(
        "{id} was given as the {given_as} of an identity, but is the {is} of one that is \
         here; {}", right(is, client_id.as_deref())
    )]
    WrongKindOfId {
        /// The id.
        id: String,
        /// What it was taken for.
        given_as: &'static str,
        /// What it is.
        is: &'static str,
        /// The client id of that identity, if its token tells.
        client_id: Option<String>,
    },
}

/// SqlClient, JDBC and Go have no word for an object id, so the client id is the better advice.
fn right(is: &str, client_id: Option<&str>) -> String {
    match client_id {
        Some(client_id) if is != "client id" => format!(
            "give its client id, {client_id}: that is what SqlClient, JDBC and Go read User ID as"
        ),
        _ => format!("give it as the {is}, or give the identity's client id"),
    }
}
