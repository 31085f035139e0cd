//! From slots to settings: types, checks, and what is in force in the end.

use super::auth_method::AuthMethod;
use super::builder::{Builder, Slot};
use super::checks::Checks;
use super::values::{self, Kind, Outcome, Unfit};
use super::{
    ConnectionString, Dialect, Key, ParseError, Setting, Value, ado, jdbc, odbc, reference, server,
    url,
};

/// The typed settings in the order of the text.
#[derive(Default)]
pub(super) struct Settings(pub(super) Vec<Setting>);

impl Settings {
    pub(super) fn get(&self, key: Key) -> Option<&Value> {
        self.0
            .iter()
            .find(|setting| setting.key == key)
            .map(|setting| &setting.value)
    }

    pub(super) fn set(&mut self, key: Key, value: Value) {
        match self.0.iter_mut().find(|setting| setting.key == key) {
            Some(setting) => setting.value = value,
            None => self.0.push(Setting { key, value }),
        }
    }
}

/// Reads a text by the rules of one dialect.
pub(super) fn parse_as(text: &str, dialect: Dialect) -> Result<ConnectionString, ParseError> {
    settle(read_as(text, dialect)?)
}

/// Splits a text by the grammar of one dialect.
pub(super) fn read_as(text: &str, dialect: Dialect) -> Result<Builder<'_>, ParseError> {
    match dialect {
        Dialect::AdoNet => ado::read(text),
        Dialect::Jdbc => jdbc::read(text),
        Dialect::Odbc => odbc::read(text),
        Dialect::SqlServerUrl => url::read(text),
    }
}

/// Types the values and applies the dialect's rules.
pub(super) fn settle(mut builder: Builder<'_>) -> Result<ConnectionString, ParseError> {
    builder.bounded()?;
    let references = reference::places(&builder)?;
    let mut settings = Settings(Vec::with_capacity(builder.slots.len() + 2));
    let mut notes = Vec::new();
    read_values(&builder, &mut settings, &mut notes, false)?;
    Checks {
        builder: &builder,
        settings: &settings,
    }
    .early()?;
    read_values(&builder, &mut settings, &mut notes, true)?;
    let checks = Checks {
        builder: &builder,
        settings: &settings,
    };
    checks.attach_file()?;
    checks.late()?;
    if let Some(parts) = server::read(&builder)? {
        place_server(&mut settings, parts);
    }
    effective(&builder, &mut settings)?;
    for (key, at, hint) in notes {
        builder.warn_value(key, at, hint);
    }
    if builder.dialect == Dialect::Odbc {
        drop_failover(&mut builder, &mut settings);
    }
    builder.warnings.sort_by_key(|warning| warning.column);
    Ok(ConnectionString {
        dialect: builder.dialect,
        settings: settings.0,
        warnings: builder.warnings,
        references,
    })
}

/// What SqlClient looks at only after its first checks.
fn is_late(dialect: Dialect, key: Key) -> bool {
    dialect == Dialect::AdoNet
        && matches!(
            key,
            Key::AttachDbFilename
                | Key::ConnectRetryCount
                | Key::ConnectRetryInterval
                | Key::TransactionBinding
                | Key::TypeSystemVersion
        )
}

fn read_values(
    builder: &Builder<'_>,
    settings: &mut Settings,
    notes: &mut Vec<(Key, usize, &'static str)>,
    late: bool,
) -> Result<(), ParseError> {
    for slot in &builder.slots {
        let key = slot.entry.key;
        if matches!(key, Key::DataSource | Key::Address) {
            check_source_length(builder, slot, late)?;
            continue;
        }
        if matches!(key, Key::Port | Key::Instance) || is_late(builder.dialect, key) != late {
            continue;
        }
        let outcome = values::read(builder.dialect, slot.entry.kind, &slot.raw)
            .map_err(|unfit| invalid(builder, slot, unfit))?;
        match outcome {
            Outcome::Set(value) => {
                if let Kind::Exact(words) = slot.entry.kind
                    && !words.contains(&slot.raw.text().unwrap_or_default().as_ref())
                {
                    notes.push((key, slot.at, "only the exact text 'ReadOnly' has an effect"));
                }
                settings.set(key, value);
            }
            Outcome::Dropped => notes.push((key, slot.at, "the driver reads it and does nothing")),
            Outcome::Unset => {}
        }
    }
    Ok(())
}

fn check_source_length(
    builder: &Builder<'_>,
    slot: &Slot<'_>,
    late: bool,
) -> Result<(), ParseError> {
    if late {
        return Ok(());
    }
    let read = values::read(builder.dialect, slot.entry.kind, &slot.raw);
    read.map(|_| ())
        .map_err(|unfit| invalid(builder, slot, unfit))
}

/// The error of a value that its keyword does not take.
fn invalid(builder: &Builder<'_>, slot: &Slot<'_>, unfit: Unfit) -> ParseError {
    let column = builder.column(slot.at);
    let keyword = slot.entry.key.name();
    let is_reference = |text: std::borrow::Cow<'_, str>| reference::is_reference(&text);
    if !matches!(slot.entry.kind, Kind::Secret(_)) && slot.raw.text().is_some_and(is_reference) {
        return ParseError::UnresolvedReference {
            column,
            keyword: Some(keyword),
        };
    }
    ParseError::InvalidValue {
        column,
        keyword,
        expected: unfit.0,
    }
}

fn place_server(settings: &mut Settings, parts: server::Parts) {
    settings.set(Key::Host, Value::Text(parts.host));
    match (parts.port, parts.instance) {
        (Some(port), _) => settings.set(Key::Port, Value::Number(i64::from(port))),
        (None, Some(instance)) => settings.set(Key::Instance, Value::Text(instance)),
        (None, None) => {}
    }
    if let Some(protocol) = parts.protocol {
        settings.set(Key::Protocol, Value::Text(protocol.to_owned()));
    }
}

/// What the drivers make of some settings after all checks.
fn effective(builder: &Builder<'_>, settings: &mut Settings) -> Result<(), ParseError> {
    let strict = matches!(settings.get(Key::Encrypt), Some(Value::Text(word)) if word == "strict");
    if strict && settings.get(Key::TrustServerCertificate).is_some() {
        settings.set(Key::TrustServerCertificate, Value::Bool(false));
    }
    if builder.dialect == Dialect::Jdbc
        && matches!(settings.get(Key::ConnectTimeout), Some(Value::Number(0)))
    {
        // Not for ever, as in SqlClient, but the driver's default.
        settings.set(Key::ConnectTimeout, Value::Number(30));
    }
    if builder.dialect != Dialect::SqlServerUrl {
        return Ok(());
    }
    let method = match settings.get(Key::Authentication) {
        Some(Value::Text(name)) => AuthMethod::of_name(name),
        _ => None,
    };
    let splits = matches!(
        method,
        Some(
            AuthMethod::ServicePrincipal
                | AuthMethod::WorkloadIdentity
                | AuthMethod::ClientAssertion
                | AuthMethod::AzurePipelines
                | AuthMethod::Federated
                | AuthMethod::OnBehalfOf
        )
    );
    let tenant = tenant_in_user(settings.get(Key::UserId)).filter(|_| splits);
    let Some(tenant) = tenant.map(str::to_owned) else {
        return Ok(());
    };
    match settings.get(Key::TenantId) {
        Some(Value::Text(other)) if *other != tenant => Err(ParseError::Conflict {
            column: builder
                .slot(Key::TenantId)
                .map_or(0, |slot| builder.column(slot.at)),
            keyword: Key::TenantId.name(),
            other: "the tenant in User ID".into(),
        }),
        _ => {
            settings.set(Key::TenantId, Value::Text(tenant));
            Ok(())
        }
    }
}

/// The tenant that a user's name ends in, as Go writes it.
pub(super) fn tenant_in_user(user: Option<&Value>) -> Option<&str> {
    split_tenant(user?.as_text()?).1
}

/// Go's `client id@tenant id`.
pub(crate) fn split_tenant(user: &str) -> (&str, Option<&str>) {
    match user.split_once('@') {
        Some((client, tenant)) if !client.is_empty() && !tenant.is_empty() => {
            (client, Some(tenant))
        }
        _ => (user, None),
    }
}

/// The Linux ODBC driver has no mirroring.
fn drop_failover(builder: &mut Builder<'_>, settings: &mut Settings) {
    let before = settings.0.len();
    settings
        .0
        .retain(|setting| setting.key != Key::FailoverPartner);
    if settings.0.len() < before
        && let Some(at) = builder.slot(Key::FailoverPartner).map(|slot| slot.at)
    {
        builder.warn_value(
            Key::FailoverPartner,
            at,
            "the driver knows no mirroring here",
        );
    }
}
