//! The forms of a server's name.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::builder::Builder;
use super::{Dialect, Key, ParseError, Value};

/// A server, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) instance: Option<String>,
    pub(super) protocol: Option<&'static str>,
}

const COLON: &str = "a port follows a comma, as in 'host,1433'";
const PIPE: &str = "a named pipe needs a host and a pipe, as in '\\\\host\\pipe\\sql\\query'";
const LOCAL_DB_HOST: &str = "(localdb)";
const LOCAL_DB: &str = "LocalDB is named '(localdb)\\instance' and exists on Windows only";

/// Reads the server out of the slots.
pub(super) fn read(builder: &Builder<'_>) -> Result<Option<Parts>, ParseError> {
    let slot = |key| {
        builder
            .slot(key)
            .filter(|slot| builder.dialect != Dialect::Odbc || !slot.raw.text.is_empty())
    };
    let source = slot(Key::Address).or_else(|| builder.slot(Key::DataSource));
    let at = source.map_or(0, |slot| slot.at);
    let fail = |problem| ParseError::InvalidServer {
        column: builder.column(at),
        problem,
    };
    let text = match source {
        None if builder.dialect == Dialect::Odbc => {
            return Err(ParseError::MissingValue {
                column: 0,
                keyword: "Server",
                needed_by: "an ODBC string (a DSN is not read)".into(),
            });
        }
        None => Cow::Borrowed(""),
        Some(slot) => slot
            .raw
            .text()
            .ok_or_else(|| fail("its name is not UTF-8"))?,
    };
    match builder.dialect {
        Dialect::AdoNet | Dialect::Odbc if source.is_none() => Ok(None),
        Dialect::AdoNet => native(&text, false).map(Some).map_err(fail),
        Dialect::Odbc => native(&text, true).map(Some).map_err(fail),
        Dialect::Jdbc => jdbc(builder, &text, source.is_some()).map_err(fail),
        Dialect::SqlServerUrl => go(builder, &text).map(Some).map_err(fail),
    }
}

/// `[tcp:|np:|admin:]host[\instance][,port]`, as SqlClient and the ODBC driver
/// on Linux read it.
fn native(text: &str, odbc: bool) -> Result<Parts, &'static str> {
    let (protocol, rest) = protocol(text.trim())?;
    if protocol == Some("np") || rest.starts_with(r"\\") {
        return match protocol {
            _ if odbc => Err("named pipes exist on Windows only"),
            Some("tcp" | "admin") => Err("a pipe is not reached by this protocol"),
            _ => pipe(rest),
        };
    }
    let head = rest.get(..LOCAL_DB_HOST.len());
    if head.is_some_and(|head| head.eq_ignore_ascii_case(LOCAL_DB_HOST)) {
        let instance = rest[LOCAL_DB_HOST.len()..]
            .strip_prefix('\\')
            .map_or("", str::trim);
        if odbc || protocol.is_some() || instance.is_empty() {
            return Err(LOCAL_DB);
        }
        let instance = Some(instance.to_owned());
        return Ok(Parts {
            host: LOCAL_DB_HOST.to_owned(),
            instance,
            ..Parts::default()
        });
    }
    if rest.contains('/') {
        return Err("a host name holds no '/'; write host and port only");
    }
    tcp(rest, protocol, odbc)
}

/// Takes the protocol off; a prefix that is none stays, for it may belong to
/// an IPv6 address.
fn protocol(text: &str) -> Result<(Option<&'static str>, &str), &'static str> {
    let Some((prefix, rest)) = text.split_once(':') else {
        return Ok((None, text));
    };
    if prefix.trim().eq_ignore_ascii_case("lpc") {
        return Err("shared memory exists on Windows only");
    }
    let known = ["tcp", "admin", "np"]
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(prefix.trim()));
    Ok(known.map_or((None, text), |name| (Some(name), rest.trim())))
}

fn tcp(text: &str, protocol: Option<&'static str>, odbc: bool) -> Result<Parts, &'static str> {
    let tokens: Vec<&str> = text.split(['\\', ',']).map(str::trim).collect();
    let host = host(tokens[0], odbc && !text.is_empty())?;
    let mut parts = Parts {
        host,
        protocol,
        ..Parts::default()
    };
    match (text.find(','), text.find('\\')) {
        (Some(_), _) if protocol == Some("admin") => {
            return Err("a port goes with TCP only, not with 'admin:'");
        }
        (Some(comma), slash) => {
            let after_instance = slash.is_some_and(|slash| slash < comma);
            let port = tokens.get(if after_instance { 2 } else { 1 });
            parts.port = native_port(port.copied().unwrap_or(""), odbc)?;
        }
        (None, Some(_)) => parts.instance = instance(tokens[1], odbc)?,
        (None, None) => {}
    }
    Ok(parts)
}

fn native_port(text: &str, odbc: bool) -> Result<Option<u16>, &'static str> {
    match text.parse::<i32>() {
        Ok(number) if number < 0 && odbc => Ok(None),
        Ok(number @ 1..=65535) => Ok(u16::try_from(number).ok()),
        _ => Err("the port is a number from 1 to 65535"),
    }
}

fn instance(text: &str, odbc: bool) -> Result<Option<String>, &'static str> {
    match text {
        "" if odbc => Ok(None),
        "" => Err("an instance name is missing after the backslash"),
        name if name.eq_ignore_ascii_case("MSSQLSERVER") => {
            Err("the default instance may not be named; write the host only")
        }
        name => Ok(Some(name.to_owned())),
    }
}

fn host(text: &str, required: bool) -> Result<String, &'static str> {
    match text {
        "" if required => Err("the host is missing"),
        "" | "." => Ok("localhost".to_owned()),
        name if name.eq_ignore_ascii_case("(local)") => Ok("localhost".to_owned()),
        name if name.contains(':') && !is_ipv6(name) => Err(COLON),
        name => Ok(name.to_owned()),
    }
}

/// An IPv6 address, in brackets or not, with a zone or not.
fn is_ipv6(text: &str) -> bool {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare.split_once('%').map_or(bare, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

fn pipe(text: &str) -> Result<Parts, &'static str> {
    let protocol = Some("np");
    if let Some(path) = text.strip_prefix(r"\\") {
        let parts: Vec<&str> = path.split('\\').collect();
        let whole = parts.len() >= 4 && parts[1].eq_ignore_ascii_case("pipe");
        if !whole || parts[0].trim().is_empty() {
            return Err(PIPE);
        }
        return Ok(Parts {
            host: host(parts[0].trim(), true)?,
            protocol,
            ..Parts::default()
        });
    }
    if text.contains(',') {
        return Err("a port goes with TCP only, not with 'np:'");
    }
    let (name, instance_name) = text.split_once('\\').unwrap_or((text, ""));
    let instance = Some(instance_name.trim().to_owned()).filter(|name| !name.is_empty());
    Ok(Parts {
        host: host(name.trim(), false)?,
        protocol,
        instance,
        ..Parts::default()
    })
}

fn port_slot(builder: &Builder<'_>) -> Result<Option<u16>, &'static str> {
    const RANGE: &str = "the port is a number from 0 to 65535";
    let Some(slot) = builder.slot(Key::Port) else {
        return Ok(None);
    };
    let read =
        super::values::read(builder.dialect, slot.entry.kind, &slot.raw).map_err(|_| RANGE)?;
    match read {
        super::values::Outcome::Set(Value::Number(port)) => {
            u16::try_from(port).map(Some).map_err(|_| RANGE)
        }
        _ => Ok(None),
    }
}

fn instance_slot(builder: &Builder<'_>) -> Option<String> {
    let text = builder.slot(Key::Instance)?.raw.text()?;
    (!text.is_empty()).then(|| text.into_owned())
}

fn jdbc(builder: &Builder<'_>, text: &str, written: bool) -> Result<Option<Parts>, &'static str> {
    let (name, own_instance) = text
        .split_once('\\')
        .map_or((text, None), |(name, inst)| (name, Some(inst)));
    let port = port_slot(builder)?;
    let instance = instance_slot(builder).or_else(|| own_instance.map(str::to_owned));
    if name.contains(',') {
        return Err("a port follows a colon, as in 'host:1433'");
    }
    if !written && port.is_none() && instance.is_none() {
        return Ok(None);
    }
    let host = if name.is_empty() {
        "localhost".to_owned()
    } else {
        name.to_owned()
    };
    let instance = instance.filter(|name| port.is_none() && !name.is_empty());
    Ok(Some(Parts {
        host,
        port,
        instance,
        protocol: None,
    }))
}

fn go(builder: &Builder<'_>, text: &str) -> Result<Parts, &'static str> {
    let mut text = text;
    let mut protocol = None;
    let mut port = port_slot(builder)?;
    if builder.go_ado {
        for prefix in ["tcp", "admin"] {
            if let Some(rest) = text
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix(':'))
            {
                protocol = Some(prefix);
                text = rest;
            }
        }
        if let Some((name, number)) = text.split_once(',').filter(|(_, port)| !port.is_empty()) {
            let number: u16 = number
                .parse()
                .map_err(|_| "the port is a number from 0 to 65535")?;
            text = name;
            port = Some(number).filter(|port| *port > 0);
        }
    }
    let (name, own_instance) = text
        .split_once('\\')
        .map_or((text, None), |(name, inst)| (name, Some(inst)));
    let host = host(name, false)?;
    let instance = instance_slot(builder).or_else(|| own_instance.map(str::to_owned));
    let instance = instance.filter(|name| port.is_none() && !name.is_empty());
    Ok(Parts {
        host,
        port,
        instance,
        protocol,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protocol, host, instance and port in one line; nothing for an error.
    fn parts(text: &str, odbc: bool) -> String {
        let Ok(parts) = native(text, odbc) else {
            return String::new();
        };
        let mut out = parts
            .protocol
            .map_or(String::new(), |protocol| format!("{protocol}:"));
        out.push_str(&parts.host);
        if let Some(instance) = parts.instance {
            out.push_str(&format!("\\{instance}"));
        }
        if let Some(port) = parts.port {
            out.push_str(&format!(",{port}"));
        }
        out
    }

    /// What is written, what ADO.NET makes of it, what ODBC makes of it.
    const FORMS: &[(&str, &str, &str)] = &[
        ("tcp:h,1433", "tcp:h,1433", "tcp:h,1433"),
        (" tcp : h , 1433 ", "tcp:h,1433", "tcp:h,1433"),
        (r"h\i", r"h\i", r"h\i"),
        (r"h\i,1433", "h,1433", "h,1433"),
        (r"h,1433\i", "h,1433", "h,1433"),
        (r"h\MSSQLSERVER", "", ""),
        (r"h\mssqlserver,9", "h,9", "h,9"),
        (r"h\", "", "h"),
        (r"\i", r"localhost\i", ""),
        (",1433", "localhost,1433", ""),
        ("", "localhost", "localhost"),
        (".", "localhost", "localhost"),
        ("(LOCAL)", "localhost", "localhost"),
        ("tcp:", "tcp:localhost", "tcp:localhost"),
        ("::1", "::1", "::1"),
        ("tcp:::1,5", "tcp:::1,5", "tcp:::1,5"),
        ("h:1433", "", ""),
        ("tcp:h:1433", "", ""),
        ("h,1433,5", "h,1433", "h,1433"),
        ("h,0", "", ""),
        ("h,abc", "", ""),
        ("h,", "", ""),
        ("h, ", "", ""),
        ("h,-1", "", "h"),
        ("h,+1433", "h,1433", "h,1433"),
        ("h,65536", "", ""),
        ("h/i", "", ""),
        ("http://h", "", ""),
        ("np:h", "np:h", ""),
        (r"np:\\h\pipe\sql\query", "np:h", ""),
        (r"\\h\pipe\sql", "", ""),
        ("lpc:h", "", ""),
        ("admin:h", "admin:h", "admin:h"),
        ("admin:h,1434", "", ""),
        (r"(localdb)\v", r"(localdb)\v", ""),
        (r"(localdb)\.\shared", r"(localdb)\.\shared", ""),
        ("(localdb)", "", ""),
        (r"tcp:(localdb)\v", "", ""),
        ("via:h", "", ""),
    ];

    #[test]
    fn table_of_server_forms() {
        for (text, ado, odbc) in FORMS {
            assert_eq!(parts(text, false), *ado, "ADO.NET {text}");
            assert_eq!(parts(text, true), *odbc, "ODBC {text}");
        }
    }
}
