//! What is written is read again as it was.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::{environment, name};
use crate::grants::manifest::{Manifest, write};
use crate::grants::model::{
    Desired, Identity, Membership, Permission, PermissionState, Principal, PrincipalKind, Role,
    Securable,
};
use crate::grants::{action, render};
use crate::tsql::Name;

const HOSTILE: &[&str] = &[
    "a]b",
    "o'brien",
    " lead",
    "x\"; y\\",
    "${A}",
    "$(x)",
    "$$",
    "dot.ted",
    "[x]",
    "a\nGO\n",
    "\u{202e}gnp",
    "😀",
    "# no comment",
    "]] \"\"\"",
    "}",
    "\u{7f}\u{85}\t",
    "e\u{301}",
    "",
];

prop_compose! {
    fn a_name()(which in 0..HOSTILE.len(), more in "\\PC{0,20}", number in 0..1000_u32) -> Name {
        name(&format!("{}{more}{number}", HOSTILE[which]))
    }
}

fn a_thing() -> impl Strategy<Value = Securable> {
    prop_oneof![
        Just(Securable::Database),
        a_name().prop_map(Securable::Schema),
        a_name().prop_map(Securable::Role),
        a_name().prop_map(Securable::User),
        (a_name(), a_name()).prop_map(|(schema, name)| Securable::Object { schema, name }),
        (a_name(), a_name()).prop_map(|(schema, name)| Securable::Type { schema, name }),
    ]
}

/// A permission for one of those who hold something, by number.
type Held = (usize, Securable, usize, u8, Vec<Name>);

fn permissions(held: Vec<Held>, holders: &[Name]) -> Vec<Permission> {
    let mut all = BTreeMap::new();
    for (to, on, which, state, mut columns) in held {
        let actions: Vec<_> = action::all().filter(|a| action::fits(a, &on)).collect();
        let action = actions[which % actions.len()];
        let has_columns = matches!(on, Securable::Object { .. }) && action::takes_columns(action);
        columns.sort_unstable();
        columns.dedup();
        let to = holders[to % holders.len()].clone();
        let permission = Permission {
            state: match state {
                0 => PermissionState::Deny,
                1 => PermissionState::GrantWithGrantOption,
                _ => PermissionState::Grant,
            },
            action,
            on: on.clone(),
            columns: if has_columns { columns } else { Vec::new() },
            to: to.clone(),
        };
        all.insert((to, on, action), permission);
    }
    all.into_values().collect()
}

prop_compose! {
    fn a_desired()(
        names in vec(a_name(), 2..7),
        kinds in vec((0..4_usize, 0..3_u8, any::<bool>(), any::<u128>()), 7),
        held in vec((0..7_usize, a_thing(), 0..200_usize, 0..6_u8, vec(a_name(), 0..4)), 0..12),
        schema in a_name(),
    ) -> Desired {
        // Names of users and roles differ, whatever their case.
        let names: BTreeMap<_, _> =
            names.into_iter().map(|name| (name.as_str().to_lowercase(), name)).collect();
        let names: Vec<_> = names.into_values().collect();
        let (of_roles, of_principals) = names.split_at(names.len() / 2);
        let mut desired = Desired::default();
        for (index, name) in of_roles.iter().enumerate() {
            let authoritative = kinds[index].2;
            desired.roles.push(Role { name: name.clone(), authoritative });
            let above = of_roles.get(index + 1);
            desired.memberships.extend(above.map(|role| Membership {
                role: role.clone(),
                member: name.clone(),
            }));
        }
        for (index, name) in of_principals.iter().enumerate() {
            let (kind, how, flag, id) = kinds[index];
            let id = Uuid::from_u128(id | 1 << (index + 100));
            desired.principals.push(Principal {
                name: name.clone(),
                kind: [
                    PrincipalKind::User,
                    PrincipalKind::Group,
                    PrincipalKind::Application,
                    PrincipalKind::ManagedIdentity,
                ][kind],
                identity: [Identity::ByName, Identity::ByObjectId(id), Identity::BySid(id)]
                    [usize::from(how)],
                default_schema: flag.then(|| schema.clone()),
                authoritative: !flag,
            });
            for role in of_roles.iter().take(index).cloned().chain([self::name("db_owner")]) {
                desired.memberships.push(Membership { role, member: name.clone() });
            }
        }
        let mut holders = names.clone();
        holders.push(self::name("public"));
        desired.permissions = permissions(held, &holders);
        sorted(desired)
    }
}

fn sorted(mut desired: Desired) -> Desired {
    desired.principals.sort_by(|a, b| a.name.cmp(&b.name));
    desired.roles.sort_by(|a, b| a.name.cmp(&b.name));
    desired.memberships.sort_unstable();
    desired.permissions.sort_unstable();
    desired
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_is_read_again(desired in a_desired()) {
        let text = write(&desired);
        let read = Manifest::from_toml(&text, "written", Path::new(""), &environment());
        let read = read.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        let read = read.databases()[0].desired.clone();
        prop_assert_eq!(sorted(read.clone()), desired, "{}", text);
        // The order is of names, not of what was read.
        prop_assert_eq!(write(&read), text);
    }

    #[test]
    fn no_name_begins_a_line_of_a_script(desired in a_desired()) {
        let script = render(&desired);
        prop_assert!(!script.contains("$("), "{}", script);
        prop_assert!(!script.chars().any(|c| c != '\n' && c.is_control()), "{}", script);
        const BEGINNINGS: &[&str] = &[
            "--", "SET ", "DECLARE ", "BEGIN", "END;", "IF NOT EXISTS ", "THROW ", "EXEC ",
            "CREATE ", "ALTER ", "GRANT ", "DENY ", "COMMIT ",
        ];
        for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            prop_assert!(BEGINNINGS.iter().any(|begin| line.starts_with(begin)), "{}", line);
        }
    }
}

#[test]
fn what_is_for_nobody_here_stands_in_comments() {
    let mut desired = Desired::default();
    desired.memberships.push(Membership {
        role: name("db_datareader"),
        member: name("old\n[[role]]"),
    });
    desired.permissions.push(Permission {
        state: PermissionState::Grant,
        action: "SELECT",
        on: Securable::Database,
        columns: Vec::new(),
        to: name("old"),
    });
    let text = write(&desired);
    assert!(
        text.contains("# \"old\\n[[role]]\" in \"db_datareader\"\n"),
        "{text}"
    );
    assert!(
        text.contains("# GRANT SELECT to \"old\": database = true\n"),
        "{text}"
    );
    let read = Manifest::from_toml(&text, "written", Path::new(""), &environment()).unwrap();
    assert_eq!(read.databases()[0].desired, Desired::default());
}
