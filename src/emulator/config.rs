//! The emulator's configuration file.

mod cloud;
mod csv;
mod platforms;
mod tables;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use super::builder::quoted;
use super::identity::{TokenOptions, stable_id};
use super::{
    EmulatorBuilder, EmulatorError, EncryptionPolicy, EntraKind, EntraPrincipal, FaultSpec,
    ManagedIdentity,
};
use crate::Secret;
use tables::{Table, Wrong};

/// The whole file. Everything has a default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    tenant: Tenant,
    server: Server,
    platforms: platforms::Platforms,
    pipelines: cloud::Jobs,
    application: Vec<cloud::App>,
    vault: Vec<cloud::Vault>,
    identity: Vec<Identity>,
    principal: Vec<Principal>,
    login: Vec<Login>,
    database: Vec<Database>,
    faults: Vec<FaultSpec>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tenant {
    id: Option<Uuid>,
    token_lifetime_seconds: Option<u64>,
    fresh_tokens: bool,
    refresh_in_seconds: Option<u64>,
    imds_limits: bool,
    resources: Vec<String>,
    domain: Option<String>,
    vault_challenge: Option<cloud::Challenge>,
    #[serde(deserialize_with = "address")]
    https_listen: Option<SocketAddr>,
    #[serde(deserialize_with = "address")]
    listen: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Server {
    name: Option<String>,
    #[serde(deserialize_with = "address")]
    listen: Option<SocketAddr>,
    #[serde(deserialize_with = "address")]
    admin_listen: Option<SocketAddr>,
    recheck_after_seconds: Option<u64>,
    certificate_names: Vec<String>,
    only_for: Vec<String>,
    encryption: Option<Encryption>,
    admin: Option<Admin>,
    state: Option<PathBuf>,
    data: Option<PathBuf>,
    #[serde(deserialize_with = "maybe_secret")]
    backend: Option<Secret>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Encryption {
    Required,
    OnRequest,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Admin {
    name: String,
    #[serde(deserialize_with = "secret")]
    password: Secret,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    name: String,
    assignment: Assignment,
    client_id: Option<Uuid>,
    object_id: Option<Uuid>,
    resource_id: Option<String>,
    #[serde(default)]
    groups: Vec<Uuid>,
    #[serde(default)]
    federated: Vec<cloud::Federated>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Assignment {
    System,
    User,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Principal {
    name: String,
    kind: Kind,
    object_id: Option<Uuid>,
    client_id: Option<Uuid>,
    #[serde(default)]
    groups: Vec<Uuid>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Application,
    Group,
    User,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Database {
    name: String,
    #[serde(default)]
    user: Vec<User>,
    #[serde(default)]
    table: Vec<Table>,
    /// T-SQL, run after the users and the tables are made.
    sql: Option<String>,
    /// Files of T-SQL, run after `sql`.
    #[serde(default)]
    scripts: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    /// The SQL login that the user is for; without it, the user is a principal of the tenant.
    login: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    /// What to grant, as GRANT has it: `SELECT ON dbo.orders`; done last.
    #[serde(default)]
    grants: Vec<String>,
}

/// A SQL login of the server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    name: String,
    #[serde(deserialize_with = "secret")]
    password: Secret,
}

impl EmulatorBuilder {
    /// Reads a TOML file; paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`EmulatorError::ConfigFile`] if the file or a script that it names cannot be read,
    /// [`EmulatorError::ConfigSyntax`] with line and column if it is not what the emulator knows.
    pub fn from_config_file(path: &Path) -> Result<Self, EmulatorError> {
        let text = read(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::from_toml(&text, &path.display().to_string(), folder)
    }

    /// Reads TOML text. `origin` names it in errors; paths in it are relative to `folder`.
    ///
    /// # Errors
    /// As [`from_config_file`](Self::from_config_file).
    pub fn from_toml(text: &str, origin: &str, folder: &Path) -> Result<Self, EmulatorError> {
        let file: File = toml::from_str(text).map_err(|error| syntax(&error, text, origin))?;
        let mut builder = Self::new()
            .with_tenant(file.tenant)
            .with_server(file.server, folder)
            .with_jobs(file.pipelines);
        builder.platforms = file.platforms.options(folder);
        for identity in file.identity {
            builder = builder.identity(identity.into());
        }
        for application in file.application {
            builder = builder.with_application(application, folder)?;
        }
        for vault in file.vault {
            builder = builder.with_vault(vault);
        }
        for principal in file.principal {
            let principal = principal.into_entra(builder.tenant_id);
            builder = builder.principal(principal);
        }
        for login in file.login {
            builder = builder.with_login(&login);
        }
        let place = |wrong: Wrong| at(wrong.at, wrong.problem, text, origin);
        for database in file.database {
            builder = builder.with_database(database, folder, &place)?;
        }
        for fault in file.faults {
            builder = builder.fault(fault);
        }
        Ok(builder)
    }

    fn with_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant_id = tenant.id.unwrap_or(self.tenant_id);
        self.identity_address = tenant.listen.or(self.identity_address);
        self.https_address = tenant.https_listen.unwrap_or(self.https_address);
        self.domain = tenant.domain.unwrap_or(self.domain);
        self = self.with_challenge(tenant.vault_challenge);
        self.resources = tenant.resources;
        if let Some(seconds) = tenant.token_lifetime_seconds {
            self.token_lifetime = Duration::from_secs(seconds);
        }
        self.token_options = TokenOptions {
            fresh: tenant.fresh_tokens,
            refresh_in: tenant.refresh_in_seconds.map(Duration::from_secs),
            imds_limits: tenant.imds_limits,
        };
        self
    }

    fn with_server(mut self, server: Server, folder: &Path) -> Self {
        self.sql_address = server.listen.or(self.sql_address);
        self.admin_address = server.admin_listen;
        if let Some(seconds) = server.recheck_after_seconds {
            self = self.recheck_after(Duration::from_secs(seconds));
        }
        self.settings.server_name = server.name.unwrap_or(self.settings.server_name);
        self.settings.accepted_names = server.only_for;
        self.certificate_names = server.certificate_names;
        self.admin = server.admin.map(|admin| (admin.name, admin.password));
        self.state_dir = server.state.map(|path| folder.join(path));
        self.data_file = server.data.map(|path| folder.join(path));
        self.backend = server.backend;
        match server.encryption {
            Some(Encryption::Required) => self.encryption(EncryptionPolicy::Required),
            Some(Encryption::OnRequest) => self.encryption(EncryptionPolicy::OnRequest),
            None => self,
        }
    }

    fn with_login(self, login: &Login) -> Self {
        let name = quoted(&login.name);
        let password = tables::text_literal(login.password.expose());
        let sql = format!("CREATE LOGIN {name} WITH PASSWORD = {password};");
        self.step("master", &format!("login {}", login.name), sql)
    }

    fn with_database(
        self,
        database: Database,
        folder: &Path,
        place: &dyn Fn(Wrong) -> EmulatorError,
    ) -> Result<Self, EmulatorError> {
        let name = database.name;
        let mut builder = self.database(&name);
        for user in &database.user {
            builder = builder.with_user(&name, user);
        }
        let mut schemas: Vec<&str> = Vec::new();
        for table in &database.table {
            if let Some(schema) = table.schema().filter(|schema| !schemas.contains(schema)) {
                let sql = format!("CREATE SCHEMA {};", quoted(schema));
                builder = builder.step(&name, &format!("schema {schema}"), sql);
                schemas.push(schema);
            }
            let rows = tables::csv_path(table, folder);
            let rows = rows.map(|path| read(&path)).transpose()?;
            let sql = table.sql(rows.as_deref()).map_err(place)?;
            builder = builder.step(&name, &format!("table {}", table.name.get_ref()), sql);
        }
        if let Some(sql) = database.sql {
            builder = builder.step(&name, "sql", sql);
        }
        for script in database.scripts {
            let step = format!("script {}", script.display());
            builder = builder.step(&name, &step, read(&folder.join(script))?);
        }
        for user in database.user.iter().filter(|user| !user.grants.is_empty()) {
            let grantee = quoted(&user.name);
            let grant = |what: &String| format!("GRANT {what} TO {grantee};\n");
            let sql: String = user.grants.iter().map(grant).collect();
            builder = builder.step(&name, &format!("grants {}", user.name), sql);
        }
        Ok(builder)
    }

    fn with_user(self, database: &str, user: &User) -> Self {
        let roles: Vec<&str> = user.roles.iter().map(String::as_str).collect();
        let Some(login) = &user.login else {
            return self.user(database, &user.name, &roles);
        };
        let name = quoted(&user.name);
        let mut sql = format!("CREATE USER {name} FOR LOGIN {};\n", quoted(login));
        for role in roles {
            sql.push_str(&format!("ALTER ROLE {} ADD MEMBER {name};\n", quoted(role)));
        }
        self.step(database, &format!("user {}", user.name), sql)
    }
}

impl From<Identity> for ManagedIdentity {
    fn from(from: Identity) -> Self {
        let mut identity = match from.assignment {
            Assignment::System => Self::system_assigned(from.name),
            Assignment::User => Self::user_assigned(from.name),
        };
        identity.client_id = from.client_id.unwrap_or(identity.client_id);
        identity.object_id = from.object_id.unwrap_or(identity.object_id);
        identity.resource_id = from.resource_id.unwrap_or(identity.resource_id);
        identity.groups = from.groups;
        identity.federated = from.federated.into_iter().map(Into::into).collect();
        identity
    }
}

impl Principal {
    fn into_entra(self, tenant: Uuid) -> EntraPrincipal {
        let object_id = self
            .object_id
            .unwrap_or_else(|| stable_id("object", &self.name));
        let mut principal = match self.kind {
            Kind::Application => {
                let client = self
                    .client_id
                    .unwrap_or_else(|| stable_id("client", &self.name));
                let kind = EntraKind::Application;
                EntraPrincipal::application(kind, self.name, tenant, client, object_id)
            }
            Kind::Group => {
                EntraPrincipal::person_or_group(EntraKind::Group, self.name, tenant, object_id)
            }
            Kind::User => {
                EntraPrincipal::person_or_group(EntraKind::User, self.name, tenant, object_id)
            }
        };
        principal.groups = self.groups;
        principal
    }
}

fn read(path: &Path) -> Result<String, EmulatorError> {
    std::fs::read_to_string(path).map_err(|source| EmulatorError::ConfigFile {
        path: path.to_owned(),
        source,
    })
}

/// Place and problem, without the line itself, in which a password may stand.
fn syntax(error: &toml::de::Error, text: &str, origin: &str) -> EmulatorError {
    let offset = error.span().map_or(0, |span| span.start);
    at(offset, error.message().to_owned(), text, origin)
}

fn at(offset: usize, problem: String, text: &str, origin: &str) -> EmulatorError {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    EmulatorError::ConfigSyntax {
        origin: origin.to_owned(),
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
        problem,
    }
}

/// A text that an error about it does not show.
fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => Ok(Secret::new(text)),
        _ => Err(serde::de::Error::custom(
            "a password or connection string must be a text between quotes",
        )),
    }
}

/// Likewise; a key that is absent is none.
fn maybe_secret<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    secret(deserializer).map(Some)
}

fn address<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = "an address is an IP address and a port, as \"127.0.0.1:1433\" or \"127.0.0.1:0\"";
    let address = text.parse().map_err(|_| serde::de::Error::custom(wrong))?;
    Ok(Some(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<EmulatorBuilder, EmulatorError> {
        EmulatorBuilder::from_toml(text, "test.toml", Path::new("/folder"))
    }

    #[test]
    fn port_0_is_a_choice() {
        let text = "[server]\nlisten = \"127.0.0.1:0\"";
        let fixed = "127.0.0.1:1433".parse().unwrap();
        let builder = parse(text).unwrap().default_ports(fixed, fixed);
        assert_eq!(builder.sql_listens().port(), 0);
        assert_eq!(builder.identity_listens(), fixed);
    }

    #[test]
    fn a_full_file_is_understood() {
        let text = r#"
            faults = ["login-error:40613*2"]

            [tenant]
            id = "11111111-2222-3333-4444-555555555555"
            token_lifetime_seconds = 3600

            [server]
            name = "orders"
            listen = "127.0.0.1:14330"
            encryption = "on-request"
            state = "state"
            admin = { name = "sa", password = "s3cret" }

            [[identity]]
            name = "app"
            assignment = "system"

            [[principal]]
            name = "someone@contoso.com"
            kind = "user"

            [[database]]
            name = "orders"
            sql = "CREATE TABLE t (id int)"
            [[database.user]]
            name = "app"
            roles = ["db_datareader"]
        "#;
        let builder = parse(text).unwrap();
        assert_eq!(builder.token_lifetime, Duration::from_secs(3600));
        assert_eq!(
            builder.state_dir.as_deref(),
            Some(Path::new("/folder/state"))
        );
        assert_eq!(builder.settings.encryption, EncryptionPolicy::OnRequest);
        assert_eq!(
            builder.identities,
            [ManagedIdentity::system_assigned("app")]
        );
        let tenant = Uuid::parse_str("11111111-2222-3333-4444-555555555555").unwrap();
        assert_eq!(builder.principals[0].tenant_id, tenant);
        assert_eq!(builder.scripts.len(), 2);
        assert!(
            builder.scripts[0]
                .sql
                .contains("ALTER ROLE [db_datareader] ADD MEMBER [app]")
        );
        assert_eq!(builder.faults.len(), 1);
    }

    #[test]
    fn the_example_is_understood() {
        let path = Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/examples/emulator.toml"
        ));
        let builder = EmulatorBuilder::from_config_file(path).unwrap();
        assert_eq!(builder.identities.len(), 2);
        assert_eq!(builder.principals.len(), 2);
        let steps: Vec<_> = builder.scripts.iter().map(|s| s.step.as_str()).collect();
        let wanted = [
            "login legacy",
            "user orders-api",
            "user orders-reports",
            "user legacy",
            "table dbo.orders",
            "sql",
            "grants orders-reports",
        ];
        assert_eq!(steps, wanted);
    }

    #[test]
    fn tables_become_statements_or_say_what_is_wrong_and_where() {
        let table = |rest: &str| {
            let head = "[[database]]\nname = \"d\"\n[[database.table]]\nname = \"s.t\"\n";
            parse(&format!("{head}{rest}"))
        };
        let columns =
            "columns = [\"id int identity\", \"[a b] nvarchar(9)\", \"primary key (id)\"]\n";
        let rows = "rows = [[7, \"it's\\nGO\\n\"], { \"a b\" = \"x\" }, {}]\n";
        let builder = table(&format!("{columns}{rows}")).unwrap();
        assert_eq!(builder.scripts[0].sql, "CREATE SCHEMA [s];");
        let sql = &builder.scripts[1].sql;
        for part in [
            "SET IDENTITY_INSERT [s].[t] ON;\nINSERT INTO [s].[t] ([id], [a b]) VALUES (7, ",
            "N'it''s' + NCHAR(10) + N'GO' + NCHAR(10) + N'');\nSET IDENTITY_INSERT [s].[t] OFF;",
            "INSERT INTO [s].[t] ([a b]) VALUES (N'x');",
            "INSERT INTO [s].[t] DEFAULT VALUES;",
        ] {
            assert!(sql.contains(part), "{part}\n{sql}");
        }
        for (rest, line, words) in [
            ("columns = []", 5, "a table has columns"),
            (
                &format!("{columns}rows = [\n[1, \"a\"],\n[2]]"),
                8,
                "another number of values (1)",
            ),
            (&format!("{columns}rows = [3]"), 6, "a row is an array"),
            (&format!("{columns}rows = [[1, nan]]"), 6, "no such number"),
            (&format!("{columns}rows = [[1, [2]]]"), 6, "a value is"),
            (&format!("{columns}row = []"), 6, "unknown field"),
        ] {
            match table(rest).unwrap_err() {
                EmulatorError::ConfigSyntax {
                    line: at, problem, ..
                } => {
                    assert!(
                        at == line && problem.contains(words),
                        "{rest}: {at} {problem}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn nothing_at_all_is_a_configuration_too() {
        assert!(parse("").is_ok());
    }

    #[test]
    fn a_backend_is_a_secret() {
        let text = "[server]\nbackend = \"Server=sql;User ID=sa;Password=Pa55;Database=shop\"";
        let builder = parse(text).unwrap();
        assert!(builder.backend.is_some());
        assert_eq!(builder.first_database(), "shop");
        assert!(!format!("{builder:?}").contains("Pa55"), "{builder:?}");
    }

    #[test]
    fn errors_name_the_place_and_no_secret() {
        let place = |text: &str| match parse(text).unwrap_err() {
            EmulatorError::ConfigSyntax {
                line,
                column,
                problem,
                ..
            } => (line, column, problem),
            other => panic!("{other:?}"),
        };
        let (line, column, problem) = place("[server]\nlisen = \"127.0.0.1:1\"\n");
        assert_eq!((line, column), (2, 1));
        assert!(
            problem.contains("lisen") && problem.contains("listen"),
            "{problem}"
        );
        let (line, _, problem) = place("[server]\nadmin = { name = \"sa\", password = 123456 }\n");
        assert_eq!(line, 2);
        assert!(!problem.contains("123456"), "{problem}");
        let (_, _, problem) = place("faults = [\"login-error:x\"]");
        assert!(problem.contains("error number"), "{problem}");
    }
}
