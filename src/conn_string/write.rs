//! Printing a connection string in a dialect.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use super::auth_method::AuthMethod;
use super::values::Kind;
use super::{ConnectionString, Dialect, Key, Setting, Value, WriteError, lookup, settle};
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
    let mut out = String::with_capacity(256);
    server(string, dialect, &mut out)?;
    for setting in string
        .settings
        .iter()
        .filter(|setting| !is_server(setting.key))
    {
        pair(setting, dialect, &mut out)?;
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
    empty || forgotten
}

fn is_server(key: Key) -> bool {
    matches!(
        key,
        Key::Host | Key::Port | Key::Instance | Key::Protocol | Key::TenantId
    )
}

fn text_of(string: &ConnectionString, key: Key) -> Option<&str> {
    string
        .get(key)
        .and_then(Value::as_text)
        .filter(|text| !text.is_empty())
}

fn server(string: &ConnectionString, dialect: Dialect, out: &mut String) -> Result<(), WriteError> {
    let host = text_of(string, Key::Host);
    let port = string.get(Key::Port).and_then(Value::as_number);
    let instance = text_of(string, Key::Instance).filter(|_| port.is_none());
    let protocol = text_of(string, Key::Protocol);
    let bare = host.unwrap_or("localhost");
    match dialect {
        Dialect::AdoNet | Dialect::Odbc => {
            if host.is_none() && instance.is_none() && port.is_none() && dialect == Dialect::AdoNet
            {
                return Ok(());
            }
            let mut value = String::new();
            if let Some(protocol) = protocol {
                value.push_str(protocol);
                value.push(':');
            }
            value.push_str(bare);
            if let Some(instance) = instance {
                value.push('\\');
                value.push_str(instance);
            }
            if let Some(port) = port {
                value.push_str(&format!(",{port}"));
            }
            push(dialect, "Server", &value, out);
        }
        Dialect::Jdbc => {
            out.push_str(super::jdbc::PREFIX);
            out.push(';');
            if host.is_some() {
                push(dialect, "serverName", bare, out);
            }
            if let Some(port) = port {
                push(dialect, "portNumber", &port.to_string(), out);
            }
            if let Some(instance) = instance {
                push(dialect, "instanceName", instance, out);
            }
            no_protocol(protocol, dialect)?;
        }
        Dialect::SqlServerUrl => {
            out.push_str(super::url::PREFIX);
            if bare.contains(':') && !bare.starts_with('[') {
                // Go keeps the brackets of a host without a port.
                let port = port.ok_or(WriteError::NotRepresentable {
                    dialect,
                    keyword: "Host",
                })?;
                out.push_str(&format!("[{}]:{port}", bare.replace('%', "%25")));
            } else {
                out.extend(utf8_percent_encode(bare, HOST));
                if let Some(port) = port {
                    out.push_str(&format!(":{port}"));
                }
            }
            if let Some(instance) = instance {
                out.push('/');
                out.extend(utf8_percent_encode(instance, NON_ALPHANUMERIC));
            }
            out.push('?');
            if let Some(protocol) = protocol {
                push(dialect, "protocol", protocol, out);
            }
        }
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

fn pair(setting: &Setting, dialect: Dialect, out: &mut String) -> Result<(), WriteError> {
    let key = setting.key;
    let keyword = key.name();
    let Some((name, kind)) = lookup::usage(dialect, key) else {
        return Err(WriteError::NoKeyword { dialect, keyword });
    };
    match &setting.value {
        Value::Secret(secret) => push(dialect, name, secret.expose(), out),
        Value::Number(number) => push(dialect, name, &number.to_string(), out),
        Value::Bool(on) => push(dialect, name, boolean(dialect, *on), out),
        Value::Text(text) if kind == Kind::Authentication => {
            let spelling = AuthMethod::of_name(text).and_then(|method| method.spelling(dialect));
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
