//! `entrada token --sources`: what this machine offers.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::token::{Offer, Survey};

/// A line for each source, and below it how to ask for it.
pub(super) fn text(survey: &Survey) -> String {
    let width = survey
        .offers
        .iter()
        .map(|offer| offer.source.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for offer in &survey.offers {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:width$}  {:9}  {}",
            offer.source,
            offer.state.name(),
            why(offer)
        );
        let _ = writeln!(text, "{:width$}             {}", "", offer.written);
    }
    text.push_str(
        "\nEntrada Client ID=… (or Entrada Object ID, Entrada Resource ID) names a user-assigned identity.\n",
    );
    match &survey.chain {
        Ok((order, left_out)) => {
            let _ = writeln!(
                text,
                "Authentication=ActiveDirectoryDefault asks in this order: {}.",
                order.join(", ")
            );
            for note in left_out {
                let _ = writeln!(text, "({note})");
            }
        }
        Err(error) => {
            let _ = writeln!(
                text,
                "Authentication=ActiveDirectoryDefault asks nobody: {error}."
            );
        }
    }
    text
}

/// The same as one document.
pub(super) fn json(survey: &Survey) -> Value {
    let or_null = |text: &str| {
        if text.is_empty() {
            Value::Null
        } else {
            text.into()
        }
    };
    let offers = survey.offers.iter().map(|offer| {
        json!({
            "source": offer.source,
            "state": offer.state.name(),
            "sign": or_null(&offer.sign),
            "missing": or_null(&offer.missing),
            "connection_string": offer.written,
        })
    });
    let chain = match &survey.chain {
        Ok((order, left_out)) => json!({"order": order, "left_out": left_out}),
        Err(error) => json!({"error": error.to_string()}),
    };
    json!({"sources": offers.collect::<Vec<_>>(), "default_chain": chain})
}

fn why(offer: &Offer) -> String {
    let parts = [&offer.sign, &offer.missing];
    let parts = parts.iter().filter(|part| !part.is_empty());
    parts
        .map(|part| part.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}
