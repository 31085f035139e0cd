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
    let text = text.trim();
    let (protocol, rest) = match text.split_once(':') {
        Some((prefix, rest)) => match prefix.trim() {
            p if p.eq_ignore_ascii_case("tcp") => (Some("tcp"), rest.trim()),
            p if p.eq_ignore_ascii_case("admin") => (Some("admin"), rest.trim()),
            p if p.eq_ignore_ascii_case("np") => (Some("np"), rest.trim()),
            p if p.eq_ignore_ascii_case("lpc") => {
                return Err("shared memory exists on Windows only");
            }
            _ => (None, text),
        },
        None => (None, text),
    };
    if protocol == Some("np") || rest.starts_with(r"\\") {
        return match protocol {
            _ if odbc => Err("named pipes exist on Windows only"),
            Some("tcp" | "admin") => Err("a pipe is not reached by this protocol"),
            _ => pipe(rest),
        };
    }
    if rest
        .get(..9)
        .is_some_and(|head| head.eq_ignore_ascii_case("(localdb)"))
    {
        let instance = rest[9..].strip_prefix('\\').map_or("", str::trim);
        if odbc || protocol.is_some() || instance.is_empty() {
            return Err(LOCAL_DB);
        }
        let instance = Some(instance.to_owned());
        return Ok(Parts {
            host: "(localdb)".to_owned(),
            instance,
            ..Parts::default()
        });
    }
    if rest.contains('/') {
        return Err("a host name holds no '/'; write host and port only");
    }
    let tokens: Vec<&str> = rest.split(['\\', ',']).map(str::trim).collect();
    let (comma, slash) = (rest.find(','), rest.find('\\'));
    let mut parts = Parts {
        host: host(tokens[0], odbc && !rest.is_empty())?,
        protocol,
        ..Parts::default()
    };
    match (comma, slash) {
        (Some(comma), slash) => {
            if protocol == Some("admin") {
                return Err("a port goes with TCP only, not with 'admin:'");
            }
            let after_instance = slash.is_some_and(|slash| slash < comma);
            let port = tokens
                .get(if after_instance { 2 } else { 1 })
                .copied()
                .unwrap_or("");
            parts.port = native_port(port, odbc)?;
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

    fn parts(
        text: &str,
        odbc: bool,
    ) -> Option<(String, Option<u16>, Option<String>, Option<&'static str>)> {
        native(text, odbc)
            .ok()
            .map(|p| (p.host, p.port, p.instance, p.protocol))
    }

    #[test]
    fn table_of_server_forms() {
        let some = |host: &str, port, instance: Option<&str>, protocol| {
            Some((host.to_owned(), port, instance.map(str::to_owned), protocol))
        };
        for (text, ado, odbc) in [
            (
                "tcp:h,1433",
                some("h", Some(1433), None, Some("tcp")),
                some("h", Some(1433), None, Some("tcp")),
            ),
            (
                " tcp : h , 1433 ",
                some("h", Some(1433), None, Some("tcp")),
                some("h", Some(1433), None, Some("tcp")),
            ),
            (
                r"h\i",
                some("h", None, Some("i"), None),
                some("h", None, Some("i"), None),
            ),
            (
                r"h\i,1433",
                some("h", Some(1433), None, None),
                some("h", Some(1433), None, None),
            ),
            (
                r"h,1433\i",
                some("h", Some(1433), None, None),
                some("h", Some(1433), None, None),
            ),
            (r"h\MSSQLSERVER", None, None),
            (
                r"h\mssqlserver,9",
                some("h", Some(9), None, None),
                some("h", Some(9), None, None),
            ),
            (r"h\", None, some("h", None, None, None)),
            (r"\i", some("localhost", None, Some("i"), None), None),
            (",1433", some("localhost", Some(1433), None, None), None),
            (
                "",
                some("localhost", None, None, None),
                some("localhost", None, None, None),
            ),
            (
                ".",
                some("localhost", None, None, None),
                some("localhost", None, None, None),
            ),
            (
                "(LOCAL)",
                some("localhost", None, None, None),
                some("localhost", None, None, None),
            ),
            (
                "tcp:",
                some("localhost", None, None, Some("tcp")),
                some("localhost", None, None, Some("tcp")),
            ),
            (
                "::1",
                some("::1", None, None, None),
                some("::1", None, None, None),
            ),
            (
                "tcp:::1,5",
                some("::1", Some(5), None, Some("tcp")),
                some("::1", Some(5), None, Some("tcp")),
            ),
            ("h:1433", None, None),
            ("tcp:h:1433", None, None),
            (
                "h,1433,5",
                some("h", Some(1433), None, None),
                some("h", Some(1433), None, None),
            ),
            ("h,0", None, None),
            ("h,abc", None, None),
            ("h,", None, None),
            ("h, ", None, None),
            ("h,-1", None, some("h", None, None, None)),
            (
                "h,+1433",
                some("h", Some(1433), None, None),
                some("h", Some(1433), None, None),
            ),
            ("h,65536", None, None),
            ("h/i", None, None),
            ("http://h", None, None),
            ("np:h", some("h", None, None, Some("np")), None),
            (
                r"np:\\h\pipe\sql\query",
                some("h", None, None, Some("np")),
                None,
            ),
            (r"\\h\pipe\sql", None, None),
            ("lpc:h", None, None),
            (
                "admin:h",
                some("h", None, None, Some("admin")),
                some("h", None, None, Some("admin")),
            ),
            ("admin:h,1434", None, None),
            (
                r"(localdb)\v",
                some("(localdb)", None, Some("v"), None),
                None,
            ),
            (
                r"(localdb)\.\shared",
                some("(localdb)", None, Some(r".\shared"), None),
                None,
            ),
            ("(localdb)", None, None),
            (r"tcp:(localdb)\v", None, None),
            ("via:h", None, None),
        ] {
            assert_eq!(parts(text, false), ado, "ADO.NET {text}");
            assert_eq!(parts(text, true), odbc, "ODBC {text}");
        }
    }
}
