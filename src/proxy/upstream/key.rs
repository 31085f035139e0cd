//! What a client asks to be logged in as, and which clients may share a session.

use std::fmt;
use std::sync::Arc;

use crate::dial::LoginProfile;
use crate::target::Target;
use crate::tds::{
    Feature, FeatureId, Login7, TdsVersion, option_flags2, option_flags3, type_flags,
};

/// Everything about a login that can be seen in the session later, or changes
/// how it behaves. Two clients share a session only if theirs are equal.
///
/// It is the very profile that a session is opened with, so that nothing can be
/// said to the server and be forgotten here.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(Arc<LoginProfile>);

/// A session that a client asks for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) key: Key,
    /// What is said at the login of a session that is for this client alone.
    pub(super) own: Option<Arc<LoginProfile>>,
}

impl Ask {
    /// Takes from a client's LOGIN7 what may go to the server. User, password,
    /// integrated login, a change of password and FEDAUTH never do: we log in as
    /// ourselves.
    ///
    /// `database` counts more than the client's word, and that more than the
    /// target's. `keep` says whether sessions are shared at all.
    pub(super) fn new(login: &Login7, database: Option<&str>, target: &Target, keep: bool) -> Self {
        let profile = profile(login, database, target);
        let recovers = is_recovery(&profile.features);
        let own = (recovers || !keep).then(|| {
            let mut own = profile.clone();
            own.client_pid = Some(login.client_pid);
            own.client_id = Some(login.client_id);
            Arc::new(own)
        });
        Self {
            key: Key(Arc::new(profile)),
            own,
        }
    }

    /// What to say at the login of a new session.
    pub(super) fn profile(&self) -> &LoginProfile {
        self.own.as_ref().unwrap_or(&self.key.0)
    }

    /// For the texts of errors.
    pub(super) fn application(&self) -> String {
        self.key.application()
    }

    /// Whether the session can serve others later.
    pub(super) fn is_shared(&self) -> bool {
        self.own.is_none()
    }
}

impl Key {
    pub(super) fn profile(&self) -> &LoginProfile {
        &self.0
    }

    pub(super) fn application(&self) -> String {
        shown(self.0.application_name.as_deref())
    }

    pub(super) fn database(&self) -> String {
        shown(self.0.database.as_deref())
    }

    #[cfg(test)]
    pub(super) fn is_same_copy(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    #[cfg(test)]
    pub(super) fn of(profile: LoginProfile) -> Self {
        Self(Arc::new(profile))
    }
}

/// In short, printable and bounded: for people. Different keys may look the same.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = &self.0;
        write!(f, "`{}`", self.application())?;
        for (word, text) in [
            ("from", &profile.host_name),
            ("in", &profile.database),
            ("by", &profile.library_name),
            ("with language", &profile.language),
        ] {
            if text.is_some() {
                write!(f, " {word} `{}`", shown(text.as_deref()))?;
            }
        }
        if let Some(size) = profile.packet_size {
            write!(f, ", packets of {size}")?;
        }
        if profile.read_only == Some(true) {
            f.write_str(", read-only")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// SQL Server takes a packet as one TLS record, and so do clients of ours that
/// encrypt; the session's size is theirs too.
const MAX_PACKET: u32 = 16_383;
/// The smallest size that may be negotiated (MS-TDS 2.2.3.1.3).
const MIN_PACKET: u32 = 512;
/// A text is shown up to this many characters.
const MAX_SHOWN: usize = 64;

/// Features that are between us and the server (FEDAUTH, routing), tell of an
/// address that is not the client's to know, or are not assigned.
const NOT_PASSED: [FeatureId; 5] = [
    FeatureId::FEDAUTH,
    FeatureId(0x06),
    FeatureId(0x07),
    FeatureId::AZURESQLDNSCACHING,
    FeatureId::ENHANCEDROUTINGSUPPORT,
];

fn profile(login: &Login7, database: Option<&str>, target: &Target) -> LoginProfile {
    let database = database
        .map(str::to_owned)
        .or_else(|| said(&login.database))
        .or_else(|| target.database.clone());
    LoginProfile {
        application_name: said(&login.app_name),
        host_name: said(&login.host_name),
        library_name: said(&login.library_name).filter(|name| !wants_binary_xml(login, name)),
        language: said(&login.language),
        database,
        // 0 leaves it to the server.
        packet_size: (login.packet_size != 0)
            .then(|| login.packet_size.clamp(MIN_PACKET, MAX_PACKET)),
        // A target for readers only stays one, whatever its clients say.
        read_only: Some(login.is_read_only() || target.login.read_only),
        client_version: Some(login.client_prog_version),
        // Together with the flags it decides the session's collation.
        lcid: Some(login.lcid),
        option_flags1: Some(login.option_flags1),
        // Kinds of users (replication) and integrated login are not for those
        // who are let in by us.
        option_flags2: Some(
            login.option_flags2 & (option_flags2::INIT_LANG_FATAL | option_flags2::ODBC),
        ),
        type_flags: Some(login.type_flags & known_type_flags(login.tds_version)),
        option_flags3: Some(login.option_flags3 & known_option_flags3(login.tds_version)),
        features: features(&login.features),
        ..LoginProfile::default()
    }
}

/// The bits that its version has and the server is to hear of. What stands in
/// the others is nobody's wish. Read-only intent is said on its own.
fn known_type_flags(version: TdsVersion) -> u8 {
    const SQL_TYPE: u8 = 0x0F;
    if version < TdsVersion::V7_2 {
        SQL_TYPE
    } else {
        !type_flags::READ_ONLY_INTENT
    }
}

/// As of [`known_type_flags`].
fn known_option_flags3(version: TdsVersion) -> u8 {
    use option_flags3::{BINARY_XML, UNKNOWN_COLLATION_HANDLING};
    if version < TdsVersion::V7_2 {
        0
    } else if version < TdsVersion::V7_3A {
        BINARY_XML
    } else {
        BINARY_XML | UNKNOWN_COLLATION_HANDLING
    }
}

/// Whether the server would take the library for one that reads binary xml,
/// though its version has no xml at all: .NET's of before 2.0. From 7.2 on the
/// server sends that to .NET's and texts to others (MS-TDS notes 14 and 22), and
/// only texts can be shown to a client of 7.1.
fn wants_binary_xml(login: &Login7, library: &str) -> bool {
    let library = library.to_ascii_lowercase();
    login.tds_version < TdsVersion::V7_2
        && (library.contains(".net") || library.contains("sqlclient"))
}

/// What the client asks for, in one order, so that the order makes no difference.
fn features(asked: &[Feature]) -> Vec<Feature> {
    let mut features: Vec<Feature> = asked
        .iter()
        .filter(|feature| !NOT_PASSED.contains(&feature.id))
        .cloned()
        .collect();
    features.sort_by_key(|feature| feature.id.0);
    features
}

/// Whether the client brings back the state of a session that it has lost
/// (MS-TDS 2.2.6.4, SESSIONRECOVERY). What comes of that is like no other
/// session, and a reset would lead back to something else than a new login.
fn is_recovery(features: &[Feature]) -> bool {
    features
        .iter()
        .any(|feature| feature.id == FeatureId::SESSIONRECOVERY && !feature.data.is_empty())
}

/// An empty text is none: the target's own value stands in for it.
fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn shown(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    let mut shown = String::new();
    for c in text.chars().take(MAX_SHOWN) {
        shown.push(if c.is_control() { '\u{fffd}' } else { c });
    }
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::target::{Auth, Server};
    use crate::tds::{FedAuth, option_flags1};

    fn target() -> Target {
        Target::new(Server::new("db"), Auth::Callback).with_database("app")
    }

    fn key(login: &Login7) -> Key {
        Ask::new(login, None, &target(), true).key
    }

    #[test]
    fn what_a_client_may_say_goes_to_the_server() {
        let login = Login7 {
            packet_size: 8000,
            client_prog_version: 0x0203,
            option_flags1: option_flags1::USE_DB_NOTIFY,
            option_flags2: option_flags2::ODBC,
            type_flags: type_flags::OLEDB | type_flags::READ_ONLY_INTENT,
            option_flags3: option_flags3::BINARY_XML,
            lcid: 0x0407,
            host_name: "desk".to_owned(),
            app_name: "till".to_owned(),
            library_name: "ODBC".to_owned(),
            language: "Deutsch".to_owned(),
            database: "shop".to_owned(),
            features: vec![Feature::new(FeatureId::UTF8_SUPPORT, [1])],
            ..Login7::default()
        };
        let ask = Ask::new(&login, None, &target(), true);
        let profile = ask.profile();
        assert_eq!(profile.packet_size, Some(8000));
        assert_eq!(profile.client_version, Some(0x0203));
        assert_eq!(profile.option_flags1, Some(option_flags1::USE_DB_NOTIFY));
        assert_eq!(profile.option_flags2, Some(option_flags2::ODBC));
        assert_eq!(profile.type_flags, Some(type_flags::OLEDB));
        assert_eq!(profile.read_only, Some(true));
        assert_eq!(profile.option_flags3, Some(option_flags3::BINARY_XML));
        assert_eq!(profile.lcid, Some(0x0407));
        assert_eq!(profile.host_name.as_deref(), Some("desk"));
        assert_eq!(profile.application_name.as_deref(), Some("till"));
        assert_eq!(profile.library_name.as_deref(), Some("ODBC"));
        assert_eq!(profile.language.as_deref(), Some("Deutsch"));
        assert_eq!(profile.database.as_deref(), Some("shop"));
        assert_eq!(profile.features, login.features);
    }

    #[test]
    fn what_an_old_client_cannot_mean_does_not_go_to_the_server() {
        let login = |version| Login7 {
            tds_version: version,
            // TranBoundary and CacheConnect among them.
            option_flags2: option_flags2::ODBC | 0x0C,
            type_flags: 0xFF,
            option_flags3: 0xFF,
            library_name: ".Net SqlClient Data Provider".to_owned(),
            ..Login7::default()
        };
        let said = |version| {
            let profile = Ask::new(&login(version), None, &target(), true);
            let profile = profile.profile().clone();
            assert_eq!(profile.option_flags2, Some(option_flags2::ODBC));
            assert_eq!(profile.read_only, Some(true));
            let library = profile.library_name.is_some();
            (
                profile.type_flags.unwrap(),
                profile.option_flags3.unwrap(),
                library,
            )
        };
        assert_eq!(said(TdsVersion::V7_1), (0x0F, 0, false));
        assert_eq!(said(TdsVersion::V7_1_REV1), (0x0F, 0, false));
        assert_eq!(said(TdsVersion::V7_2), (0xDF, 0x02, true));
        assert_eq!(said(TdsVersion::V7_3A), (0xDF, 0x0A, true));
        let jtds = Login7 {
            library_name: "jTDS".to_owned(),
            ..login(TdsVersion::V7_1_REV1)
        };
        assert_eq!(key(&jtds).profile().library_name.as_deref(), Some("jTDS"));
    }

    #[test]
    fn clients_of_different_versions_share_a_session_that_is_the_same_for_both() {
        let login = |tds_version| Login7 {
            tds_version,
            option_flags3: 0,
            ..Login7::default()
        };
        assert_eq!(
            key(&login(TdsVersion::V7_1_REV1)),
            key(&login(TdsVersion::V7_4))
        );
    }

    #[test]
    fn credentials_and_what_is_between_us_and_the_server_stay_here() {
        let fed_auth = FedAuth::SecurityToken {
            echo: true,
            token: Secret::new("the client's token"),
            nonce: None,
        };
        let login = Login7 {
            user_name: "sa".to_owned(),
            password: Secret::new("hunter2"),
            change_password: Secret::new("hunter3"),
            sspi: b"hunter4".to_vec(),
            option_flags2: 0xF2,
            option_flags3: 0x1F,
            features: vec![
                fed_auth.to_feature().unwrap(),
                Feature::new(FeatureId::AZURESQLDNSCACHING, []),
                Feature::new(FeatureId::ENHANCEDROUTINGSUPPORT, []),
                Feature::new(FeatureId(0x07), [1]),
            ],
            ..Login7::default()
        };
        let ask = Ask::new(&login, None, &target(), true);
        assert!(ask.profile().features.is_empty());
        assert_eq!(ask.profile().option_flags2, Some(option_flags2::ODBC));
        let flags3 = option_flags3::BINARY_XML | option_flags3::UNKNOWN_COLLATION_HANDLING;
        assert_eq!(ask.profile().option_flags3, Some(flags3));
        let told = format!("{ask:?} {:?}", ask.profile());
        assert!(!told.contains("hunter") && !told.contains("sa\""), "{told}");
    }

    #[test]
    fn any_property_that_the_server_hears_of_sets_clients_apart() {
        type Change = fn(&mut Login7);
        let changes: [(&str, Change); 14] = [
            ("application", |l| l.app_name = "b".to_owned()),
            ("host", |l| l.host_name = "b".to_owned()),
            ("library", |l| l.library_name = "b".to_owned()),
            ("language", |l| l.language = "b".to_owned()),
            ("database", |l| l.database = "b".to_owned()),
            ("packet size", |l| l.packet_size = 8000),
            ("read-only", |l| {
                l.type_flags |= type_flags::READ_ONLY_INTENT
            }),
            ("driver version", |l| l.client_prog_version = 7),
            ("lcid", |l| l.lcid = 7),
            ("flags 1", |l| {
                l.option_flags1 ^= option_flags1::USE_DB_NOTIFY
            }),
            ("flags 2", |l| l.option_flags2 ^= option_flags2::ODBC),
            ("type", |l| l.type_flags |= type_flags::OLEDB),
            ("flags 3", |l| l.option_flags3 |= option_flags3::BINARY_XML),
            ("a feature", |l| {
                l.features = vec![Feature::new(FeatureId::JSONSUPPORT, [1])];
            }),
        ];
        let plain = key(&Login7::default());
        for (what, change) in changes {
            let mut login = Login7::default();
            change(&mut login);
            assert_ne!(key(&login), plain, "{what}");
        }
        let data = |byte: u8| Login7 {
            features: vec![Feature::new(FeatureId::VECTORSUPPORT, [byte])],
            ..Login7::default()
        };
        assert_ne!(key(&data(1)), key(&data(2)), "a feature's data");
    }

    #[test]
    fn what_the_server_does_not_hear_of_does_not() {
        let feature = |id| Feature::new(id, [1]);
        let with = |features: Vec<Feature>| Login7 {
            features,
            ..Login7::default()
        };
        let (json, utf8) = (FeatureId::JSONSUPPORT, FeatureId::UTF8_SUPPORT);
        assert_eq!(
            key(&with(vec![feature(json), feature(utf8)])),
            key(&with(vec![feature(utf8), feature(json)])),
            "the order of features"
        );
        let other = Login7 {
            user_name: "b".to_owned(),
            password: Secret::new("b"),
            server_name: "b".to_owned(),
            client_pid: 7,
            client_id: [7; 6],
            time_zone: 7,
            database: "app".to_owned(),
            ..Login7::default()
        };
        assert_eq!(key(&other), key(&Login7::default()));
    }

    #[test]
    fn a_rules_database_counts_most_and_the_targets_least() {
        let login = Login7 {
            database: "asked".to_owned(),
            ..Login7::default()
        };
        let database = |login: &Login7, ruled| {
            let ask = Ask::new(login, ruled, &target(), true);
            ask.key.profile().database.clone().unwrap()
        };
        assert_eq!(database(&login, Some("ruled")), "ruled");
        assert_eq!(database(&login, None), "asked");
        assert_eq!(database(&Login7::default(), None), "app");
    }

    #[test]
    fn sizes_that_cannot_be_are_brought_into_bounds() {
        let size = |packet_size| {
            let login = Login7 {
                packet_size,
                ..Login7::default()
            };
            key(&login).profile().packet_size
        };
        assert_eq!(size(0), None, "left to the target");
        assert_eq!(size(1), Some(512));
        assert_eq!(size(32_767), Some(16_383));
    }

    #[test]
    fn the_clients_process_is_named_only_where_the_session_is_its_own() {
        let login = Login7 {
            client_pid: 77,
            client_id: [7; 6],
            ..Login7::default()
        };
        let shared = Ask::new(&login, None, &target(), true);
        assert!(shared.is_shared());
        assert_eq!(shared.profile().client_pid, None);
        let own = Ask::new(&login, None, &target(), false);
        assert!(!own.is_shared());
        assert_eq!(own.profile().client_pid, Some(77));
        assert_eq!(own.profile().client_id, Some([7; 6]));
    }

    #[test]
    fn a_client_that_recovers_its_session_has_one_of_its_own() {
        let with = |data: &[u8]| Login7 {
            features: vec![Feature::new(FeatureId::SESSIONRECOVERY, data)],
            ..Login7::default()
        };
        let first = Ask::new(&with(&[]), None, &target(), true);
        assert!(first.is_shared(), "it only asks for the feature");
        let again = Ask::new(&with(&[0, 0, 0, 0]), None, &target(), true);
        assert!(!again.is_shared());
        assert_eq!(again.profile().features[0].data, [0, 0, 0, 0]);
    }

    #[test]
    fn a_key_is_shown_short_and_printable() {
        let login = Login7 {
            app_name: format!("a\u{1b}[2J{}", "x".repeat(100)),
            host_name: "desk".to_owned(),
            ..Login7::default()
        };
        let text = key(&login).to_string();
        assert!(text.starts_with("`a\u{fffd}[2Jx") && text.contains("…`"));
        assert!(
            text.ends_with("from `desk` in `app`, packets of 4096"),
            "{text}"
        );
    }
}
