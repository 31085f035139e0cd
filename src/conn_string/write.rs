//! Printing a connection string in a dialect.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use super::auth_method::AuthMethod;
use super::values::Kind;
use super::{ConnectionString, Dialect, Key, Setting, Value, WriteError, lookup, own, settle};
use crate::secret::Secret;

/// What stands bare in a host.
const HOST: &AsciiSet = &CONTROLS
    .add(b'%')
    .add(b' ')
    .add(b'/')
    .add(b'?')
    .add(b'#')
    .add(b'@');

/// Writes the settings, and makes sure that the dialect reads them back.
pub(super) fn write(string: &ConnectionString, dialect: Dialect) -> Result<Secret, WriteError> {
    // Room for all of it, so that no secret is moved and left behind.
    let room = |setting: &Setting| match &setting.value {
        Value::Secret(secret) => 64 + 3 * secret.len(),
        Value::Text(text) => 64 + 3 * text.len(),
        _ => 64,
    };
    let mut out = String::with_capacity(128 + string.settings.iter().map(room).sum::<usize>());
    server(string, dialect, &mut out)?;
    for setting in string
        .settings
        .iter()
        .filter(|setting| !is_server(setting.key) && !is_split_off(string, setting.key))
    {
        pair(setting, string.dialect, dialect, &mut out)?;
    }
    let out = Secret::new(out);
    let back = settle::parse_as(out.expose(), dialect).map_err(|source| WriteError::Refused {
        dialect,
        source: Box::new(source),
    })?;
    for Setting { key, value } in &string.settings {
        let same = back.get(*key) == Some(value) || is_default(string, *key, value);
        if !same {
            return Err(WriteError::NotRepresentable {
                dialect,
                keyword: key.name(),
            });
        }
    }
    Ok(out)
}

/// Whether leaving the setting out says the same.
fn is_default(string: &ConnectionString, key: Key, value: &Value) -> bool {
    let empty = matches!(value, Value::Text(text) if text.is_empty())
        || matches!(value, Value::Secret(secret) if secret.is_empty());
    let forgotten = key == Key::Instance && string.get(Key::Port).is_some();
    let usual = key == Key::Protocol && value.as_text() == Some("tcp");
    empty || forgotten || usual
}

fn is_server(key: Key) -> bool {
    matches!(key, Key::Host | Key::Port | Key::Instance | Key::Protocol)
}

/// Whether the tenant stands in Go's `User ID` already.
fn is_split_off(string: &ConnectionString, key: Key) -> bool {
    key == Key::TenantId && settle::tenant_in_user(string.get(Key::UserId)).is_some()
}

fn text_of(string: &ConnectionString, key: Key) -> Option<&str> {
    string
        .get(key)
        .and_then(Value::as_text)
        .filter(|text| !text.is_empty())
}

/// Where the server is, out of the settings.
struct Server<'a> {
    host: Option<&'a str>,
    port: Option<i64>,
    instance: Option<&'a str>,
    protocol: Option<&'a str>,
}

fn server(string: &ConnectionString, dialect: Dialect, out: &mut String) -> Result<(), WriteError> {
    let port = string.get(Key::Port).and_then(Value::as_number);
    let server = Server {
        host: text_of(string, Key::Host),
        port,
        instance: text_of(string, Key::Instance).filter(|_| port.is_none()),
        protocol: text_of(string, Key::Protocol),
    };
    match dialect {
        Dialect::AdoNet | Dialect::Odbc => {
            native(&server, dialect, out);
            Ok(())
        }
        Dialect::Jdbc => {
            jdbc(&server, out);
            no_protocol(server.protocol, dialect)
        }
        Dialect::SqlServerUrl => url(&server, out),
    }
}

fn native(server: &Server<'_>, dialect: Dialect, out: &mut String) {
    let unset = server.host.is_none() && server.instance.is_none() && server.port.is_none();
    if unset && dialect == Dialect::AdoNet {
        return;
    }
    let mut value = server
        .protocol
        .map_or(String::new(), |protocol| format!("{protocol}:"));
    value.push_str(server.host.unwrap_or("localhost"));
    if let Some(instance) = server.instance {
        value.push('\\');
        value.push_str(instance);
    }
    if let Some(port) = server.port {
        value.push_str(&format!(",{port}"));
    }
    push(dialect, "Server", &value, out);
}

fn jdbc(server: &Server<'_>, out: &mut String) {
    let dialect = Dialect::Jdbc;
    out.push_str(super::jdbc::PREFIX);
    out.push(';');
    if let Some(host) = server.host {
        push(dialect, "serverName", host, out);
    }
    if let Some(port) = server.port {
        push(dialect, "portNumber", &port.to_string(), out);
    }
    if let Some(instance) = server.instance {
        push(dialect, "instanceName", instance, out);
    }
}

fn url(server: &Server<'_>, out: &mut String) -> Result<(), WriteError> {
    let dialect = Dialect::SqlServerUrl;
    let host = server.host.unwrap_or("localhost");
    out.push_str(super::url::PREFIX);
    if host.contains(':') && !host.starts_with('[') {
        // Without a port Go keeps the brackets that an IPv6 address needs.
        let keyword = Key::Host.name();
        let port = server
            .port
            .ok_or(WriteError::NotRepresentable { dialect, keyword })?;
        out.push_str(&format!("[{}]:{port}", host.replace('%', "%25")));
    } else {
        out.extend(utf8_percent_encode(host, HOST));
        if let Some(port) = server.port {
            out.push_str(&format!(":{port}"));
        }
    }
    if let Some(instance) = server.instance {
        out.push('/');
        out.extend(utf8_percent_encode(instance, NON_ALPHANUMERIC));
    }
    out.push('?');
    if let Some(protocol) = server.protocol {
        push(dialect, "protocol", protocol, out);
    }
    Ok(())
}

fn no_protocol(protocol: Option<&str>, dialect: Dialect) -> Result<(), WriteError> {
    match protocol {
        None | Some("tcp") => Ok(()),
        Some(_) => Err(WriteError::NoKeyword {
            dialect,
            keyword: Key::Protocol.name(),
        }),
    }
}

fn pair(
    setting: &Setting,
    from: Dialect,
    dialect: Dialect,
    out: &mut String,
) -> Result<(), WriteError> {
    let key = setting.key;
    let keyword = key.name();
    // What came out of our own words goes back into them; a translation is for
    // the other driver, which does not know them.
    let ours = own::spelling(key).filter(|_| from == dialect);
    let known = lookup::usage(dialect, key).or(ours.map(|entry| (entry.spelling, entry.kind)));
    let Some((name, kind)) = known else {
        return Err(WriteError::NoKeyword { dialect, keyword });
    };
    match &setting.value {
        Value::Secret(secret) => push(dialect, name, secret.expose(), out),
        Value::Number(number) => push(dialect, name, &number.to_string(), out),
        Value::Bool(on) if kind == Kind::Enabled => {
            push(dialect, name, if *on { "Enabled" } else { "Disabled" }, out);
        }
        Value::Bool(on) => push(dialect, name, boolean(dialect, *on), out),
        Value::Text(text) if kind == Kind::Authentication => {
            let method = AuthMethod::of_name(text);
            let ours = method
                .and_then(own::method_name)
                .filter(|_| from == dialect);
            let spelling = method.and_then(|method| method.spelling(dialect)).or(ours);
            let spelling = spelling.ok_or(WriteError::NotRepresentable { dialect, keyword })?;
            push(dialect, name, spelling, out);
        }
        Value::Text(text) if text.is_empty() => {}
        Value::Text(text) => push(dialect, name, text, out),
    }
    Ok(())
}

fn boolean(dialect: Dialect, on: bool) -> &'static str {
    match (dialect, on) {
        (Dialect::Odbc, true) => "yes",
        (Dialect::Odbc, false) => "no",
        (_, true) => "true",
        (_, false) => "false",
    }
}

/// Appends `key=value;` with the quoting of the dialect.
fn push(dialect: Dialect, key: &str, value: &str, out: &mut String) {
    if dialect == Dialect::SqlServerUrl {
        out.extend(utf8_percent_encode(key, NON_ALPHANUMERIC));
        out.push('=');
        out.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        out.push('&');
        return;
    }
    out.push_str(key);
    out.push('=');
    let (open, close) = if dialect == Dialect::AdoNet {
        ('"', '"')
    } else {
        ('{', '}')
    };
    if needs_quotes(dialect, value) {
        out.push(open);
        for c in value.chars() {
            out.push(c);
            if c == close {
                out.push(c);
            }
        }
        out.push(close);
    } else {
        out.push_str(value);
    }
    out.push(';');
}

fn needs_quotes(dialect: Dialect, value: &str) -> bool {
    let edge = |c: char| c.is_whitespace() || c.is_control();
    let quotes: &[char] = match dialect {
        Dialect::AdoNet => &['\'', '"', '='],
        _ => &['{', '}'],
    };
    value.is_empty()
        || value.contains(';')
        || value.contains(quotes)
        || value.chars().any(char::is_control)
        || value.starts_with(edge)
        || value.ends_with(edge)
}
