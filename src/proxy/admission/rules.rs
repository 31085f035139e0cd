//! Where a listener takes a client, by the names that it gives.

use crate::proxy::config::{ListenerConfig, RuleConfig};

/// The database that is not one of a target's, ignoring case.
const ADMIN_DATABASE: &str = "entrada";

/// Where a client is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    /// To the admin database, provided that it may.
    Admin,
    /// To a target, in place of the database asked for to `database`, and as
    /// `identity` in place of the target's own.
    Target {
        name: &'a str,
        database: Option<&'a str>,
        identity: Option<&'a str>,
    },
    /// Nothing is said about such a client.
    Nowhere,
}

/// The first rule that fits decides; for want of one the listener's target does.
///
/// The database `entrada` is the admin database, unless a rule calls for it by
/// that very name: then there is a real one.
pub(super) fn choose<'a>(listener: &'a ListenerConfig, login: &str, database: &str) -> Choice<'a> {
    let is_admin = same(database, ADMIN_DATABASE);
    let fits = |rule: &&RuleConfig| {
        let by_login = rule.login.as_deref().is_none_or(|name| same(name, login));
        let by_database = match &rule.database {
            Some(name) => same(name, database),
            None => !is_admin,
        };
        by_login && by_database
    };
    if let Some(rule) = listener.rules.iter().find(fits) {
        return Choice::Target {
            name: &rule.target,
            database: rule.database_as.as_deref(),
            identity: rule.identity.as_deref(),
        };
    }
    match &listener.target {
        _ if is_admin => Choice::Admin,
        Some(name) => Choice::Target {
            name,
            database: None,
            identity: None,
        },
        None => Choice::Nowhere,
    }
}

/// Names are compared as SQL Server's usual collations do: ignoring case.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proxy::config::Config;

    fn listener(
        target: Option<&str>,
        rules: &[(Option<&str>, Option<&str>, &str)],
    ) -> ListenerConfig {
        let mut listener = Config::for_connection("").listeners.remove(0);
        listener.target = target.map(str::to_owned);
        listener.rules = rules
            .iter()
            .map(|(login, database, target)| RuleConfig {
                login: login.map(str::to_owned),
                database: database.map(str::to_owned),
                target: (*target).to_owned(),
                ..RuleConfig::default()
            })
            .collect();
        listener
    }

    fn target<'a>(choice: &Choice<'a>) -> Option<&'a str> {
        match choice {
            Choice::Target { name, .. } => Some(name),
            _ => None,
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = [
            (Some("bob"), Some("shop"), "one"),
            (Some("bob"), None, "two"),
            (None, Some("Straße"), "three"),
        ];
        let listener = listener(Some("rest"), &rules);
        for (login, database, expected) in [
            ("bob", "shop", "one"),
            ("BOB", "SHOP", "one"),
            ("bob", "", "two"),
            ("bob", "other", "two"),
            ("eve", "STRAßE", "three"),
            ("eve", "shop", "rest"),
            ("", "", "rest"),
        ] {
            assert_eq!(target(&choose(&listener, login, database)), Some(expected));
        }
    }

    #[test]
    fn without_a_rule_and_a_target_there_is_nowhere_to_go() {
        let listener = listener(None, &[(Some("bob"), None, "one")]);
        assert_eq!(choose(&listener, "eve", "shop"), Choice::Nowhere);
    }

    #[test]
    fn a_rule_says_database_and_identity() {
        let mut listener = listener(None, &[(None, None, "one")]);
        listener.rules[0].database_as = Some("real".to_owned());
        listener.rules[0].identity = Some("id".to_owned());
        let expected = Choice::Target {
            name: "one",
            database: Some("real"),
            identity: Some("id"),
        };
        assert_eq!(choose(&listener, "", ""), expected);
    }

    #[test]
    fn the_admin_database_is_one_unless_a_rule_names_it() {
        let by_default = listener(Some("rest"), &[(None, None, "all")]);
        assert_eq!(choose(&by_default, "bob", "Entrada"), Choice::Admin);
        let named = listener(
            Some("rest"),
            &[(None, None, "all"), (None, Some("ENTRADA"), "real")],
        );
        assert_eq!(target(&choose(&named, "bob", "entrada")), Some("real"));
        assert_eq!(target(&choose(&named, "bob", "shop")), Some("all"));
        let for_one = listener(None, &[(Some("eve"), Some("entrada"), "real")]);
        assert_eq!(choose(&for_one, "bob", "entrada"), Choice::Admin);
    }

    /// The rules as a person would go through them, written otherwise.
    fn by_hand(
        rules: &[(Option<String>, Option<String>)],
        login: &str,
        database: &str,
    ) -> Option<usize> {
        for (index, (a, b)) in rules.iter().enumerate() {
            if let Some(a) = a
                && a.to_uppercase() != login.to_uppercase()
            {
                continue;
            }
            if let Some(b) = b
                && b.to_uppercase() != database.to_uppercase()
            {
                continue;
            }
            return Some(index);
        }
        None
    }

    proptest! {
        #[test]
        fn any_table_of_rules_is_read_from_the_top(
            rules in proptest::collection::vec(
                (proptest::option::of("[abAB]{0,2}"), proptest::option::of("[xyXY]{0,2}")),
                0..8,
            ),
            login in "[abAB]{0,2}",
            database in "[xyXY]{0,2}",
        ) {
            let names: Vec<_> = (0..rules.len()).map(|index| index.to_string()).collect();
            let table: Vec<_> = rules
                .iter()
                .zip(&names)
                .map(|((a, b), name)| (a.as_deref(), b.as_deref(), name.as_str()))
                .collect();
            let listener = listener(Some("rest"), &table);
            let expected = by_hand(&rules, &login, &database).map_or("rest".to_owned(), |it| it.to_string());
            prop_assert_eq!(target(&choose(&listener, &login, &database)), Some(expected.as_str()));
        }
    }
}
