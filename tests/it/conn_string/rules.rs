//! Rules of the drivers that the corpus does not show.

use entrada::conn_string::{ConnectionString, Dialect, Value};

/// Reads a text; the answer is the kind of the error, or `Key=value` pairs.
fn outcome(dialect: Dialect, text: &str) -> String {
    match ConnectionString::parse_as(text, dialect) {
        Err(error) => error.kind().to_owned(),
        Ok(string) => {
            let pairs = string
                .settings()
                .iter()
                .filter(|setting| setting.key.name() != "Driver");
            let pairs = pairs.map(|setting| {
                let value = match &setting.value {
                    Value::Bool(on) => on.to_string(),
                    Value::Number(number) => number.to_string(),
                    Value::Secret(secret) => secret.expose().to_owned(),
                    Value::Text(text) => text.clone(),
                    _ => String::new(),
                };
                format!("{}={value}", setting.key.name())
            });
            pairs.collect::<Vec<_>>().join("|")
        }
    }
}

fn check(dialect: Dialect, head: &str, cases: &[(&str, &str)]) {
    let mut failures = Vec::new();
    for (text, expected) in cases {
        let found = outcome(dialect, &format!("{head}{text}"));
        if found != *expected {
            failures.push(format!("{text}: {found} in place of {expected}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn ado_net_values() {
    check(
        Dialect::AdoNet,
        "",
        &[
            ("Pooling=;Application Intent=;Encrypt=;Max Pool Size=", ""),
            ("Encrypt=' true '", "invalid_value"),
            ("Encrypt=''", "invalid_value"),
            ("Pooling=' YES '", "Pooling=true"),
            ("Pooling=''", "invalid_value"),
            ("Pooling=sspi", "invalid_value"),
            ("Trusted_Connection=sspi", "Integrated Security=true"),
            ("Packet Size=32768", "Packet Size=32768"),
            ("Packet Size=32769", "invalid_value"),
            ("Connect Timeout=-1", "invalid_value"),
            ("Connect Timeout=2147483648", "invalid_value"),
            ("Connect Timeout=1,000", "invalid_value"),
            ("Connect Timeout=0x10", "invalid_value"),
            ("ConnectRetryInterval=0", "invalid_value"),
            ("ConnectRetryInterval=61", "invalid_value"),
            ("Min Pool Size=101", "invalid_value"),
            ("Max Pool Size=0", "invalid_value"),
            ("Context Connection=true", "invalid_value"),
            (
                "Type System Version=SQL Server 2012",
                "Type System Version=SQL Server 2012",
            ),
            ("Type System Version=2012", "invalid_value"),
            ("Application Intent=1", "invalid_value"),
            (
                "IP Address Preference=ipv6first",
                "IP Address Preference=IPv6First",
            ),
            (
                "AttachDbFilename=|DataDirectory|\\a.mdf",
                "AttachDbFilename=|DataDirectory|\\a.mdf",
            ),
            ("AttachDbFilename=a|b", "invalid_value"),
            ("Authentication=''", "invalid_value"),
            ("Authentication=ActiveDirectory Default", "invalid_value"),
            ("Authentication=", ""),
            (
                "Authentication=' active directory default '",
                "Authentication=ActiveDirectoryDefault",
            ),
        ],
    );
}

#[test]
fn ado_net_lengths() {
    let at_limit = "x".repeat(128);
    assert_eq!(
        outcome(Dialect::AdoNet, &format!("Database={at_limit}")),
        format!("Initial Catalog={at_limit}")
    );
    for keyword in [
        "Database", "User ID", "Password", "APP", "WSID", "Language", "Server",
    ] {
        // A character beyond the first plane counts twice, as in .NET.
        let text = format!("{keyword}={}𝕊", "x".repeat(127));
        assert_eq!(
            outcome(Dialect::AdoNet, &text),
            "invalid_value",
            "{keyword}"
        );
    }
}

#[test]
fn ado_net_grammar() {
    check(
        Dialect::AdoNet,
        "",
        &[
            ("", ""),
            (
                "\u{2003};\u{a0}Database\t=\r\n x \u{2003};",
                "Initial Catalog=x",
            ),
            ("Database=a\u{1};UID=u", "syntax"),
            ("Database=a\u{1}", "syntax"),
            ("Database\u{1}=a", "syntax"),
            ("Database=a\0\0 ", "Initial Catalog=a"),
            ("Database=a\0b", "syntax"),
            ("Database='a\0'", "syntax"),
            ("Database='a';", "Initial Catalog=a"),
            ("Database='a' \t;UID=u", "Initial Catalog=a|User ID=u"),
            ("=x", "syntax"),
            ("==x", "syntax"),
            ("==x=y", "unknown_keyword"),
            ("Database={a}", "Initial Catalog={a}"),
            ("Database={a;b}", "syntax"),
            ("Database='", "syntax"),
            ("Database=''''", "Initial Catalog='"),
            ("Network Library=dbmssocn", "unknown_keyword"),
            ("Transparent Network IP Resolution=true", "unknown_keyword"),
            ("MARS=true", "unknown_keyword"),
            ("Username=u", "unknown_keyword"),
            ("Provider=SQLOLEDB", "unknown_keyword"),
        ],
    );
}

#[test]
fn ado_net_combinations() {
    check(
        Dialect::AdoNet,
        "",
        &[
            (
                "Authentication=SqlPassword;UID=;PWD=",
                "Authentication=SqlPassword",
            ),
            (
                "Authentication=SqlPassword;UID=u;PWD=''",
                "Authentication=SqlPassword|User ID=u",
            ),
            (
                "Authentication=Active Directory Service Principal;UID=u",
                "missing_value",
            ),
            (
                "Authentication=Active Directory Integrated;UID=u",
                "Authentication=ActiveDirectoryIntegrated|User ID=u",
            ),
            (
                "Authentication=Active Directory Interactive;PWD=p",
                "conflict",
            ),
            (
                "Authentication=Active Directory Workload Identity;PWD=p",
                "conflict",
            ),
            (
                "Authentication=Active Directory Device Code Flow;User=",
                "conflict",
            ),
            (
                "Authentication=SqlPassword;UID=u;PWD=p;Integrated Security=false",
                "Authentication=SqlPassword|User ID=u|Password=p|Integrated Security=false",
            ),
            (
                "Failover Partner=m;Database=d;Application Intent=ReadOnly",
                "conflict",
            ),
            (
                "Failover Partner=m;Database=d;User Instance=true",
                "conflict",
            ),
            (
                "Failover Partner=m;Database=d",
                "Failover Partner=m|Initial Catalog=d",
            ),
        ],
    );
}

#[test]
fn odbc_values() {
    check(
        Dialect::Odbc,
        "Driver={d};Server=h;",
        &[
            ("Encrypt=;UID=u", "invalid_value"),
            (
                "Encrypt=strict;TrustServerCertificate=yes",
                "Encrypt=strict|Trust Server Certificate=false|Host=h",
            ),
            ("Encrypt=1", "invalid_value"),
            ("Trusted_Connection=true", "invalid_value"),
            (
                "MultiSubnetFailover=yes",
                "Multi Subnet Failover=true|Host=h",
            ),
            ("TransparentNetworkIPResolution=yes", "invalid_value"),
            ("ApplicationIntent=;UID=u", "invalid_value"),
            ("UID=;PWD={};Database=", "Host=h"),
            ("PacketSize=abc", "Host=h"),
            ("ConnectRetryCount=;UID=u", "User ID=u|Host=h"),
            ("ConnectRetryCount=256", "invalid_value"),
            ("IpAddressPreference=x", "Host=h"),
            ("ColumnEncryption=x", "Column Encryption Setting=x|Host=h"),
            ("KeepAlive=0", "invalid_value"),
            ("KeepAlive=abc", "invalid_value"),
            ("KeepAlive=;UID=u", "invalid_value"),
            ("KeepAlive=9", "Keep Alive=9|Host=h"),
            ("QuotedId=1", "invalid_value"),
            (
                "Authentication=ActiveDirectoryMSI;PWD=p",
                "Authentication=ActiveDirectoryManagedIdentity|Password=p|Host=h",
            ),
            ("Authentication=ActiveDirectoryDefault", "invalid_value"),
            (
                "Authentication=SqlPassword;UID=u;PWD={}",
                "Authentication=SqlPassword|User ID=u|Host=h",
            ),
            (
                "Authentication=ActiveDirectoryServicePrincipal;PWD=p",
                "missing_value",
            ),
            ("Failover_Partner=m", "Host=h"),
        ],
    );
    let long = "x".repeat(129);
    for keyword in ["UID", "PWD", "Database", "APP", "WSID", "Language"] {
        assert_eq!(
            outcome(
                Dialect::Odbc,
                &format!("Driver=d;Server=h;{keyword}={long}")
            ),
            "invalid_value"
        );
    }
}

#[test]
fn a_keyword_has_one_type_in_all_dialects() {
    let ip = "Transparent Network IP Resolution=false|Host=h";
    check(
        Dialect::Odbc,
        "Driver=d;Server=h;",
        &[
            (
                "ColumnEncryption=ENABLED",
                "Column Encryption Setting=Enabled|Host=h",
            ),
            ("TransparentNetworkIPResolution=disabled", ip),
            ("TransparentNetworkIPResolution=no", "invalid_value"),
        ],
    );
    check(
        Dialect::Jdbc,
        "jdbc:sqlserver://h;",
        &[("TransparentNetworkIPResolution=FALSE", ip)],
    );
}

#[test]
fn odbc_grammar() {
    check(
        Dialect::Odbc,
        "",
        &[
            ("Driver=d", "missing_value"),
            ("Driver=d;Server=", "missing_value"),
            ("Driver=d;Server=;UID=u", "User ID=u|Host=localhost"),
            ("Server=h", "missing_value"),
            ("Driver ={d};Server=h", "missing_value"),
            ("DSN=x;Server=h", "DSN=x|Host=h"),
            ("Driver=d;Addr=h", "Host=h"),
            ("Driver=d;Addr=;Server=h", "Host=h"),
            ("Driver=d;Addr=a;Address=b;Server=h", "Host=a"),
            ("Driver=d;Server=h;UID=", "Host=h"),
            ("Driver=d;Server=h;PWD={a}}}", "Password=a}|Host=h"),
            (
                "Driver=d;Server=h;PWD={a}} ;UID=u",
                "Password=a} ;UID=u|Host=h",
            ),
            ("Driver=d;Server=h;PWD={a} ;UID=u", "Password=a|Host=h"),
            ("Driver=d;Server=h;PWD==x", "Password==x|Host=h"),
            ("Driver=d;Server=h;\u{a0}UID=u", "Host=h"),
            ("Driver=d;Server=h;\u{c}\u{b}UID=u", "User ID=u|Host=h"),
            ("Driver=d;Server=h;UID=u;PWD", "User ID=u|Host=h"),
        ],
    );
}

#[test]
fn jdbc_values() {
    check(
        Dialect::Jdbc,
        "jdbc:sqlserver://h;",
        &[
            ("encrypt=", "invalid_value"),
            ("encrypt=no", "Encrypt=optional|Host=h"),
            ("integratedSecurity=", "invalid_value"),
            ("authentication=", "invalid_value"),
            ("authentication=NotSpecified", "Host=h"),
            ("applicationIntent=", "invalid_value"),
            (
                "applicationIntent=readonly",
                "Application Intent=ReadOnly|Host=h",
            ),
            ("loginTimeout=;packetSize=", "Host=h"),
            ("loginTimeout=65536", "invalid_value"),
            ("loginTimeout=0", "Connect Timeout=30|Host=h"),
            ("loginTimeout={ 5}", "invalid_value"),
            ("packetSize=511", "invalid_value"),
            ("packetSize=32768", "invalid_value"),
            ("packetSize=0", "Packet Size=32767|Host=h"),
            ("queryTimeout=-2", "invalid_value"),
            ("lockTimeout=-2", "invalid_value"),
            ("connectRetryCount=256", "invalid_value"),
            ("connectRetryInterval=0", "invalid_value"),
            ("selectMethod=x", "invalid_value"),
            ("sendTimeAsDatetime=yes", "invalid_value"),
            (
                "authentication=ActiveDirectoryServicePrincipal;user=u",
                "missing_value",
            ),
            (
                "authentication=ActiveDirectoryServicePrincipal;user=u;password=",
                "missing_value",
            ),
            (
                "authentication=ActiveDirectoryServicePrincipalCertificate;user=u",
                "missing_value",
            ),
            (
                "authentication=ActiveDirectoryDefault;password=p",
                "conflict",
            ),
            (
                "authentication=ActiveDirectoryMSI;password=",
                "Authentication=ActiveDirectoryManagedIdentity|Host=h",
            ),
            ("failoverPartner=m", "missing_value"),
            (
                "failoverPartner=m;database=d;multiSubnetFailover=true",
                "conflict",
            ),
            ("pwd=x;Initial Catalog=y", "Host=h"),
        ],
    );
}

#[test]
fn jdbc_grammar() {
    check(
        Dialect::Jdbc,
        "",
        &[
            ("JDBC:sqlserver://h", "syntax"),
            (" jdbc:sqlserver://h", "syntax"),
            ("jdbc:sqlserver://", ""),
            ("jdbc:sqlserver:// h ", "Host=h"),
            ("jdbc:sqlserver://user=a;password=b", "syntax"),
            ("jdbc:sqlserver://h:;user=a", "invalid_server"),
            ("jdbc:sqlserver://h:0", "Host=h"),
            ("jdbc:sqlserver://h:1433\\i", "invalid_server"),
            ("jdbc:sqlserver://a:1;serverName=b;port=2", "Host=b|Port=2"),
            ("jdbc:sqlserver://h;serverName=g\\i", "Host=g|Instance=i"),
            (
                "jdbc:sqlserver://h;serverName=g\\i;instanceName=j",
                "Host=g|Instance=j",
            ),
            ("jdbc:sqlserver://h;=x", "syntax"),
            ("jdbc:sqlserver://h; ;;user=a;", "User ID=a|Host=h"),
            (
                "jdbc:sqlserver://h;password={a}  ;user=u",
                "Password=a|User ID=u|Host=h",
            ),
            ("jdbc:sqlserver://h;password={a}\t;user=u", "syntax"),
            ("jdbc:sqlserver://h;password=a}b", "Password=a}b|Host=h"),
            ("jdbc:sqlserver://h;password='a b'", "Password='a b'|Host=h"),
            ("jdbc:sqlserver://h;user=", "Host=h"),
            ("jdbc:sqlserver://tcp:h,1433", "invalid_server"),
            (
                "sqlserver://h:5;database=d;uid=u;pwd={p}",
                "Initial Catalog=d|User ID=u|Password=p|Host=h|Port=5",
            ),
        ],
    );
}

#[test]
fn url_values() {
    check(
        Dialect::SqlServerUrl,
        "sqlserver://h?",
        &[
            ("encrypt=", "invalid_value"),
            ("encrypt=T", "Encrypt=mandatory|Host=h"),
            ("encrypt=disable", "Encrypt=disable|Host=h"),
            (
                "encrypt=strict&trustservercertificate=1",
                "Encrypt=strict|Trust Server Certificate=false|Host=h",
            ),
            ("trustservercertificate=TrUe", "invalid_value"),
            (
                "multisubnetfailover=disabled",
                "Multi Subnet Failover=false|Host=h",
            ),
            ("packet+size=100", "Packet Size=512|Host=h"),
            ("packet+size=65535", "Packet Size=32767|Host=h"),
            ("packet+size=65536", "invalid_value"),
            ("packet+size=0x1000", "Packet Size=4096|Host=h"),
            ("dial+timeout=-1", "invalid_value"),
            ("connection+timeout=", "invalid_value"),
            ("applicationintent=ReadOnly", "missing_value"),
            (
                "applicationintent=readonly",
                "Application Intent=ReadWrite|Host=h",
            ),
            (
                "applicationintent=ReadOnly&database=d",
                "Application Intent=ReadOnly|Initial Catalog=d|Host=h",
            ),
            ("servercertificate=/a&hostnameincertificate=b", "conflict"),
            ("protocol=np", "invalid_value"),
            ("protocol=admin", "Protocol=admin|Host=h"),
            ("fedauth=", "Host=h"),
            (
                "fedauth=activedirectorymsi&password=p",
                "Authentication=ActiveDirectoryManagedIdentity|Password=p|Host=h",
            ),
            (
                "fedauth=ActiveDirectoryApplication&user+id=c&clientcertpath=/c",
                "Authentication=ActiveDirectoryServicePrincipal|User ID=c|Client Certificate=/c|Host=h",
            ),
            ("fedauth=ActiveDirectoryInteractive", "missing_value"),
            ("fedauth=Active Directory Default", "invalid_value"),
        ],
    );
}

#[test]
fn url_grammar() {
    check(
        Dialect::SqlServerUrl,
        "",
        &[
            ("SQLSERVER://h", "syntax"),
            ("sqlserver://", "Host=localhost"),
            (
                "sqlserver://.?database=d",
                "Initial Catalog=d|Host=localhost",
            ),
            ("sqlserver://h:0", "Host=h"),
            ("sqlserver://h:x", "syntax"),
            ("sqlserver://h:65536", "invalid_server"),
            ("sqlserver://h:1433?port=1433", "duplicate_keyword"),
            ("sqlserver://h?server=g", "duplicate_keyword"),
            ("sqlserver://?server=g%5Ci", "Host=g|Instance=i"),
            ("sqlserver://u:p@h?password=q", "duplicate_keyword"),
            ("sqlserver://h?colour=1&Colour=2", "duplicate_keyword"),
            ("sqlserver://u%zz@h", "syntax"),
            ("sqlserver://u:p@ss@h", "User ID=u|Password=p@ss|Host=h"),
            ("sqlserver://u:p w@h", "syntax"),
            ("sqlserver://h/", "Host=h"),
            ("sqlserver://h:5/i", "Host=h|Port=5"),
            (
                "sqlserver://h?password=a;b&database=d",
                "Initial Catalog=d|Host=h",
            ),
            ("sqlserver://h?password=a%3Bb", "Password=a;b|Host=h"),
            (
                "sqlserver://h?database=a%zz&app+name=x",
                "Application Name=x|Host=h",
            ),
            ("sqlserver://h?database", "Host=h"),
            ("sqlserver://h?database=d#f", "Initial Catalog=d|Host=h"),
            (
                "odbc:server=h;user id= u ;password={a;}}b} ;port=5",
                "User ID=u|Password=a;}b|Host=h|Port=5",
            ),
            ("odbc:server=h;password={a}b", "syntax"),
            ("odbc:server=h;password={a", "syntax"),
            ("odbc:server=h;UID=u", "Host=h"),
            (
                "server=tcp:h,5;user id=u;password=\"a\"\"b;\"",
                "User ID=u|Password=a\"b;|Host=h|Port=5|Protocol=tcp",
            ),
            ("Server=h;Authentication=Active Directory Default", "Host=h"),
        ],
    );
}

#[test]
fn detection_asks_only_where_meaning_differs() {
    for (text, expected) in [
        (
            "Server=h;Database=d;Encrypt=true;Trusted_Connection=no",
            "adonet",
        ),
        ("Server=h;UID=u;PWD=p", "adonet"),
        ("Server=h;UID=u;PWD=\"a;b\"", "ambiguous"),
        ("Server=h;UID=u;PWD={a}", "ambiguous"),
        ("Server=h;UID=u;UID=v", "ambiguous"),
        ("Server=h; UID=u ;PWD=p", "ambiguous"),
        ("Server=h;UID=u;PWD=={x", "ambiguous"),
        ("Server=h;UID=u;User ID=v;MARS_Connection=yes", "ambiguous"),
        ("Server=h;User ID=u;Password={a;b=c", "unknown_keyword"),
        ("Server=h;Password=\"a;Driver=x\"", "adonet"),
        ("Server=h;Password='a", "syntax"),
        ("Server=h;Password='a;Driver=x", "odbc"),
        ("Server=h;PWD='a", "ambiguous"),
        (
            "PWD={a;b=c};Driver={ODBC Driver 18 for SQL Server};Server=h",
            "odbc",
        ),
        ("jdbc:sqlserver://h", "jdbc"),
        ("sqlserver://h;database=d", "jdbc"),
        ("sqlserver://h?database=d;e", "sqlserver-url"),
        ("odbc:server=h", "sqlserver-url"),
        ("Provider=SQLOLEDB;Server=h", "unknown_keyword"),
    ] {
        let found = match ConnectionString::parse(text) {
            Ok(string) => string.dialect().name(),
            Err(error) => error.kind(),
        };
        assert_eq!(found, expected, "{text}");
    }
}
