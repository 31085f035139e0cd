//! Properties that hold for any text.

use entrada::Secret;
use entrada::conn_string::{ConnectionString, Dialect, Key, ParseOptions, Value};
use entrada::target::Target;
use proptest::prelude::*;

/// Pieces out of which texts are made that look like connection strings.
const PIECES: &[&str] = &[
    "Server",
    "=",
    ";",
    "Password",
    "PWD",
    "UID",
    "User ID",
    "Encrypt",
    "yes",
    "true",
    "{",
    "}",
    "'",
    "\"",
    "==",
    " ",
    "\t",
    "\0",
    "\u{a0}",
    "Authentication",
    "Active Directory MSI",
    "ActiveDirectoryMsi",
    "Driver",
    "tcp:",
    ",1433",
    "\\",
    "h",
    "::1",
    "jdbc:sqlserver://",
    "sqlserver://",
    "odbc:",
    "@",
    ":",
    "/",
    "?",
    "&",
    "#",
    "%",
    "%41",
    "database",
    "Max Pool Size",
    "99999999999",
    "-1",
    "é",
    "𝕊",
    "[",
    "]",
    "Failover Partner",
    "\u{1}",
];

fn like_a_string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        9 => prop::sample::select(PIECES).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(Dialect::ALL.to_vec())
}

fn read_in_all_ways(text: &str) {
    for dialect in Dialect::ALL {
        let Ok(string) = ConnectionString::parse_as(text, dialect) else {
            continue;
        };
        let _ = Target::try_from(&string);
        for other in Dialect::ALL {
            let _ = string.write(other);
        }
    }
    let _ = ParseOptions::new().strict(true).parse(text);
}

/// A value of up to 128 UTF-16 units.
fn value() -> impl Strategy<Value = String> {
    let awkward = prop::collection::vec(prop::sample::select(PIECES), 1..8)
        .prop_map(|pieces| pieces.concat());
    prop_oneof![any::<String>(), awkward].prop_map(|text| {
        let mut units = 0;
        let short = text.chars().take_while(|c| {
            units += c.len_utf16();
            units <= 128
        });
        // No dialect but the URL can hold a NUL in every place.
        short.filter(|c| *c != '\0').collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        read_in_all_ways(&text);
    }

    #[test]
    fn no_text_that_looks_like_one_makes_it_panic(text in like_a_string()) {
        read_in_all_ways(&text);
        read_in_all_ways(&format!("Driver=d;Server=h;{text}"));
        read_in_all_ways(&format!("jdbc:sqlserver://h;{text}"));
        read_in_all_ways(&format!("sqlserver://{text}"));
    }

    #[test]
    fn any_value_survives_writing_and_reading(
        dialect in dialect(),
        user in value(),
        password in value(),
        database in value(),
        program in value(),
    ) {
        let mut string = ConnectionString::new(dialect);
        string.set(Key::Host, Value::Text("db.example".to_owned()));
        if dialect == Dialect::Odbc {
            string.set(Key::Driver, Value::Text("ODBC Driver 18 for SQL Server".to_owned()));
        }
        for (key, text) in [(Key::UserId, user), (Key::InitialCatalog, database), (Key::ApplicationName, program)] {
            if !text.is_empty() {
                string.set(key, Value::Text(text));
            }
        }
        if !password.is_empty() {
            string.set(Key::Password, Value::Secret(Secret::new(password)));
        }
        let written = string.write(dialect).unwrap();
        let back = ConnectionString::parse_as(written.expose(), dialect).unwrap();
        prop_assert!(back.warnings().is_empty());
        for setting in string.settings() {
            prop_assert_eq!(back.get(setting.key), Some(&setting.value));
        }
        prop_assert_eq!(back.settings().len(), string.settings().len());
    }

    #[test]
    fn what_was_read_is_read_again_from_what_is_written(text in like_a_string(), dialect in dialect()) {
        let text = match dialect {
            Dialect::Odbc => format!("Driver=d;Server=h;{text}"),
            Dialect::Jdbc => format!("jdbc:sqlserver://h;{text}"),
            Dialect::SqlServerUrl => format!("sqlserver://h?{text}"),
            _ => text,
        };
        if let Ok(string) = ConnectionString::parse_as(&text, dialect)
            && let Ok(written) = string.write(dialect)
        {
            let back = ConnectionString::parse_as(written.expose(), dialect).unwrap();
            for setting in string.settings().iter().filter(|setting| setting.key != Key::Protocol) {
                prop_assert_eq!(back.get(setting.key), Some(&setting.value));
            }
        }
    }

    #[test]
    fn no_message_holds_a_secret(before in like_a_string(), after in like_a_string(), open in "[{'\"]?") {
        const MARKER: &str = "Zq7Marker9";
        for name in ["Password", "PWD", "password", "clientKeyPassword"] {
            for head in [String::new(), "Driver=d;Server=h;".to_owned(), "jdbc:sqlserver://h;".to_owned()] {
                let text = format!("{head}{before};{name}={open}{MARKER}{after}");
                reveal_nothing(&text, MARKER);
            }
        }
        reveal_nothing(&format!("sqlserver://u:{MARKER}{after}@h?{before}"), MARKER);
        reveal_nothing(&format!("sqlserver://h?password={MARKER}&{after}"), MARKER);
    }
}

/// Fails if an error or a warning, for people or for debugging, holds the marker.
fn reveal_nothing(text: &str, marker: &str) {
    let ways = Dialect::ALL
        .into_iter()
        .map(|dialect| ParseOptions::new().dialect(dialect));
    for options in ways.chain([ParseOptions::new()]) {
        match options.parse(text) {
            Err(error) => {
                assert!(
                    !format!("{error} {error:?}").contains(marker),
                    "{text:?}: {error}"
                );
            }
            Ok(string) => {
                for warning in string.warnings() {
                    assert!(
                        !format!("{warning} {warning:?}").contains(marker),
                        "{text:?}: {warning}"
                    );
                }
                if let Err(error) = Target::try_from(&string) {
                    assert!(
                        !format!("{error} {error:?}").contains(marker),
                        "{text:?}: {error}"
                    );
                }
            }
        }
    }
}
