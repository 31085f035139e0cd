//! What a manifest says, compared with itself: names that nothing has, things
//! said twice or against each other, and what is dangerous.

use std::collections::{HashMap, HashSet};

use super::read::{Holder, Place, Said, What, Word};
use crate::grants::danger;
use crate::grants::model::{Identity, PermissionState, Principal, PrincipalKind};
use crate::settings::{Document, nearest};
use crate::tsql::Name;

/// Roles that every database has. The last two exist in `master` only.
pub(super) const FIXED_ROLES: [&str; 11] = [
    "db_accessadmin",
    "db_backupoperator",
    "db_datareader",
    "db_datawriter",
    "db_ddladmin",
    "db_denydatareader",
    "db_denydatawriter",
    "db_owner",
    "db_securityadmin",
    "dbmanager",
    "loginmanager",
];
/// Users that every database has.
const FIXED_USERS: [&str; 4] = ["dbo", "guest", "INFORMATION_SCHEMA", "sys"];

/// Notes all that is wrong, and tells which databases each holder is for.
pub(super) fn check(document: &Document<'_>, said: &Said) -> Vec<Vec<usize>> {
    let check = Check { document, said };
    check.places();
    let reach: Vec<_> = said
        .holders
        .iter()
        .map(|holder| check.reach(holder))
        .collect();
    for holder in &said.holders {
        check.name(holder);
        check.dangers(holder);
        check.said_twice(holder);
    }
    check.unique(&reach);
    check.roles(&reach);
    check.cycles();
    reach
}

struct Check<'a> {
    document: &'a Document<'a>,
    said: &'a Said,
}

impl Check<'_> {
    fn note(&self, holder: &Holder, at: usize, key: &str, what: String) {
        let key = format!("{}.{key}", holder.what.table());
        self.document.note(at, key, what);
    }

    fn places(&self) {
        let mut labels = HashSet::new();
        for place in &self.said.places {
            let note = |what: String| self.document.note(place.at, place.key.to_owned(), what);
            if place.label.is_empty() || place.label.chars().any(char::is_control) {
                note("write a name of visible characters".to_owned());
            } else if !labels.insert(place.label.to_lowercase()) {
                note("another database has this name: names of databases are unique".to_owned());
            }
            if place.database.as_deref() == Some("") {
                note("write the database's name".to_owned());
            }
        }
    }

    /// The databases that a holder is for.
    fn reach(&self, holder: &Holder) -> Vec<usize> {
        let places = &self.said.places;
        let Some(words) = &holder.databases else {
            // A file without databases is for the one that is named when it is used.
            return (0..places.len().max(1)).collect();
        };
        let mut reach = Vec::new();
        for word in words {
            let before = reach.len();
            let fits = |place: &Place| selects(&word.value, place);
            let found = places.iter().enumerate().filter(|(_, place)| fits(place));
            reach.extend(found.map(|(index, _)| index));
            if reach.len() == before {
                self.note(holder, word.at, "databases", self.no_database(word));
            }
        }
        if words.is_empty() {
            let what = "it would be for no database; leave the key out if it is for all";
            self.note(holder, holder.name.at, "databases", what.to_owned());
        }
        reach.sort_unstable();
        reach.dedup();
        reach
    }

    fn no_database(&self, word: &Word<String>) -> String {
        let written = &word.written;
        let places = &self.said.places;
        if places.is_empty() {
            return format!(
                "the file names no database, so that `{written}` is none: write [[server]] or [[database]]"
            );
        }
        let known = places.iter().flat_map(|place| {
            let others = [&place.server, &place.database].into_iter().flatten();
            let tags = place.tags.iter();
            std::iter::once(&place.label).chain(others).chain(tags)
        });
        match nearest(&word.value, known.map(String::as_str)) {
            Some(meant) => {
                format!("there is no database, server or tag `{written}`; did you mean `{meant}`?")
            }
            None => format!("there is no database, server or tag `{written}`"),
        }
    }

    /// Names that a database has for itself.
    fn name(&self, holder: &Holder) {
        let Word { value, written, at } = &holder.name;
        let is = |name: &&str| name.eq_ignore_ascii_case(value.as_str());
        let note = |at, key, what: String| self.note(holder, at, key, what);
        if danger::is_public(value) {
            if matches!(holder.what, What::Principal { .. }) {
                let what = "public is a role: write it as [[role]]";
                note(*at, "name", what.to_owned());
            } else if holder.authoritative {
                let what = "public holds rights of the system's own: it cannot be authoritative";
                note(holder.at, "authoritative", what.to_owned());
            } else if let Some(role) = holder.roles.first() {
                note(role.at, "roles", "public is in no role".to_owned());
            }
        } else if FIXED_ROLES.iter().any(|name| is(&name)) {
            let what = format!(
                "`{written}` is a fixed role, whose rights cannot be changed; write it in the `roles` of its members"
            );
            note(*at, "name", what);
        } else if FIXED_USERS.iter().any(|name| is(&name)) {
            note(
                *at,
                "name",
                format!("every database has its own `{written}`; write another name"),
            );
        }
    }

    fn dangers(&self, holder: &Holder) {
        if holder.allow_dangerous {
            return;
        }
        let word = "; write allow_dangerous = true if that is meant";
        for role in &holder.roles {
            if let Some(why) = danger::of_role(&role.value) {
                self.note(holder, role.at, "roles", format!("{why}{word}"));
            }
        }
        for given in &holder.given {
            if let Some(why) = danger::of_permission(&given.permission) {
                let what = format!("{why}{word}");
                self.document.note(given.at, given.key.clone(), what);
            }
        }
    }

    /// The same permission on the same thing, once more or the other way.
    fn said_twice(&self, holder: &Holder) {
        let mut said: HashMap<_, Vec<(PermissionState, &[Name])>> = HashMap::new();
        for given in &holder.given {
            let permission = &given.permission;
            let before = said.entry((permission.action, &permission.on)).or_default();
            let columns = permission.columns.as_slice();
            let same = before.iter().find(|(_, others)| match others.is_empty() {
                true => columns.is_empty(),
                false => others.iter().any(|other| columns.contains(other)),
            });
            if let Some((state, _)) = same {
                let action = permission.action;
                let on = &given.on;
                let is_denied = |state| state == PermissionState::Deny;
                let what = match (is_denied(*state), is_denied(permission.state)) {
                    (true, true) => format!("{action} on {on} is denied twice"),
                    (false, false) => format!("{action} on {on} is granted twice"),
                    _ => format!(
                        "{action} on {on} is both granted and denied: keep one (the server lets DENY win)"
                    ),
                };
                self.document.note(given.at, given.key.clone(), what);
            }
            before.push((permission.state, columns));
        }
        let mut roles = HashSet::new();
        for role in &holder.roles {
            if !roles.insert(role.value.as_str().to_lowercase()) {
                let what = format!("`{}` is named twice", role.written);
                self.note(holder, role.at, "roles", what);
            }
        }
    }

    /// Users and roles of a database have different names, and identities one user.
    fn unique(&self, reach: &[Vec<usize>]) {
        let mut names = HashMap::new();
        let mut identities = HashMap::new();
        for (holder, reach) in self.said.holders.iter().zip(reach) {
            let name = holder.name.value.as_str().to_lowercase();
            let of = |place: &usize| (*place, name.clone());
            let twin = reach.iter().find_map(|place| names.get(&of(place)));
            if let Some(twin) = twin {
                let what = format!(
                    "a {twin} of that name is there for the same database; users and roles of a database have different names, whatever their case"
                );
                self.note(holder, holder.name.at, "name", what);
            }
            names.extend(reach.iter().map(|place| (of(place), holder.what.table())));
            let What::Principal { identity, .. } = &holder.what else {
                continue;
            };
            if *identity == Identity::ByName {
                continue;
            }
            let twin = reach
                .iter()
                .find_map(|place| identities.get(&(*place, *identity)));
            if let Some(twin) = twin {
                let what = format!(
                    "the principal `{twin}` has the same id for the same database; an identity has one user in each"
                );
                self.note(holder, holder.name.at, "name", what);
            }
            let all = reach.iter();
            identities.extend(all.map(|place| ((*place, *identity), holder.name.written.clone())));
        }
    }

    /// Every role that somebody is in is one.
    fn roles(&self, reach: &[Vec<usize>]) {
        let mut roles: HashMap<&str, HashSet<usize>> = HashMap::new();
        for (holder, reach) in self.said.holders.iter().zip(reach) {
            if matches!(holder.what, What::Role) && !danger::is_public(&holder.name.value) {
                let places = roles.entry(holder.name.value.as_str()).or_default();
                places.extend(reach);
            }
        }
        for (holder, reach) in self.said.holders.iter().zip(reach) {
            for role in &holder.roles {
                let name = role.value.as_str();
                if FIXED_ROLES.contains(&name) {
                    continue;
                }
                let Some(places) = roles.get(name) else {
                    let known = roles.keys().copied().chain(FIXED_ROLES);
                    self.note(holder, role.at, "roles", no_role(role, known));
                    continue;
                };
                if let Some(lacking) = reach.iter().find(|place| !places.contains(place)) {
                    let place = self.said.places.get(*lacking);
                    let label = place.map_or("", |place| place.label.as_str());
                    let what = format!(
                        "the role `{}` is not for the database `{label}`, but this {} is; widen the `databases` of the one or narrow those of the other",
                        role.written,
                        holder.what.table()
                    );
                    self.note(holder, role.at, "roles", what);
                }
            }
        }
    }

    /// No role is a member of itself, by way of others.
    fn cycles(&self) {
        let roles = self.said.holders.iter();
        let roles = roles.filter(|holder| matches!(holder.what, What::Role));
        let mut of: HashMap<String, Vec<String>> = HashMap::new();
        for role in roles.clone() {
            let above = role
                .roles
                .iter()
                .map(|word| word.value.as_str().to_lowercase());
            let name = role.name.value.as_str().to_lowercase();
            of.entry(name).or_default().extend(above);
        }
        let mut told = HashSet::new();
        for role in roles {
            let name = role.name.value.as_str().to_lowercase();
            if told.contains(&name) {
                continue;
            }
            if let Some(way) = way_back(&name, &of) {
                let what = match way.len() {
                    0 => "the role would be a member of itself".to_owned(),
                    1 => "the role would be a member of itself, by way of another".to_owned(),
                    several => {
                        format!("the role would be a member of itself, by way of {several} others")
                    }
                };
                let at = role.roles.first().map_or(role.name.at, |word| word.at);
                self.note(role, at, "roles", what);
                told.extend(way);
                told.insert(name);
            }
        }
    }
}

/// Whether a word of `databases` means a database: by its name here, its server's
/// name, its own name or a tag.
fn selects(word: &str, place: &Place) -> bool {
    let is = |name: &str| name.to_lowercase() == word.to_lowercase();
    is(&place.label)
        || place.server.as_deref().is_some_and(is)
        || place.database.as_deref().is_some_and(is)
        || place.tags.iter().any(|tag| is(tag))
}

fn no_role<'a>(role: &Word<Name>, known: impl Iterator<Item = &'a str>) -> String {
    let written = &role.written;
    if danger::is_public(&role.value) {
        return "everybody is in public without a word".to_owned();
    }
    match nearest(role.value.as_str(), known) {
        Some(meant) => format!("there is no role `{written}`; did you mean `{meant}`?"),
        None => format!(
            "there is no role `{written}`: write [[role]] with that name, or one of the fixed roles, as db_datareader"
        ),
    }
}

/// The roles between a role and itself, if there is such a way.
fn way_back(role: &str, of: &HashMap<String, Vec<String>>) -> Option<Vec<String>> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut before: HashMap<&str, &str> = HashMap::new();
    let mut next: Vec<&str> = vec![role];
    while let Some(here) = next.pop() {
        for above in of.get(here).into_iter().flatten() {
            if above == role {
                let mut way = Vec::new();
                let mut at = here;
                while at != role {
                    way.push(at.to_owned());
                    at = before.get(at)?;
                }
                return Some(way);
            }
            if seen.insert(above) {
                before.insert(above, here);
                next.push(above);
            }
        }
    }
    None
}

/// The model's principal, if the holder is one.
pub(super) fn principal(holder: &Holder) -> Option<Principal> {
    let What::Principal {
        kind,
        identity,
        default_schema,
    } = &holder.what
    else {
        return None;
    };
    let kind: PrincipalKind = *kind;
    Some(Principal {
        name: holder.name.value.clone(),
        kind,
        identity: *identity,
        default_schema: default_schema.clone(),
        authoritative: holder.authoritative,
    })
}
