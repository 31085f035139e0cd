//! The one list of keywords: per dialect the spellings, the type, the default.
//!
//! Canonical names are SqlClient's where it has one. The parser, the writer,
//! the hints and the table in the README are all made from it.

use super::Dialect::{self, AdoNet, Jdbc, Odbc, SqlServerUrl};
use super::values::Kind::{self, *};

/// A keyword with everything that the dialects say about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Keyword {
    /// Which keyword it is.
    pub key: Key,
    /// What it is for, in one sentence.
    pub help: &'static str,
    /// Whether it is a setting of every SQL Server client, named as SqlClient
    /// names it, or one of a single driver.
    pub common: bool,
    pub(super) uses: &'static [Use],
}

/// What one dialect says about a keyword.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) dialect: Dialect,
    /// Spellings; the first is written.
    pub(super) names: &'static [&'static str],
    pub(super) kind: Kind,
    /// The default, as text for the table.
    pub(super) default: &'static str,
}

macro_rules! keywords {
    ($( $group:ident $key:ident $name:literal $help:literal {
        $( $dialect:ident [$($spelling:literal),+] $kind:expr, $default:literal; )*
    } )+) => {
        /// A keyword, whatever the dialect calls it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Key {
            $( #[doc = $help] $key, )+
            /// A keyword that only the named driver knows and that means
            /// nothing here.
            Other(&'static str),
        }

        impl Key {
            /// The canonical name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $( Self::$key => $name, )+
                    Self::Other(name) => name,
                }
            }
        }

        /// All keywords that mean something here.
        pub static KEYWORDS: &[Keyword] = &[ $( Keyword {
            key: Key::$key,
            help: $help,
            common: keywords!(@ $group),
            uses: &[ $( Use {
                dialect: $dialect,
                names: &[$($spelling),+],
                kind: $kind,
                default: $default,
            } ),* ],
        } ),+ ];
    };
    (@ common) => { true };
    (@ driver) => { false };
}

const MAX: i64 = i32::MAX as i64;
/// Go reads 64 bits.
const WIDE: i64 = i64::MAX;
const INTENT: &[&str] = &["ReadWrite", "ReadOnly"];
const ON_OFF: &[&str] = &["Enabled", "Disabled"];
const ATTEST: &[&str] = &["HGS", "AAS", "None"];
const ADDRESSES: &[&str] = &["IPv4First", "IPv6First", "UsePlatformDefault"];
const BLOCKING: &[&str] = &["Auto", "AlwaysBlock", "NeverBlock"];
const BINDING: &[&str] = &["Implicit Unbind", "Explicit Unbind"];
const TYPES: &[&str] = &[
    "Latest",
    "SQL Server 2005",
    "SQL Server 2008",
    "SQL Server 2012",
];
const SCHEMES: &[&str] = &["NativeAuthentication", "JavaKerberos", "NTLM"];

keywords! {
    common DataSource "Data Source" "The server: host, instance and port." {
        AdoNet ["Data Source", "Server", "Address", "Addr", "Network Address"] Text(128), "this machine";
        Odbc ["Server"] Text(0), "";
        Jdbc ["serverName", "server"] Text(0), "localhost";
        SqlServerUrl ["server"] Text(0), "localhost";
    }
    driver Address "Address" "The server; wins over `Server`." {
        Odbc ["Address", "Addr"] Text(0), "";
    }
    common Host "Host" "The host of the server." {}
    common Port "Port" "The TCP port of the server." {
        Jdbc ["portNumber", "port"] Port, "1433";
        SqlServerUrl ["port"] Port, "1433";
    }
    common Instance "Instance" "The named instance of the server." {
        Jdbc ["instanceName"] Text(128), "";
    }
    common Protocol "Protocol" "The protocol to reach the server by." {
        SqlServerUrl ["protocol"] OneOf(&["tcp", "admin"]), "tcp";
    }
    common InitialCatalog "Initial Catalog" "The database." {
        AdoNet ["Initial Catalog", "Database"] Text(128), "the login's";
        Odbc ["Database"] Text(128), "the login's";
        Jdbc ["databaseName", "database"] Text(128), "the login's";
        SqlServerUrl ["database"] Text(0), "the login's";
    }
    common UserId "User ID" "SQL login, or the id of the identity." {
        AdoNet ["User ID", "UID", "User"] Text(128), "";
        Odbc ["UID"] Text(128), "";
        Jdbc ["user", "userName", "uid"] Text(128), "";
        SqlServerUrl ["user id"] Text(0), "";
    }
    common Password "Password" "Password of the SQL login, or secret of the service principal." {
        AdoNet ["Password", "PWD"] Secret(128), "";
        Odbc ["PWD"] Secret(128), "";
        Jdbc ["password"] Secret(128), "";
        SqlServerUrl ["password"] Secret(0), "";
    }
    common Authentication "Authentication" "How to prove the identity." {
        AdoNet ["Authentication"] Authentication, "SQL login";
        Odbc ["Authentication"] Authentication, "SQL login";
        Jdbc ["authentication"] Authentication, "NotSpecified";
        SqlServerUrl ["fedauth"] Authentication, "SQL login";
    }
    common IntegratedSecurity "Integrated Security" "Windows or Kerberos login of the process's user." {
        AdoNet ["Integrated Security", "Trusted_Connection"] Security, "false";
        Odbc ["Trusted_Connection"] Bool, "no";
        Jdbc ["integratedSecurity"] Bool, "false";
    }
    common MsiClientId "MSI Client ID" "Client id of a user-assigned managed identity." {
        Jdbc ["msiClientId"] Text(0), "";
    }
    common ResourceId "Resource ID" "Azure resource id of a user-assigned managed identity." {
        SqlServerUrl ["resource id"] Text(0), "";
    }
    common TenantId "Tenant ID" "Tenant of the service principal, split off `User ID`." {}
    common Encrypt "Encrypt" "When the channel is encrypted." {
        AdoNet ["Encrypt"] Encrypt, "true";
        Odbc ["Encrypt"] Encrypt, "yes";
        Jdbc ["encrypt"] Encrypt, "true";
        SqlServerUrl ["encrypt"] Encrypt, "false";
    }
    common TrustServerCertificate "Trust Server Certificate" "Takes any certificate." {
        AdoNet ["Trust Server Certificate", "TrustServerCertificate"] Bool, "false";
        Odbc ["TrustServerCertificate"] Bool, "no";
        Jdbc ["trustServerCertificate"] Bool, "false";
        SqlServerUrl ["trustservercertificate"] Bool, "true without `encrypt`";
    }
    common HostNameInCertificate "Host Name In Certificate" "The name to look for in the certificate." {
        AdoNet ["Host Name In Certificate", "HostNameInCertificate"] Text(0), "the host";
        Odbc ["HostNameInCertificate"] Text(0), "the host";
        Jdbc ["hostNameInCertificate"] Text(0), "the host";
        SqlServerUrl ["hostnameincertificate"] Text(0), "the host";
    }
    common ServerCertificate "Server Certificate" "File with the very certificate that the server must show." {
        AdoNet ["Server Certificate", "ServerCertificate"] Text(0), "";
        Odbc ["ServerCertificate"] Text(0), "";
        Jdbc ["serverCertificate"] Text(0), "";
        SqlServerUrl ["servercertificate"] Text(0), "";
    }
    common ClientCertificate "Client Certificate" "File with the client's or service principal's certificate." {
        Odbc ["ClientCertificate"] File, "";
        Jdbc ["clientCertificate"] Text(0), "";
        SqlServerUrl ["clientcertpath"] Text(0), "";
    }
    common ClientKey "Client Key" "File with the key of the client certificate." {
        Odbc ["ClientKey"] File, "";
        Jdbc ["clientKey"] Text(0), "";
    }
    common PacketSize "Packet Size" "Bytes in a TDS packet." {
        AdoNet ["Packet Size", "PacketSize"] Int(512, 32768), "8000";
        Odbc ["PacketSize"] PacketSize, "the server's";
        Jdbc ["packetSize"] PacketSize, "8000";
        SqlServerUrl ["packet size"] PacketSize, "4096";
    }
    common MultiSubnetFailover "Multi Subnet Failover" "Tries all addresses of the host at once." {
        AdoNet ["Multi Subnet Failover", "MultiSubnetFailover"] Bool, "false";
        Odbc ["MultiSubnetFailover"] Bool, "no";
        Jdbc ["multiSubnetFailover"] Bool, "false";
        SqlServerUrl ["multisubnetfailover"] Switch, "true";
    }
    common TransparentIp "Transparent Network IP Resolution" "Older way to try several addresses." {
        Odbc ["TransparentNetworkIPResolution"] Enabled, "Enabled";
        Jdbc ["TransparentNetworkIPResolution"] Bool, "true";
    }
    common IpAddressPreference "IP Address Preference" "Which addresses of the host come first." {
        AdoNet ["IP Address Preference", "IPAddressPreference"] OneOf(ADDRESSES), "IPv4First";
        Odbc ["IpAddressPreference"] Lax(ADDRESSES), "IPv4First";
        Jdbc ["iPAddressPreference"] OneOf(ADDRESSES), "IPv4First";
    }
    common NetworkLibrary "Network Library" "Protocol library." {
        Odbc ["Network", "Net"] Text(0), "";
    }
    common ApplicationIntent "Application Intent" "Whether a read-only secondary will do." {
        AdoNet ["Application Intent", "ApplicationIntent"] OneOf(INTENT), "ReadWrite";
        Odbc ["ApplicationIntent"] OneOf(INTENT), "ReadWrite";
        Jdbc ["applicationIntent"] OneOf(INTENT), "ReadWrite";
        SqlServerUrl ["applicationintent"] Exact(INTENT), "ReadWrite";
    }
    common ConnectTimeout "Connect Timeout" "Seconds for a connect; 0 is for ever (JDBC: the default)." {
        AdoNet ["Connect Timeout", "Connection Timeout", "Timeout", "ConnectTimeout"] Int(0, MAX), "15";
        Jdbc ["loginTimeout"] Int(0, 65535), "30";
        SqlServerUrl ["connection timeout"] Int(0, WIDE), "0";
    }
    common DialTimeout "Dial Timeout" "Seconds for the TCP connect." {
        SqlServerUrl ["dial timeout"] Int(0, WIDE), "15";
    }
    common CommandTimeout "Command Timeout" "Seconds for a command; 0 is for ever." {
        AdoNet ["Command Timeout"] Int(0, MAX), "30";
        Jdbc ["queryTimeout"] Int(-1, MAX), "-1";
    }
    common ConnectRetryCount "Connect Retry Count" "How often a transient failure is tried again." {
        AdoNet ["Connect Retry Count", "ConnectRetryCount"] Int(0, 255), "1 (Azure: 2)";
        Odbc ["ConnectRetryCount"] LaxInt(0, 255), "1";
        Jdbc ["connectRetryCount"] Int(0, 255), "1";
    }
    common ConnectRetryInterval "Connect Retry Interval" "Seconds between two tries." {
        AdoNet ["Connect Retry Interval", "ConnectRetryInterval"] Int(1, 60), "10";
        Odbc ["ConnectRetryInterval"] LaxInt(1, 60), "10";
        Jdbc ["connectRetryInterval"] Int(1, 60), "10";
    }
    common Pooling "Pooling" "Whether sessions are pooled." {
        AdoNet ["Pooling"] Bool, "true";
    }
    common MaxPoolSize "Max Pool Size" "The most sessions at a time." {
        AdoNet ["Max Pool Size"] Int(1, MAX), "100";
    }
    common MinPoolSize "Min Pool Size" "Sessions kept even when idle." {
        AdoNet ["Min Pool Size"] Int(0, MAX), "0";
    }
    common LoadBalanceTimeout "Load Balance Timeout" "Age in seconds at which a returned session is closed; 0 is no limit." {
        AdoNet ["Load Balance Timeout", "Connection Lifetime"] Int(0, MAX), "0";
    }
    common ConnectionIdleTimeout "Connection Idle Timeout" "Idle seconds after which a pooled session is closed; 0 is never." {
        AdoNet ["Connection Idle Timeout"] Int(0, MAX), "300";
    }
    common PoolBlockingPeriod "Pool Blocking Period" "Whether a failed login blocks the pool for a while." {
        AdoNet ["Pool Blocking Period", "PoolBlockingPeriod"] OneOf(BLOCKING), "Auto";
    }
    common Enlist "Enlist" "Joins an ambient transaction." {
        AdoNet ["Enlist"] Bool, "true";
    }
    common TransactionBinding "Transaction Binding" "What follows the end of an ambient transaction." {
        AdoNet ["Transaction Binding"] TextOf(BINDING), "Implicit Unbind";
    }
    common ApplicationName "Application Name" "Name of the program, shown by the server." {
        AdoNet ["Application Name", "APP"] Text(128), "entrada";
        Odbc ["APP"] Text(128), "entrada";
        Jdbc ["applicationName", "app"] Text(128), "entrada";
        SqlServerUrl ["app name"] Text(0), "entrada";
    }
    common WorkstationId "Workstation ID" "Name of the client's machine, shown by the server." {
        AdoNet ["Workstation ID", "WSID", "WorkstationID"] Text(128), "host name";
        Odbc ["WSID"] Text(128), "host name";
        Jdbc ["workstationID"] Text(128), "host name";
        SqlServerUrl ["workstation id"] Text(0), "host name";
    }
    common CurrentLanguage "Current Language" "Language of server messages." {
        AdoNet ["Current Language", "Language"] Text(128), "the login's";
        Odbc ["Language"] Text(128), "the login's";
    }
    common MultipleActiveResultSets "Multiple Active Result Sets" "Several results open at a time (MARS)." {
        AdoNet ["Multiple Active Result Sets", "MultipleActiveResultSets"] Bool, "false";
        Odbc ["MARS_Connection"] Bool, "no";
    }
    common PersistSecurityInfo "Persist Security Info" "Whether the password can be read back." {
        AdoNet ["Persist Security Info", "PersistSecurityInfo"] Bool, "false";
    }
    common AttachDbFilename "AttachDbFilename" "Database file to attach." {
        AdoNet ["AttachDbFilename", "Extended Properties", "Initial File Name"] Text(260), "";
        Odbc ["AttachDBFileName"] Text(0), "";
    }
    common FailoverPartner "Failover Partner" "The mirror of the database." {
        AdoNet ["Failover Partner", "FailoverPartner"] Text(128), "";
        Odbc ["Failover_Partner"] Text(0), "";
        Jdbc ["failoverPartner"] Text(0), "";
        SqlServerUrl ["failoverpartner"] Text(0), "";
    }
    common FailoverPartnerSpn "Failover Partner SPN" "Service principal name of the mirror." {
        AdoNet ["Failover Partner SPN", "FailoverPartnerSPN"] Text(0), "";
        Odbc ["FailoverPartnerSPN"] Text(0), "";
        SqlServerUrl ["failoverpartnerspn"] Text(0), "";
    }
    common ServerSpn "Server SPN" "Service principal name of the server." {
        AdoNet ["Server SPN", "ServerSPN"] Text(0), "";
        Odbc ["ServerSPN"] Text(0), "";
        Jdbc ["serverSpn"] Text(0), "";
        SqlServerUrl ["serverspn"] Text(0), "";
    }
    common UserInstance "User Instance" "Private instance of SQL Server Express." {
        AdoNet ["User Instance"] Bool, "false";
    }
    common ColumnEncryption "Column Encryption Setting" "Always Encrypted." {
        AdoNet ["Column Encryption Setting", "ColumnEncryption"] OneOf(ON_OFF), "Disabled";
        Odbc ["ColumnEncryption"] Known(ON_OFF), "Disabled";
        Jdbc ["columnEncryptionSetting", "columnEncryption"] OneOf(ON_OFF), "Disabled";
        SqlServerUrl ["columnencryption"] OnOff, "Disabled";
    }
    common AttestationProtocol "Attestation Protocol" "How an enclave is attested." {
        AdoNet ["Attestation Protocol"] OneOf(ATTEST), "";
        Jdbc ["enclaveAttestationProtocol"] OneOf(ATTEST), "";
    }
    common AttestationUrl "Enclave Attestation Url" "Where an enclave is attested." {
        AdoNet ["Enclave Attestation Url"] Text(0), "";
        Jdbc ["enclaveAttestationUrl"] Text(0), "";
    }
    common Replication "Replication" "Whether it is a replication session." {
        AdoNet ["Replication"] Bool, "false";
        Odbc ["Replication"] Bool, "no";
        Jdbc ["replication"] Bool, "false";
    }
    common TypeSystemVersion "Type System Version" "Which server's types the client expects." {
        AdoNet ["Type System Version"] TextOf(TYPES), "Latest";
    }
    common ContextConnection "Context Connection" "Runs inside the server; refused." {
        AdoNet ["Context Connection"] Bool, "false";
    }
    common Driver "Driver" "The ODBC driver; must be there, and means nothing here." {
        Odbc ["Driver"] Text(0), "";
    }
    driver Dsn "DSN" "A data source of this machine; not read here." {
        Odbc ["DSN", "FileDSN"] Text(0), "";
    }
    driver KeepAlive "Keep Alive" "Idle seconds before a TCP keep-alive probe." {
        Odbc ["KeepAlive"] Int(1, 32767), "30";
        SqlServerUrl ["keepalive"] Int(0, WIDE), "30";
    }
    driver KeepAliveInterval "Keep Alive Interval" "Seconds between unanswered probes." {
        Odbc ["KeepAliveInterval"] Int(1, 32767), "1";
    }
    driver DisableRetry "Disable Retry" "Never tries a failed request again." {
        SqlServerUrl ["disableretry"] Bool, "true";
    }
    driver CaCertificate "CA Certificate" "File with a root certificate to trust." {
        SqlServerUrl ["certificate"] Text(0), "";
    }
    driver ClientKeyPassword "Client Key Password" "Password of the client key." {
        Jdbc ["clientKeyPassword"] Secret(0), "";
    }
    driver ApplicationClientId "Application Client ID" "Client id of the program, for interactive logins." {
        SqlServerUrl ["applicationclientid"] Text(0), "";
    }
    driver TokenFile "Token File" "File with the federated token." {
        SqlServerUrl ["tokenfilepath"] Text(0), "from the environment";
    }
    driver ServiceConnection "Service Connection ID" "Service connection of an Azure Pipelines job." {
        SqlServerUrl ["serviceconnectionid"] Text(0), "from the environment";
    }
    driver SystemToken "System Token" "Access token of an Azure Pipelines job." {
        SqlServerUrl ["systemtoken"] Secret(0), "from the environment";
    }
    driver ClientAssertion "Client Assertion" "Signed assertion of the service principal." {
        SqlServerUrl ["clientassertion"] Secret(0), "";
    }
    driver UserAssertion "User Assertion" "Token of the user to act for." {
        SqlServerUrl ["userassertion"] Secret(0), "";
    }
    driver AadPrincipalId "AAD Principal ID" "Older name of the service principal's client id." {
        Jdbc ["AADSecurePrincipalId"] Text(0), "";
    }
    driver AadPrincipalSecret "AAD Principal Secret" "Older name of the service principal's secret." {
        Jdbc ["AADSecurePrincipalSecret"] Secret(0), "";
    }
    driver AccessToken "Access Token" "The token itself." {}
    driver ClientId "Client ID" "Client id of the identity, whatever `User ID` means in the dialect." {}
    driver FederatedToken "Federated Token" "Where the token of another issuer comes from." {}
    driver IdentityPlatform "Identity Platform" "Which platform's managed identity; recognised if absent." {}
    driver ObjectId "Object ID" "Object (principal) id of a user-assigned managed identity." {}
    driver AuthenticationScheme "Authentication Scheme" "Which integrated login." {
        Jdbc ["authenticationScheme"] OneOf(SCHEMES), "NativeAuthentication";
    }
}

/// Keywords of one driver that mean nothing here: read, checked as the driver
/// checks them, and otherwise left alone.
#[rustfmt::skip]
pub(super) static DRIVER_ONLY: &[(Dialect, Kind, &[&str])] = &[
    (Odbc, Bool, &["QuotedId", "AnsiNPW", "AutoTranslate", "Regional", "UseFMTONLY", "LongAsMax",
        "ConcatNullYieldsNull", "GetDataExtensions"]),
    (Odbc, Text(0), &["SaveFile", "Description", "Desc", "RetryExec", "vectorTypeSupport", "QueryLog_On",
        "QueryLogFile", "QueryLogTime", "StatsLog_On", "StatsLogFile", "KeystoreAuthentication",
        "KeystorePrincipalId", "KeystoreLocation", "OemToAnsi", "TranslationName", "TranslationOption",
        "TranslationDLL", "FastConnectOption", "UseProcForPrepare", "Fallback"]),
    (Odbc, Secret(0), &["KeystoreSecret"]),
    (Jdbc, Bool, &["sendStringParametersAsUnicode", "sendTimeAsDatetime", "lastUpdateCount", "xopenStates",
        "serverNameAsACE", "fips", "disableStatementPooling", "enablePrepareOnFirstPreparedStatementCall",
        "useBulkCopyForBatchInsert", "bulkCopyForBatchInsertCheckConstraints",
        "bulkCopyForBatchInsertFireTriggers", "bulkCopyForBatchInsertKeepIdentity",
        "bulkCopyForBatchInsertKeepNulls", "bulkCopyForBatchInsertTableLock",
        "bulkCopyForBatchInsertAllowEncryptedValueModifications", "cacheBulkCopyMetadata",
        "useFmtOnly", "delayLoadingLobs", "sendTemporalDataTypesAsStringForBulkCopy",
        "useDefaultGSSCredential", "useDefaultJaasConfig", "calcBigDecimalPrecision",
        "ignoreOffsetOnDateTimeOffsetConversion", "useFlexibleCallableStatements"]),
    (Jdbc, Int(-1, MAX), &["lockTimeout", "cancelQueryTimeout"]),
    (Jdbc, Int(0, MAX), &["socketTimeout"]),
    (Jdbc, Int(i32::MIN as i64, MAX), &["statementPoolingCacheSize", "serverPreparedStatementDiscardThreshold",
        "bulkCopyForBatchInsertBatchSize"]),
    (Jdbc, OneOf(&["direct", "cursor"]), &["selectMethod"]),
    (Jdbc, OneOf(&["adaptive", "full"]), &["responseBuffering"]),
    (Jdbc, OneOf(&["TLS", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]), &["sslProtocol"]),
    (Jdbc, OneOf(&["ON", "OFF"]), &["quotedIdentifier", "concatNullYieldsNull"]),
    (Jdbc, OneOf(&["prepexec", "prepare", "none", "scopeTempTablesToConnection"]), &["prepareMethod"]),
    (Jdbc, OneOf(&["datetime", "datetime2", "datetimeoffset"]), &["datetimeParameterType"]),
    (Jdbc, Text(0), &["domain", "domainName", "realm", "jaasConfigurationName", "trustStore", "trustStoreType",
        "trustManagerClass", "trustManagerConstructorArg", "retryExec", "retryConn", "vectorTypeSupport",
        "keyStoreAuthentication", "keyStorePrincipalId", "keyStoreLocation", "keyVaultProviderClientId",
        "maxResultBuffer", "defaultTransactionIsolation", "socketFactoryClass",
        "socketFactoryConstructorArg", "accessTokenCallbackClass", "hostNameInCertificateRegex"]),
    (Jdbc, Secret(0), &["trustStorePassword", "keyStoreSecret", "keyVaultProviderClientKey"]),
    (SqlServerUrl, Bool, &["guid conversion", "epa enabled", "disableinstancediscovery",
        "sendcertificatechain"]),
    (SqlServerUrl, Int(0, WIDE), &["log"]),
    (SqlServerUrl, Int(0, 65535), &["failoverport"]),
    (SqlServerUrl, Text(0), &["pipe", "notraceid", "timezone", "tlsmin", "authenticator", "krb5-configfile", "krb5-realm",
        "krb5-keytabfile", "krb5-credcachefile", "krb5-dnslookupkdc", "krb5-udppreferencelimit",
        "additionallyallowedtenants"]),
    (SqlServerUrl, Secret(0), &["change password"]),
];

/// Names that Prisma knows beside JDBC's, and the JDBC name of each.
pub(super) static PRISMA: &[(&str, &str)] = &[
    ("application name", "applicationName"),
    ("connectTimeout", "loginTimeout"),
    ("initial catalog", "databaseName"),
    ("pwd", "password"),
    ("user id", "user"),
    ("userid", "user"),
    ("username", "user"),
];

/// Names of Go's ADO form beside those of its URL.
pub(super) static GO_ADO: &[(&str, &str)] = &[
    ("addr", "server"),
    ("address", "server"),
    ("application name", "app name"),
    ("data source", "server"),
    ("initial catalog", "database"),
    ("network address", "server"),
    ("uid", "user id"),
    ("user", "user id"),
];
