//! The status page: complete as it is sent, then kept up to date by its script.

mod cells;

use std::fmt::{self, Write as _};
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderValue;
use axum::response::Html;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::status::{LISTED, Status};
use cells::{Bytes, Escaped, Lasting, Share, Time};

const STYLE: &str = include_str!("status.css");
const SCRIPT: &str = include_str!("status.js");

/// Lets the page's own style and script run, and it ask this endpoint: nothing else.
pub(super) static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// The page as it is now.
pub(super) fn render(status: &Status) -> Html<String> {
    let mut page = String::with_capacity(64 * 1024);
    // Writing to a String does not fail.
    let _ = write(&mut page, status);
    Html(page)
}

fn write(page: &mut String, status: &Status) -> fmt::Result {
    let tone = if status.draining { "warn" } else { "good" };
    let state = if status.draining {
        "draining"
    } else {
        "running"
    };
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Entrada proxy</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>Entrada <span>proxy</span></h1>\n\
         <p class=\"meta\"><span id=\"state\" class=\"pill {tone}\">{state}</span> \
         version {} · process {} · <span id=\"clock\">as of {}</span> \
         <span id=\"live\" class=\"pill\" aria-live=\"polite\">snapshot</span></p>\n</header>\n<main>\n",
        Escaped(status.version),
        status.pid,
        Time(status.now),
    )?;
    tiles(page, status)?;
    chart(page, status)?;
    sessions(page, status)?;
    pools(page, status)?;
    tokens(page, status)?;
    listeners(page, status)?;
    errors(page, status)?;
    write!(
        page,
        "</main>\n<footer>Also here: <a href=\"/metrics\">/metrics</a> <a href=\"/readyz\">/readyz</a> \
         <a href=\"/livez\">/livez</a> <a href=\"/status.json\">/status.json</a></footer>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

fn tiles(page: &mut String, status: &Status) -> fmt::Result {
    let totals = &status.totals;
    let up = Lasting(status.now.saturating_sub(status.started)).to_string();
    let bytes = Bytes(totals.bytes_from_clients + totals.bytes_to_clients).to_string();
    let number = |number: u64| number.to_string();
    let tiles = [
        ("uptime", "Uptime", up, "since the start".to_owned()),
        (
            "clients",
            "Clients",
            totals.clients.to_string(),
            "connected now".to_owned(),
        ),
        (
            "logins",
            "Logins",
            number(totals.logins),
            format!("{} not accepted", totals.logins_not_accepted),
        ),
        (
            "requests",
            "Requests",
            number(totals.requests),
            "relayed".to_owned(),
        ),
        ("bytes", "Relayed", bytes, "both ways".to_owned()),
        (
            "errors",
            "Errors",
            number(totals.errors),
            "since the start".to_owned(),
        ),
    ];
    page.push_str("<section class=\"tiles\" aria-label=\"Overview\">\n");
    for (id, title, value, note) in tiles {
        writeln!(
            page,
            "<div class=\"tile\"><h2>{title}</h2><p class=\"big\" id=\"{id}\">{value}</p><p id=\"{id}-note\">{note}</p></div>"
        )?;
    }
    page.push_str("</section>\n");
    Ok(())
}

fn chart(page: &mut String, status: &Status) -> fmt::Result {
    let history = &status.history;
    let last = |column: &[Option<f64>]| match column.iter().rev().flatten().next() {
        Some(millis) => format!("{millis} ms"),
        None => "–".to_owned(),
    };
    write!(
        page,
        "<section class=\"card\" aria-labelledby=\"latency-title\">\n\
         <h2 id=\"latency-title\">First-byte latency <small>last 10 minutes</small></h2>\n\
         <p class=\"legend\"><span class=\"p50\">p50 <b id=\"p50\">{}</b></span> \
         <span class=\"p95\">p95 <b id=\"p95\">{}</b></span> <span class=\"p99\">p99 <b id=\"p99\">{}</b></span></p>\n\
         <div id=\"chart\"></div>\n<noscript><p class=\"note\">The chart needs JavaScript; the numbers above \
         are those of the latest requests. Reload the page to refresh it.</p></noscript>\n</section>\n",
        last(&history.p50),
        last(&history.p95),
        last(&history.p99),
    )
}

const SESSIONS: &[&str] = &[
    "#",
    "Login",
    "Application",
    "TDS",
    "Peer",
    "Target",
    "Database",
    "Identity",
    "State",
    "Since",
    "Sent",
    "Received",
    "Requests",
];

fn sessions(page: &mut String, status: &Status) -> fmt::Result {
    let rows = status.sessions.iter().map(|client| {
        let tls = if client.encrypted { " 🔒" } else { "" };
        vec![
            client.id.to_string(),
            or_dash(&client.login),
            or_dash(&client.application),
            or_dash(&client.tds_version),
            format!("{}{tls}", client.peer),
            client.target.clone(),
            client.database.clone(),
            client.identity.clone(),
            client.state.to_owned(),
            Lasting(status.now.saturating_sub(client.since)).to_string(),
            Bytes(client.bytes_from).to_string(),
            Bytes(client.bytes_to).to_string(),
            client.requests.to_string(),
        ]
    });
    let hidden = status.totals.clients.saturating_sub(LISTED);
    let note = match hidden {
        0 => String::new(),
        more => format!("the first {LISTED}; {more} more"),
    };
    table(
        page,
        "sessions",
        "Clients",
        &note,
        SESSIONS,
        rows,
        "Nobody is connected.",
    )
}

fn pools(page: &mut String, status: &Status) -> fmt::Result {
    let heads = [
        "Target", "Identity", "Use", "Idle", "In use", "Busy", "Waiting", "Most", "Opened",
        "Reused",
    ];
    section(page, "pools", "Sessions at the server", "")?;
    head(page, &heads)?;
    for pool in &status.pools {
        let paused = if pool.paused { " (paused)" } else { "" };
        write!(
            page,
            "<tr><td>{}{paused}</td><td>{}</td><td>{}</td>",
            Escaped(&pool.target),
            Escaped(&pool.identity),
            Share {
                idle: pool.idle,
                in_use: pool.in_use + pool.busy,
                max: pool.max
            },
        )?;
        for count in [pool.idle, pool.in_use, pool.busy, pool.waiting, pool.max] {
            write!(page, "<td>{count}</td>")?;
        }
        writeln!(
            page,
            "<td>{}</td><td>{}</td></tr>",
            pool.opened, pool.reused
        )?;
    }
    end(
        page,
        status.pools.is_empty(),
        heads.len(),
        "No session has been asked for yet.",
    )
}

fn tokens(page: &mut String, status: &Status) -> fmt::Result {
    let rows = status.tokens.iter().map(|token| {
        let left = token
            .expires
            .map(|expires| Lasting(expires.saturating_sub(status.now)).to_string());
        let age = token
            .obtained
            .map(|obtained| Lasting(status.now.saturating_sub(obtained)).to_string());
        vec![
            token.target.clone(),
            token.identity.clone(),
            if token.source == token.identity {
                or_dash("")
            } else {
                token.source.clone()
            },
            left.unwrap_or_else(|| "no token".to_owned()),
            age.unwrap_or_else(|| "–".to_owned()),
            token.trouble.clone().unwrap_or_else(|| "none".to_owned()),
        ]
    });
    let heads = ["Target", "Identity", "Source", "Ends in", "Age", "Trouble"];
    table(
        page,
        "tokens",
        "Tokens",
        "",
        &heads,
        rows,
        "No target logs in with a token.",
    )
}

fn listeners(page: &mut String, status: &Status) -> fmt::Result {
    let rows = status.listeners.iter().map(|listener| {
        let ends = listener.certificate_expires;
        let ends = ends.map(|ends| Lasting(ends.saturating_sub(status.now)).to_string());
        vec![
            listener.name.clone(),
            listener.address.clone(),
            listener.tls.to_owned(),
            listener.admission.to_owned(),
            listener.target.clone(),
            ends.unwrap_or_else(|| "–".to_owned()),
        ]
    });
    let heads = [
        "Name",
        "Address",
        "TLS",
        "Admits",
        "Target",
        "Certificate ends in",
    ];
    table(
        page,
        "listeners",
        "Listeners",
        "",
        &heads,
        rows,
        "There is none.",
    )
}

fn errors(page: &mut String, status: &Status) -> fmt::Result {
    let rows = status
        .errors
        .iter()
        .map(|error| vec![Time(error.at).to_string(), error.text.clone()]);
    table(
        page,
        "recent-errors",
        "Recent errors",
        "",
        &["When", "What"],
        rows,
        "None.",
    )
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "–" } else { text }.to_owned()
}

fn table(
    page: &mut String,
    id: &str,
    title: &str,
    note: &str,
    heads: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
    empty: &str,
) -> fmt::Result {
    section(page, id, title, note)?;
    head(page, heads)?;
    let mut none = true;
    for row in rows {
        none = false;
        page.push_str("<tr>");
        for cell in row {
            write!(page, "<td>{}</td>", Escaped(&cell))?;
        }
        page.push_str("</tr>\n");
    }
    end(page, none, heads.len(), empty)
}

fn section(page: &mut String, id: &str, title: &str, note: &str) -> fmt::Result {
    write!(
        page,
        "<section class=\"card\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title} \
         <small id=\"{id}-note\">{note}</small></h2>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"{id}-title\">\n<table id=\"{id}\">\n"
    )
}

fn head(page: &mut String, heads: &[&str]) -> fmt::Result {
    page.push_str("<thead><tr>");
    for head in heads {
        write!(page, "<th scope=\"col\">{head}</th>")?;
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    Ok(())
}

fn end(page: &mut String, none: bool, columns: usize, empty: &str) -> fmt::Result {
    if none {
        writeln!(
            page,
            "<tr><td class=\"empty\" colspan=\"{columns}\">{empty}</td></tr>"
        )?;
    }
    page.push_str("</tbody>\n</table>\n</div>\n</section>\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_and_style_cannot_end_their_elements() {
        assert!(!SCRIPT.contains("</") && !STYLE.contains("</"));
    }

    #[test]
    fn the_policy_lets_nothing_in_but_the_page_itself() {
        let policy = POLICY.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
        assert!(!policy.contains("unsafe"));
    }
}
