//! JSON functions.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::{Value as Stored, ValueRef};

use super::super::error::{SqlError, SqlResult};
use super::super::types::json::{self, Item, Kind, Node, Path, Step};
use super::super::types::{SqlType, Value};
use super::{int, is_null, scalar, text, type_at, value};

use SqlType as T;

/// Most UTF-16 units of what JSON_VALUE gives.
const LONGEST_VALUE: usize = 4000;

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_isjson", 2, is_json)?;
    scalar(conn, "t_jvalue", 3, json_value)?;
    scalar(conn, "t_jquery", 2, json_query)?;
    scalar(conn, "t_jmodify", 4, modify)?;
    scalar(conn, "t_openjson", 3, open)?;
    scalar(conn, "t_jcol", 2, column)?;
    scalar(conn, "t_jescape", 1, |ctx| {
        if is_null(ctx, 0) {
            return Ok(Stored::Null);
        }
        Ok(Stored::Text(json::escape(text(ctx, 0)?)))
    })
}

fn is_json(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let kind = json::document(text(ctx, 0)?).ok().map(|n| n.kind);
    let yes = kind.is_some_and(|kind| match text(ctx, 1) {
        Ok("ARRAY") => kind == Kind::Array,
        Ok("OBJECT") => kind == Kind::Object,
        Ok("SCALAR") => matches!(kind, Kind::Number | Kind::String),
        Ok("VALUE") => true,
        _ => !kind.is_scalar(),
    });
    Ok(Stored::Integer(yes.into()))
}

fn missing() -> SqlError {
    SqlError::new(
        13608,
        "Property cannot be found on the specified JSON path.",
    )
    .state(5)
}

/// `None` where a lax path leads nowhere.
fn found<'t>(node: Node<'t>, path: &Path) -> SqlResult<Option<Node<'t>>> {
    match path.find(node) {
        None if path.strict => Err(missing()),
        found => Ok(found),
    }
}

fn plain(node: Node<'_>) -> Stored {
    match node.kind {
        Kind::Null => Stored::Null,
        Kind::String => Stored::Text(json::unescape(node.raw)),
        _ => Stored::Text(node.raw.to_owned()),
    }
}

/// `JSON_VALUE`, and without a limit of length what OPENJSON takes for a column.
fn json_value(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) || is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let path = Path::parse(text(ctx, 1)?)?;
    let root = json::parse(text(ctx, 0)?)?;
    match found(root, &path)? {
        None => Ok(Stored::Null),
        Some(node) if !node.kind.is_scalar() && path.strict => Err(SqlError::new(
            13623,
            "Scalar value cannot be found in the specified JSON path.",
        )
        .state(2)),
        Some(node) if !node.kind.is_scalar() => Ok(Stored::Null),
        Some(node) => {
            let value = plain(node);
            let limited = int(ctx, 2)? == 1;
            match &value {
                Stored::Text(t) if limited && t.encode_utf16().count() > LONGEST_VALUE => {
                    if path.strict {
                        return Err(SqlError::new(
                            13625,
                            "String value in the specified JSON path would be truncated.",
                        ));
                    }
                    Ok(Stored::Null)
                }
                _ => Ok(value),
            }
        }
    }
}

fn json_query(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) || is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let path = Path::parse(text(ctx, 1)?)?;
    let root = json::parse(text(ctx, 0)?)?;
    match found(root, &path)? {
        Some(node) if !node.kind.is_scalar() => Ok(Stored::Text(node.raw.to_owned())),
        Some(_) if path.strict => Err(SqlError::new(
            13624,
            "Object or array cannot be found in the specified JSON path.",
        )
        .state(2)),
        _ => Ok(Stored::Null),
    }
}

/// `JSON_MODIFY`: document, path, value, and the value's type or NULL if it is JSON itself.
fn modify(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) || is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let (document, path) = (text(ctx, 0)?, Path::parse(text(ctx, 1)?)?);
    let root = json::parse(document)?;
    let new = new_value(ctx)?;
    let same = || Ok(Stored::Text(document.to_owned()));
    let Some((last, parents)) = path.steps.split_last() else {
        return Err(SqlError::unsupported("JSON_MODIFY of the whole document"));
    };
    let Some(parent) = json::walk(root, parents) else {
        return if path.strict { Err(missing()) } else { same() };
    };
    let items = json::items(parent);
    let at = match (last, parent.kind) {
        (Step::Key(key), Kind::Object) => items.iter().position(|i| i.key == *key),
        (Step::Index(index), Kind::Array) => Some(*index).filter(|i| *i < items.len()),
        _ if path.strict => return Err(missing()),
        _ => return same(),
    };
    let edited = match (at, last) {
        (None, _) if path.strict => return Err(missing()),
        (Some(at), _) if path.append => {
            let Some(array) = items
                .get(at)
                .map(|i| i.node)
                .filter(|n| n.kind == Kind::Array)
            else {
                return Err(SqlError::unsupported(
                    "JSON_MODIFY append to what is no array",
                ));
            };
            add(document, array, new.as_deref().unwrap_or("null"))
        }
        (Some(at), Step::Key(_)) if new.is_none() && !path.strict => {
            remove(document, parent, &items, at)
        }
        (Some(at), _) => match items.get(at) {
            Some(item) => splice(
                document,
                item.node.at,
                item.node.at + item.node.raw.len(),
                new.as_deref().unwrap_or("null"),
            ),
            None => document.to_owned(),
        },
        (None, _) if new.is_none() => return same(),
        (None, Step::Key(key)) => {
            let new = new.unwrap_or_default();
            let value = if path.append { format!("[{new}]") } else { new };
            add(
                document,
                parent,
                &format!("\"{}\":{value}", json::escape(key)),
            )
        }
        (None, Step::Index(_)) => return same(),
    };
    Ok(Stored::Text(edited))
}

/// The new value as JSON; `None` for NULL.
fn new_value(ctx: &Context<'_>) -> SqlResult<Option<String>> {
    if is_null(ctx, 2) {
        return Ok(None);
    }
    if is_null(ctx, 3) {
        return Ok(Some(text(ctx, 2)?.to_owned()));
    }
    let ty = type_at(ctx, 3)?;
    Ok(Some(match value(ctx, 2, ty)? {
        Value::Int(v) if ty == T::Bit => if v == 0 { "false" } else { "true" }.to_owned(),
        Value::Int(v) => v.to_string(),
        Value::Decimal(v) if !ty.is_money() => v
            .rescale(38, ty.digits().map_or(0, |d| d.1))
            .unwrap_or(v)
            .to_string(),
        Value::Text(v) => format!("\"{}\"", json::escape(&v)),
        _ => return Err(SqlError::unsupported(format!("JSON_MODIFY with a {ty}"))),
    }))
}

fn splice(document: &str, from: usize, to: usize, new: &str) -> String {
    let (head, tail) = (document.get(..from), document.get(to..));
    format!("{}{new}{}", head.unwrap_or(""), tail.unwrap_or(""))
}

/// Adds an item at the end of an array or object.
fn add(document: &str, to: Node<'_>, item: &str) -> String {
    let end = to.at + to.raw.len() - 1;
    let empty = json::items(to).is_empty();
    let comma = if empty { "" } else { "," };
    splice(document, end, end, &format!("{comma}{item}"))
}

/// Takes a member away, with the comma after it or, if it is the last, before it.
fn remove(document: &str, parent: Node<'_>, items: &[Item<'_>], at: usize) -> String {
    let end_of = |item: &Item<'_>| item.node.at + item.node.raw.len();
    let Some(item) = items.get(at) else {
        return document.to_owned();
    };
    let before = at.checked_sub(1).and_then(|b| items.get(b));
    match (before, items.get(at + 1)) {
        (_, Some(next)) => splice(document, item.start, next.start, ""),
        (Some(before), None) => splice(document, end_of(before), end_of(item), ""),
        (None, None) => splice(document, parent.at, parent.at + parent.raw.len(), "{}"),
    }
}

/// The rows of OPENJSON as an array of texts, each of them type, length of the key, key and value.
/// With columns an object is one row, without it has a row for each member.
fn open(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) || is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let path = Path::parse(text(ctx, 1)?)?;
    let root = json::parse(text(ctx, 0)?)?;
    let with_columns = int(ctx, 2)? == 1;
    let rows = match found(root, &path)? {
        None => Vec::new(),
        Some(node) if node.kind == Kind::Object && with_columns => vec![row("", node)],
        Some(node) if node.kind.is_scalar() => {
            if path.strict || path.steps.is_empty() {
                return Err(SqlError::unsupported("OPENJSON of a scalar"));
            }
            Vec::new()
        }
        Some(node) => json::items(node)
            .iter()
            .enumerate()
            .map(|(index, item)| match node.kind {
                Kind::Array => row(&index.to_string(), item.node),
                _ => row(&item.key, item.node),
            })
            .collect(),
    };
    let list = serde_json::Value::Array(rows.into_iter().map(serde_json::Value::String).collect());
    Ok(Stored::Text(list.to_string()))
}

fn row(key: &str, node: Node<'_>) -> String {
    let kind = match node.kind {
        Kind::Null => 0,
        Kind::String => 1,
        Kind::Number => 2,
        Kind::Bool => 3,
        Kind::Array => 4,
        Kind::Object => 5,
    };
    format!("{kind}{}:{key}{}", key.len(), node.raw)
}

/// A column of a row: 0 the key, 1 the value, 2 the type, 3 the value as JSON.
fn column(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let damaged = || SqlError::internal("a row of OPENJSON is damaged");
    let row = text(ctx, 0)?;
    let (head, rest) = row.split_once(':').ok_or_else(damaged)?;
    let (kind, length) = head.split_at_checked(1).ok_or_else(damaged)?;
    let length: usize = length.parse().map_err(|_| damaged())?;
    let (key, raw) = rest.split_at_checked(length).ok_or_else(damaged)?;
    Ok(match int(ctx, 1)? {
        0 => Stored::Text(key.to_owned()),
        1 => match kind {
            "0" => Stored::Null,
            "1" => Stored::Text(json::unescape(raw)),
            _ => Stored::Text(raw.to_owned()),
        },
        2 => Stored::Integer(kind.parse().map_err(|_| damaged())?),
        _ => match ctx.get_raw(0) {
            ValueRef::Null => Stored::Null,
            _ => Stored::Text(raw.to_owned()),
        },
    })
}
