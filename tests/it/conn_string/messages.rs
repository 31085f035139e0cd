//! Errors and warnings: where they point, what they keep to themselves, and
//! that they come at all.

use entrada::Secret;
use entrada::conn_string::{ConnectionString, Dialect, Key, ParseOptions};

#[test]
fn columns_count_characters_up_to_the_broken_pair() {
    for (text, column) in [
        ("APP=é;  Pooling=x", 8),
        ("APP=é;Nope=x", 6),
        ("APP=é;PWD='x", 6),
        ("APP=é;Server=h:1", 6),
        ("APP=é;UID=u;Authentication=SqlPassword", 12),
    ] {
        let error = ConnectionString::parse_as(text, Dialect::AdoNet).unwrap_err();
        assert_eq!(error.column(), column, "{text}: {error}");
    }
    let warned = ConnectionString::parse_as("Driver=d;Server=é;X=y", Dialect::Odbc).unwrap();
    assert_eq!(warned.warnings()[0].column, 18);
}

#[test]
fn half_a_password_is_not_repeated() {
    let warned = |text: &str| {
        let string = ConnectionString::parse_as(text, Dialect::Odbc).unwrap();
        string
            .warnings()
            .iter()
            .map(|warning| warning.keyword.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        warned("Driver=d;Server=h;PWD=a;half;UID=u"),
        [Some("…;UID".to_owned())]
    );
    assert_eq!(warned("Driver=d;Server=h;PWD=a;h@lf=b"), [None]);
    let long = format!("Driver=d;Server=h;{}=1", "k".repeat(99));
    assert_eq!(warned(&long)[0].as_ref().unwrap().chars().count(), 65);
}

#[test]
fn what_is_not_repeated_is_kept_as_a_secret() {
    let text = "Driver=d;Server=h;PWD=\"a;half\";Encrypt=no;\u{a0}UID=u";
    let string = ConnectionString::parse_as(text, Dialect::Odbc).unwrap();
    let [swallowed, blank] = string.warnings() else {
        panic!("{:?}", string.warnings());
    };
    let withheld = swallowed.withheld.as_ref().map(Secret::expose);
    assert_eq!(withheld, Some("half\";Encrypt"));
    assert!(!format!("{swallowed:?} {swallowed}").contains("half"));
    assert_eq!(blank.keyword.as_deref(), Some("\u{a0}UID"));
    assert_eq!(blank.withheld, None);
}

#[test]
fn warnings_name_keywords_as_written_and_follow_the_text() {
    let text = "Driver=d;Server=h;failover_partner=m;uid=a;Uid=b;Colour=x";
    let string = ConnectionString::parse_as(text, Dialect::Odbc).unwrap();
    let keywords = string.warnings().iter().map(|w| w.keyword.as_deref());
    let expected = ["failover_partner", "Uid", "Colour"];
    assert_eq!(keywords.collect::<Vec<_>>(), expected.map(Some));
}

#[test]
fn a_dropped_url_parameter_says_what_to_escape() {
    for (query, escape) in [("database=a;b", "%3B"), ("database=50%", "%25")] {
        let text = format!("sqlserver://h?{query}");
        let string = ConnectionString::parse(&text).unwrap();
        let warning = &string.warnings()[0];
        assert_eq!(warning.keyword.as_deref(), Some("database"));
        assert!(warning.hint.as_ref().unwrap().contains(escape), "{warning}");
    }
}

#[test]
fn a_password_beside_a_certificate_is_a_secret() {
    let text = "Driver=d;Server=h;ClientCertificate=/c.pem;ClientKey=file:/k,Password:MARKER";
    let string = ConnectionString::parse_as(text, Dialect::Odbc).unwrap();
    assert_eq!(string.text(Key::ClientCertificate), Some("/c.pem"));
    let key = string.secret(Key::ClientKey).unwrap();
    assert_eq!(key.expose(), "file:/k,Password:MARKER");
    assert!(!format!("{string:?}").contains("MARKER"));
}

#[test]
fn strict_parsing_turns_warnings_into_errors() {
    for (text, kind) in [
        ("Driver=d;Server=h;Colour=b", "unknown_keyword"),
        ("Driver=d;Server=h;UID=a;UID=b", "duplicate_keyword"),
        ("Driver=d;Server=h;PWD={a}b", "syntax"),
        ("Driver=d;Server=h;PWD={a", "syntax"),
        ("Driver=d;Server=h;;", "syntax"),
        ("Driver=d;Server=h;PacketSize=x", "invalid_value"),
    ] {
        let error = ParseOptions::new().strict(true).parse(text).unwrap_err();
        assert_eq!(error.kind(), kind, "{text}");
    }
    assert!(
        ParseOptions::new()
            .strict(true)
            .parse("Driver=d;Server=h;UID=a;UID=a;")
            .is_ok()
    );
}

#[test]
fn a_text_of_any_size_is_answered() {
    let long = "a".repeat(64 * 1024 + 1);
    assert_eq!(ConnectionString::parse(&long).unwrap_err().kind(), "syntax");
    for piece in [
        "a=;",
        "k=v&",
        "UID=u;",
        "UID=u;UID=v;",
        "Driver=d;Server=h;",
        "{};",
        "PWD={",
        "=;",
    ] {
        let mut text = piece.repeat(60 * 1024 / piece.len());
        for dialect in Dialect::ALL {
            let _ = ConnectionString::parse_as(&text, dialect);
        }
        let _ = ConnectionString::parse(&text);
        text.insert_str(0, "sqlserver://h?");
        let _ = ConnectionString::parse(&text);
        text.insert_str(0, "jdbc:");
        let _ = ConnectionString::parse(&text);
    }
    let faulty = format!("Driver=d;Server=h;{}", "a=b;".repeat(101));
    let error = ConnectionString::parse_as(&faulty, Dialect::Odbc).unwrap_err();
    assert!(
        error.to_string().contains("over a hundred faults"),
        "{error}"
    );
}
