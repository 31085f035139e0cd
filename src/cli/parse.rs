//! `entrada parse`: what a connection string means.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::conn_arg::ConnArg;
use super::exit::{Exit, Failure};
use super::output::{TextOrJson, print_line};
use super::source_args::SourceArgs;
use crate::conn_string::{
    ConnectionString, Dialect, KEYWORDS, Key, ParseError, ParseOptions, ReferencePlace, Setting,
    Value, Warning,
};
use crate::key_vault::{KeyVault, KeyVaultError, Reference};
use crate::target::{AssertionFrom, Auth, Cloud, Encrypt, Identity, Limits, Target};
use crate::{Error, Secret};

/// Arguments of `entrada parse`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Connection string, `-`, `env:NAME` or `file:PATH`
    #[arg(value_name = "CONN")]
    conn: ConnArg,

    /// adonet, odbc, jdbc or sqlserver-url; told from the string if absent
    #[arg(long, value_name = "DIALECT")]
    dialect: Option<Dialect>,

    /// How to answer
    #[arg(long, value_enum, default_value_t)]
    format: TextOrJson,

    /// Print passwords and other secrets instead of ***
    #[arg(long)]
    show_secrets: bool,

    /// Read the secrets of Key Vault references, which are only listed otherwise
    #[arg(long)]
    resolve: bool,

    /// Refuse what is otherwise only a warning
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    sources: SourceArgs,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let text = args.conn.read()?;
    let mut options = ParseOptions::new().strict(args.strict);
    if let Some(dialect) = args.dialect {
        options = options.dialect(dialect);
    }
    let outcome = if args.resolve {
        let string = KeyVault::new(args.sources.sources())
            .connection_string(text.expose(), options)
            .await;
        match string {
            Err(KeyVaultError::ConnectionString(error)) => Err(error),
            other => Ok(other.map_err(Error::from)?),
        }
    } else {
        options.keep_references(true).parse(text.expose())
    };
    match (&outcome, args.format) {
        (Ok(string), TextOrJson::Json) => {
            print_line(&json_of(string, args.show_secrets).to_string())?
        }
        (Ok(string), TextOrJson::Text) => {
            print_line(explain(string, args.show_secrets).trim_end())?
        }
        (Err(error), TextOrJson::Json) => {
            print_line(&json_of_error(error, args.dialect, text.expose()).to_string())?
        }
        (Err(error @ ParseError::UnresolvedReference { .. }), TextOrJson::Text) => {
            return Err(Failure::new(Exit::Usage, Unresolved(error.clone())));
        }
        (Err(error), TextOrJson::Text) => return Err(Failure::new(Exit::Usage, error.clone())),
    }
    Ok(if outcome.is_ok() {
        Exit::Ok
    } else {
        Exit::Usage
    })
}

/// A reference that stands for more than a text, so that nothing is known without it.
#[derive(Debug, thiserror::Error)]
#[error("{0}; --resolve reads it")]
struct Unresolved(ParseError);

/// The value as JSON; a secret as stars unless it is asked for.
fn json_value(value: &Value, show_secrets: bool) -> Json {
    match value {
        Value::Bool(on) => json!(on),
        Value::Number(number) => json!(number),
        Value::Secret(secret) if show_secrets => json!(secret.expose()),
        Value::Secret(_) => json!("***"),
        Value::Text(text) => json!(text),
    }
}

/// Whether every client knows the keyword, or only the driver of one dialect.
fn is_common(key: Key) -> bool {
    KEYWORDS
        .iter()
        .any(|keyword| keyword.key == key && keyword.common)
}

fn json_of(string: &ConnectionString, show_secrets: bool) -> Json {
    let (mut settings, mut own) = (Map::new(), Map::new());
    for Setting { key, value, .. } in string.settings() {
        let into = if is_common(*key) {
            &mut settings
        } else {
            &mut own
        };
        into.insert(key.name().to_owned(), json_value(value, show_secrets));
    }
    let warnings = string.warnings().iter();
    let warnings: Vec<Json> = warnings
        .map(|warning| json_warning(warning, show_secrets))
        .collect();
    let mut out = json!({
        "dialect": string.dialect().name(),
        "settings": settings,
        "warnings": warnings,
    });
    if !own.is_empty() {
        out["driver_settings"] = Json::Object(own);
    }
    let cloud = cloud_of(string);
    let references = string.references().iter();
    let references: Vec<Json> = references
        .map(|place| json_reference(place, cloud))
        .collect();
    if !references.is_empty() {
        out["references"] = Json::Array(references);
    }
    out
}

/// The cloud whose vaults a string names by name.
fn cloud_of(string: &ConnectionString) -> Cloud {
    string.text(Key::Host).map_or(Cloud::Public, Cloud::of_host)
}

/// A reference as JSON: its place, and which secret it names if it can be read.
fn json_reference(place: &ReferencePlace, cloud: Cloud) -> Json {
    let read = place.text.parse::<Reference>();
    let mut out = json!({ "keyword": place.key.name(), "column": place.column });
    match read {
        Ok(reference) => {
            out["vault"] = json!(reference.vault_host(cloud));
            out["secret"] = json!(reference.secret_name());
            out["version"] = json!(reference.version());
        }
        Err(error) => out["error"] = json!(error.to_string()),
    }
    out
}

/// A reference in words.
fn reference(place: &ReferencePlace, cloud: Cloud) -> String {
    let (keyword, column) = (place.key.name(), place.column);
    match place.text.parse::<Reference>() {
        Ok(reference) => {
            let version = reference.version().unwrap_or("newest");
            let (vault, secret) = (reference.vault_host(cloud), reference.secret_name());
            format!("column {column}, {keyword}: secret {secret} of {vault}, version {version}")
        }
        Err(error) => format!("column {column}, {keyword}: cannot be used: {error}"),
    }
}

/// A warning as JSON; a keyword that may be half of a secret is shown in full
/// only if secrets are.
fn json_warning(warning: &Warning, show_secrets: bool) -> Json {
    let withheld = warning.withheld.as_ref().filter(|_| show_secrets);
    let keyword = withheld.map(Secret::expose).or(warning.keyword.as_deref());
    json!({
        "kind": warning.kind.name(),
        "keyword": keyword,
        "column": warning.column,
        "hint": warning.hint,
    })
}

fn json_of_error(error: &ParseError, dialect: Option<Dialect>, text: &str) -> Json {
    let dialect = dialect.or_else(|| Dialect::detect(text));
    json!({
        "dialect": dialect.map(Dialect::name),
        "error": { "kind": error.kind(), "message": error.to_string(), "column": error.column() },
    })
}

/// The string in words: settings, defaults, warnings, and what it means for
/// the token and the channel.
fn explain(string: &ConnectionString, show_secrets: bool) -> String {
    let mut out = format!("Dialect: {}\n\nSettings\n", string.dialect().title());
    for Setting { key, value, .. } in string.settings() {
        let shown = match json_value(value, show_secrets) {
            Json::String(text) => text,
            other => other.to_string(),
        };
        let help = KEYWORDS
            .iter()
            .find(|keyword| keyword.key == *key)
            .map(|keyword| keyword.help);
        let help = help.unwrap_or("Means nothing here.");
        let _ = writeln!(
            out,
            "  {} = {}\n      {help}",
            key.name(),
            printable(&shown)
        );
    }
    out.push_str("\nDefaults in force\n");
    for keyword in KEYWORDS.iter().filter(|keyword| keyword.common) {
        let set = string.get(keyword.key).is_some() || keyword.key == Key::DataSource;
        if let Some(default) = string.default_of(keyword.key).filter(|_| !set) {
            let _ = writeln!(out, "  {} = {default}", keyword.key.name());
        }
    }
    if !string.warnings().is_empty() {
        out.push_str("\nWarnings\n");
        for warning in string.warnings() {
            let _ = writeln!(out, "  {warning}");
        }
    }
    out.push('\n');
    if !string.references().is_empty() {
        out.push_str("Key Vault references\n");
        for place in string.references() {
            let _ = writeln!(out, "  {}", reference(place, cloud_of(string)));
        }
        out.push_str("\nWhat the string means depends on them: --resolve reads them.\n");
        return out;
    }
    match Target::try_from(string) {
        Ok(target) => explain_target(&target, &mut out),
        Err(error) => {
            let _ = writeln!(out, "Not a target: {error}");
        }
    }
    out
}

/// A value on one line, without what would steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn explain_target(target: &Target, out: &mut String) {
    let database = target.database.as_deref().unwrap_or("the login's default");
    let _ = writeln!(out, "Target");
    let _ = writeln!(out, "  Server:   {}", printable(&target.server.to_string()));
    let _ = writeln!(out, "  Database: {}", printable(database));
    let _ = writeln!(out, "  Identity: {}", printable(&identity(&target.auth)));
    if target.auth.uses_token() {
        let _ = writeln!(out, "  Cloud:    {}", cloud(target));
        let _ = writeln!(out, "  Resource: {}", target.cloud.resource());
    }
    let _ = writeln!(out, "  TLS:      {}", channel(target));
    let _ = writeln!(out, "  Limits:   {}", limits(&target.limits));
    for note in target.notes() {
        let _ = writeln!(out, "  Note:     {}: {}", note.keyword, note.text);
    }
}

fn cloud(target: &Target) -> String {
    let guess = if Cloud::is_azure_host(&target.server.name) {
        "by the host's suffix"
    } else {
        "assumed: the host is not Azure's"
    };
    format!("{} ({guess})", target.cloud.name())
}

fn identity(auth: &Auth) -> String {
    let name = auth.name();
    match auth {
        Auth::ManagedIdentity(identity) => format!("{name}{}", which(identity)),
        Auth::ManagedIdentityOn { platform, identity } => {
            format!("{name} of {}{}", platform.name(), which(identity))
        }
        Auth::Default {
            client_id: Some(id),
        } => format!("{name}, managed identity with client id {id}"),
        Auth::SqlPassword { user, .. } => format!("{name} {user}, without a token"),
        Auth::Federated {
            client_id,
            tenant,
            from,
        } => {
            let client = client_id.as_deref().unwrap_or("told by the environment");
            let tenant = tenant.as_deref().unwrap_or(ELSEWHERE);
            format!(
                "{name}, client id {client}, tenant {tenant}, {}",
                issuer(from)
            )
        }
        Auth::WorkloadIdentity {
            client_id, tenant, ..
        }
        | Auth::AzurePipelines {
            client_id, tenant, ..
        } => {
            let client = client_id.as_deref().unwrap_or("told by the environment");
            let tenant = tenant.as_deref().unwrap_or("told by the environment");
            format!("{name}, client id {client}, tenant {tenant}")
        }
        Auth::AzureCli {
            tenant: Some(tenant),
        }
        | Auth::AzureDeveloperCli {
            tenant: Some(tenant),
        }
        | Auth::AzurePowerShell {
            tenant: Some(tenant),
        } => format!("{name}, tenant {tenant}"),
        Auth::ServicePrincipalSecret {
            client_id, tenant, ..
        }
        | Auth::ServicePrincipalCertificate {
            client_id, tenant, ..
        }
        | Auth::ClientAssertion {
            client_id, tenant, ..
        } => {
            let tenant = tenant.as_deref().unwrap_or(ELSEWHERE);
            format!("{name}, client id {client_id}, tenant {tenant}")
        }
        _ => name.to_owned(),
    }
}

/// Who names a tenant that the string does not.
const ELSEWHERE: &str = "told by the environment or the server";

fn which(identity: &Identity) -> String {
    match identity {
        Identity::ClientId(id) => format!(" with client id {id}"),
        Identity::ObjectId(id) => format!(" with object id {id}"),
        Identity::ResourceId(id) => format!(" with resource id {id}"),
        Identity::ClientOrObjectId(id) => format!(
            " {id} (an object id on a VM and on Arc, a client id on App Service and its kin)"
        ),
        _ => ", system-assigned".to_owned(),
    }
}

/// Where the other issuer's token comes from; of a URL only that it is one, and
/// of a command only its program, since the rest may be secret.
fn issuer(from: &AssertionFrom) -> String {
    match from {
        AssertionFrom::Command { argv } => {
            format!(
                "token from the program {}",
                argv.first().map_or("", |program| program)
            )
        }
        AssertionFrom::File(path) => format!("token from the file {}", path.display()),
        AssertionFrom::GitHubActions => "token of the GitHub Actions job".to_owned(),
        AssertionFrom::GitLab { variable } => format!("GitLab's token in {variable}"),
        AssertionFrom::ManagedIdentity(identity) => {
            format!("token of the managed identity{}", which(identity))
        }
        AssertionFrom::TerraformCloud { .. } => "token of the HCP Terraform run".to_owned(),
        AssertionFrom::Variable(name) => format!("token in the variable {name}"),
        _ => "token from a URL".to_owned(),
    }
}

fn channel(target: &Target) -> String {
    let tls = &target.tls;
    let mut text = match tls.encrypt {
        Encrypt::Disable => "none, not even for the login".to_owned(),
        Encrypt::Optional => "for the login only, unless the server asks for more".to_owned(),
        Encrypt::Strict => "strict: before the first byte of TDS (TDS 8.0)".to_owned(),
        _ => "for the whole session".to_owned(),
    };
    if tls.encrypt == Encrypt::Disable {
        return text;
    }
    let check = match (&tls.server_certificate, tls.trust_server_certificate) {
        (Some(file), _) => format!("; the certificate must be that of {}", file.display()),
        (None, true) => "; any certificate is taken".to_owned(),
        (None, false) => {
            let name = tls
                .host_name_in_certificate
                .as_deref()
                .unwrap_or(&target.server.name);
            format!("; the certificate must be valid for {name}")
        }
    };
    text.push_str(&printable(&check));
    text
}

fn limits(limits: &Limits) -> String {
    let connect = limits
        .connect_timeout
        .map_or("for ever".to_owned(), |time| {
            format!("{} s", time.as_secs())
        });
    format!(
        "connect within {connect}, {} more tries {} s apart",
        limits.connect_retry_count,
        limits.connect_retry_interval.as_secs()
    )
}
