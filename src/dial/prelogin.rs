//! PRELOGIN: agreeing on encryption and on what kind of login it will be.

use tokio::io::{AsyncRead, AsyncWrite};

use super::tls::Mode;
use super::wire::{self, Bounds, WireError};
use crate::target::{Encrypt, EncryptWords};
use crate::tds::{DecodeError, EncodeError, Encryption, PacketType, Prelogin, Version};

/// MS-TDS 2.2.6.5: INSTOPT's answer to a client that came to the wrong instance.
const WRONG_INSTANCE: u8 = 1;

/// Why the two sides could not agree.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PreloginError {
    /// The message could not be exchanged.
    #[error("the greeting (PRELOGIN) failed")]
    Wire(#[from] WireError),
    /// The answer cannot be read.
    #[error("the server's greeting (PRELOGIN) is malformed")]
    Malformed(#[from] DecodeError),
    /// Our own greeting cannot be written.
    #[error("the greeting (PRELOGIN) cannot be written")]
    Encode(#[from] EncodeError),
    /// TLS is a must, and the server will have none.
    #[error("the server offers no encryption, and {why}")]
    NoEncryption {
        /// Why it cannot be done without.
        why: &'static str,
    },
    /// TLS is forbidden, which only `sqlserver://` URLs can say, and the server
    /// insists on it.
    #[error("the server insists on encryption; drop encrypt=disable")]
    EncryptionRequired,
    /// An ENCRYPTION option that means nothing.
    #[error("the server answered with an encryption setting that does not exist ({0:?})")]
    Encryption(Encryption),
    /// A FEDAUTHREQUIRED option that means nothing.
    #[error("the server answered with a FEDAUTHREQUIRED of {0}; only 0 and 1 exist")]
    FedAuthRequired(u8),
    /// Another instance listens on that port.
    #[error("another instance than `{instance}` listens there")]
    WrongInstance {
        /// The instance asked for.
        instance: String,
    },
}

/// What is asked of the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) encrypt: Encrypt,
    /// What that is called where it was written.
    pub(super) words: EncryptWords,
    pub(super) token: bool,
    pub(super) instance: Option<&'a str>,
}

/// What was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreed {
    /// How TLS goes on from here; `None` is not at all. In strict mode it is
    /// there already, and this says so.
    pub(super) tls: Option<Mode>,
    /// Whether LOGIN7's FEDAUTH echo bit is to be set.
    pub(super) fed_auth_echo: bool,
    pub(super) server_version: Version,
}

/// Sends our PRELOGIN and reads the server's.
pub(super) async fn exchange<S>(stream: &mut S, ask: Ask<'_>) -> Result<Agreed, PreloginError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut payload = Vec::new();
    greeting(ask).encode(&mut payload)?;
    wire::send(stream, &wire::packets(PacketType::PRELOGIN, &payload)).await?;
    let answer = wire::receive(stream, Bounds::PRELOGIN).await?;
    agree(ask, &Prelogin::decode(&answer.payload)?)
}

/// Our own version as the server sees it.
pub(super) fn client_version() -> Version {
    let number = |text: &str| text.parse::<u8>().unwrap_or_default();
    Version {
        major: number(env!("CARGO_PKG_VERSION_MAJOR")),
        minor: number(env!("CARGO_PKG_VERSION_MINOR")),
        build: number(env!("CARGO_PKG_VERSION_PATCH")).into(),
        sub_build: 0,
    }
}

fn greeting(ask: Ask<'_>) -> Prelogin {
    let encryption = match ask.encrypt {
        // Whatever the target says: a token makes encryption a must.
        Encrypt::Optional | Encrypt::Disable if ask.token => Encryption::ON,
        Encrypt::Optional => Encryption::OFF,
        // In TDS 8.0 the option means nothing; Microsoft's drivers send this.
        Encrypt::Disable | Encrypt::Strict => Encryption::NOT_SUP,
        _ => Encryption::ON,
    };
    let mut greeting = Prelogin::new(client_version(), encryption);
    let mut instance = ask.instance.unwrap_or_default().as_bytes().to_vec();
    instance.push(0);
    greeting.instance = Some(instance);
    greeting.thread_id = Some(std::process::id());
    greeting.mars = Some(false);
    greeting.fed_auth_required = ask.token.then_some(1);
    greeting
}

fn agree(ask: Ask<'_>, answer: &Prelogin) -> Result<Agreed, PreloginError> {
    if let (Some(instance), Some([WRONG_INSTANCE])) = (ask.instance, answer.instance.as_deref()) {
        return Err(PreloginError::WrongInstance {
            instance: instance.to_owned(),
        });
    }
    let fed_auth_echo = match answer.fed_auth_required {
        None | Some(0) => false,
        Some(1) => true,
        Some(other) => return Err(PreloginError::FedAuthRequired(other)),
    };
    Ok(Agreed {
        tls: encryption(ask, answer.encryption)?,
        fed_auth_echo: ask.token && fed_auth_echo,
        server_version: answer.version,
    })
}

/// The table of MS-TDS 2.2.6.5, from the client's side.
fn encryption(ask: Ask<'_>, answer: Encryption) -> Result<Option<Mode>, PreloginError> {
    let answered = answer.level();
    if ask.encrypt == Encrypt::Strict {
        return Ok(Some(Mode::Strict));
    }
    let must_have = match ask.encrypt {
        _ if ask.token => Some("a token is never sent in clear"),
        Encrypt::Mandatory => Some(ask.words.must),
        _ => None,
    };
    match (answered, must_have, ask.encrypt) {
        (Encryption::ON | Encryption::REQ, None, Encrypt::Disable) => {
            Err(PreloginError::EncryptionRequired)
        }
        (Encryption::ON | Encryption::REQ, _, _) => Ok(Some(Mode::Tunnelled)),
        (Encryption::OFF | Encryption::NOT_SUP, Some(why), _) => {
            Err(PreloginError::NoEncryption { why })
        }
        (Encryption::OFF | Encryption::NOT_SUP, None, Encrypt::Disable) => Ok(None),
        (Encryption::OFF, None, _) => Ok(Some(Mode::LoginOnly)),
        (Encryption::NOT_SUP, None, _) => Err(PreloginError::NoEncryption {
            why: ask.words.in_clear,
        }),
        _ => Err(PreloginError::Encryption(answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Auth, Server, Target};

    const ANSWERS: [Encryption; 4] = [
        Encryption::OFF,
        Encryption::ON,
        Encryption::REQ,
        Encryption::NOT_SUP,
    ];

    fn ask(encrypt: Encrypt, token: bool) -> Ask<'static> {
        Ask {
            encrypt,
            words: Target::new(Server::new("a"), Auth::Callback).encrypt_words(),
            token,
            instance: None,
        }
    }

    /// `t` tunnelled, `l` login only, `-` no TLS, `!` refused.
    fn row(encrypt: Encrypt, token: bool) -> String {
        ANSWERS
            .iter()
            .map(|answer| match encryption(ask(encrypt, token), *answer) {
                Ok(Some(Mode::Strict)) => 's',
                Ok(Some(Mode::Tunnelled)) => 't',
                Ok(Some(Mode::LoginOnly)) => 'l',
                Ok(None) => '-',
                Err(_) => '!',
            })
            .collect()
    }

    #[test]
    fn encryption_follows_the_table() {
        assert_eq!(row(Encrypt::Mandatory, false), "!tt!");
        assert_eq!(row(Encrypt::Optional, false), "ltt!");
        assert_eq!(row(Encrypt::Disable, false), "-!!-");
        assert_eq!(row(Encrypt::Strict, false), "ssss");
    }

    #[test]
    fn a_token_never_does_without() {
        assert_eq!(row(Encrypt::Mandatory, true), "!tt!");
        assert_eq!(row(Encrypt::Optional, true), "!tt!");
        assert_eq!(row(Encrypt::Disable, true), "!tt!");
        assert_eq!(row(Encrypt::Strict, true), "ssss");
    }

    /// What a user is told whose server answers like this.
    fn told(text: &str, answer: Encryption) -> String {
        let target = Target::parse(text).unwrap();
        let asked = Ask {
            words: target.encrypt_words(),
            ..ask(target.tls.encrypt, false)
        };
        encryption(asked, answer).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_settings_of_the_dialect() {
        for (mandatory, optional, lifts) in [
            (
                "Data Source=a;User ID=u;Password=p",
                "Data Source=a;User ID=u;Password=p;Encrypt=Optional",
                "; Encrypt=Optional would do without",
            ),
            (
                "Driver={ODBC Driver 18 for SQL Server};Server=a;UID=u;PWD=p",
                "Driver={ODBC Driver 18 for SQL Server};Server=a;UID=u;PWD=p;Encrypt=no",
                "; Encrypt=no would do without",
            ),
            (
                "jdbc:sqlserver://a;user=u;password=p",
                "jdbc:sqlserver://a;user=u;password=p;encrypt=false",
                "; encrypt=false would do without",
            ),
            (
                "sqlserver://u:p@a?encrypt=true",
                "sqlserver://u:p@a?encrypt=false",
                "; encrypt=false would do without",
            ),
        ] {
            let must = told(mandatory, Encryption::OFF);
            assert!(must.ends_with(lifts), "{must}");
            // What is advised is understood, and means what it is to mean.
            let clear = told(optional, Encryption::NOT_SUP);
            let by_url = optional.starts_with("sqlserver:");
            assert_eq!(
                clear.ends_with("; encrypt=disable would allow that"),
                by_url,
                "{clear}"
            );
            assert_eq!(
                clear.ends_with("a sqlserver:// URL with encrypt=disable would"),
                !by_url
            );
        }
        let insists = told("sqlserver://u:p@a?encrypt=disable", Encryption::REQ);
        assert!(insists.ends_with("; drop encrypt=disable"), "{insists}");
    }

    #[test]
    fn settings_that_do_not_exist_are_refused() {
        let error = encryption(ask(Encrypt::Mandatory, true), Encryption(0x07)).unwrap_err();
        assert!(matches!(error, PreloginError::Encryption(_)));
        let with_flag = Encryption(Encryption::ON.0 | 0x80);
        let tls = encryption(ask(Encrypt::Mandatory, true), with_flag).unwrap();
        assert_eq!(tls, Some(Mode::Tunnelled));
    }

    #[test]
    fn the_echo_bit_mirrors_the_answer() {
        let mut answer = Prelogin::new(Version::default(), Encryption::ON);
        for (option, token, echo) in [
            (None, true, false),
            (Some(0), true, false),
            (Some(1), true, true),
            (Some(1), false, false),
        ] {
            answer.fed_auth_required = option;
            let agreed = agree(ask(Encrypt::Mandatory, token), &answer).unwrap();
            assert_eq!(agreed.fed_auth_echo, echo);
        }
        answer.fed_auth_required = Some(2);
        assert!(agree(ask(Encrypt::Mandatory, true), &answer).is_err());
    }

    #[test]
    fn the_greeting_asks_for_federation_only_with_a_token() {
        let with = greeting(ask(Encrypt::Mandatory, true));
        assert_eq!(with.fed_auth_required, Some(1));
        assert_eq!(with.nonce, None);
        for encrypt in [Encrypt::Optional, Encrypt::Disable] {
            assert_eq!(greeting(ask(encrypt, true)).encryption, Encryption::ON);
        }
        let without = greeting(ask(Encrypt::Optional, false));
        assert_eq!(without.fed_auth_required, None);
        assert_eq!(without.encryption, Encryption::OFF);
    }

    #[test]
    fn the_wrong_instance_is_named() {
        let mut answer = Prelogin::new(Version::default(), Encryption::ON);
        answer.instance = Some(vec![WRONG_INSTANCE]);
        let mut asked = ask(Encrypt::Mandatory, true);
        assert!(agree(asked, &answer).is_ok());
        asked.instance = Some("sales");
        let error = agree(asked, &answer).unwrap_err();
        assert!(error.to_string().contains("`sales`"));
    }
}
