//! What a manifest says, compared with itself: names that nothing has, things
//! said twice or against each other, and what is dangerous.

use std::collections::{HashMap, HashSet};

use super::MAX_ENTRIES;
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
    let Some(reach) = check.reaches() else {
        let what = format!(
            "all databases together would have more than {MAX_ENTRIES} entries: write several files"
        );
        document.note(0, String::new(), what);
        return Vec::new();
    };
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

    /// The databases of each holder; `None` if that is too much.
    fn reaches(&self) -> Option<Vec<Vec<usize>>> {
        let mut of: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, place) in self.said.places.iter().enumerate() {
            for word in words(place) {
                let places = of.entry(word.to_lowercase()).or_default();
                if places.last() != Some(&index) {
                    places.push(index);
                }
            }
        }
        let mut left = MAX_ENTRIES.checked_sub(self.said.places.len())?;
        let mut all = Vec::new();
        for holder in &self.said.holders {
            let reach = self.reach(holder, &of);
            let given = holder.given.iter();
            let given = given.map(|given| 1 + given.permission.columns.len());
            let size = 1 + holder.roles.len() + given.sum::<usize>();
            left = left.checked_sub(size.saturating_mul(reach.len()))?;
            all.push(reach);
        }
        Some(all)
    }

    /// The databases that a holder is for. A word of `databases` means a database
    /// by its name here, its server's name, its own name or a tag.
    fn reach(&self, holder: &Holder, of: &HashMap<String, Vec<usize>>) -> Vec<usize> {
        let places = &self.said.places;
        let Some(words) = &holder.databases else {
            // A file without databases is for the one that is named when it is used.
            return (0..places.len().max(1)).collect();
        };
        let mut reach = Vec::new();
        let mut seen = HashSet::new();
        for word in words {
            let meant = word.value.to_lowercase();
            match of.get(&meant) {
                Some(found) if seen.insert(meant) => reach.extend(found),
                Some(_) => {}
                None => self.note(holder, word.at, "databases", self.no_database(word)),
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
        let labels = places.iter().map(|place| &place.written);
        let known = labels.chain(&self.said.known).map(String::as_str);
        let near = match self.document.is_full() {
            true => None,
            false => nearest(written, known),
        };
        match near {
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
        } else if FIXED_ROLES.iter().any(&is) {
            let what = format!(
                "`{written}` is a fixed role, whose rights cannot be changed; write it in the `roles` of its members"
            );
            note(*at, "name", what);
        } else if FIXED_USERS.iter().any(is) {
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
        // The whole thing is the column `None`.
        let mut said: HashMap<_, HashMap<Option<&Name>, PermissionState>> = HashMap::new();
        for given in &holder.given {
            let permission = &given.permission;
            let before = said.entry((permission.action, &permission.on)).or_default();
            let whole = permission.columns.is_empty().then_some(None);
            let columns = permission.columns.iter().map(Some).chain(whole);
            if let Some(state) = columns.clone().find_map(|column| before.get(&column)) {
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
            before.extend(columns.map(|column| (column, permission.state)));
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
        let mut known: Vec<&str> = FIXED_ROLES.to_vec();
        for (holder, reach) in self.said.holders.iter().zip(reach) {
            if matches!(holder.what, What::Role) && !danger::is_public(&holder.name.value) {
                let places = roles.entry(holder.name.value.as_str()).or_default();
                places.extend(reach);
                known.push(&holder.name.written);
            }
        }
        for (holder, reach) in self.said.holders.iter().zip(reach) {
            for role in &holder.roles {
                let name = role.value.as_str();
                if FIXED_ROLES.contains(&name) {
                    continue;
                }
                let Some(places) = roles.get(name) else {
                    let known: &[&str] = match self.document.is_full() {
                        true => &[],
                        false => &known,
                    };
                    self.note(holder, role.at, "roles", no_role(role, known));
                    continue;
                };
                if let Some(lacking) = reach.iter().find(|place| !places.contains(place)) {
                    let place = self.said.places.get(*lacking);
                    let label = place.map_or("", |place| place.written.as_str());
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
        let mut above: HashMap<String, Vec<String>> = HashMap::new();
        let mut first: HashMap<String, &Holder> = HashMap::new();
        for role in roles.clone() {
            let name = role.name.value.as_str().to_lowercase();
            let words = role.roles.iter();
            let words = words.map(|word| word.value.as_str().to_lowercase());
            above.entry(name.clone()).or_default().extend(words);
            first.entry(name).or_insert(role);
        }
        let mut walk = Walk::new(&above);
        for role in roles {
            let name = role.name.value.as_str().to_lowercase();
            for (name, others) in walk.from(&name) {
                let what = match others {
                    0 => "the role would be a member of itself".to_owned(),
                    1 => "the role would be a member of itself, by way of another".to_owned(),
                    several => {
                        format!("the role would be a member of itself, by way of {several} others")
                    }
                };
                if let Some(role) = first.get(name) {
                    let at = role.roles.first().map_or(role.name.at, |word| word.at);
                    self.note(role, at, "roles", what);
                }
            }
        }
    }
}

/// A walk from roles to those that they are members of. Each is come to once,
/// however many ways lead there.
struct Walk<'a> {
    above: &'a HashMap<String, Vec<String>>,
    done: HashSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn new(above: &'a HashMap<String, Vec<String>>) -> Self {
        Self {
            above,
            done: HashSet::new(),
        }
    }

    /// The roles that a way from here comes back to, each with how many others
    /// are on the round.
    fn from(&mut self, start: &str) -> Vec<(&'a str, usize)> {
        let mut found = Vec::new();
        let mut told = HashSet::new();
        // The way to here, how far along it each is, and what is to be tried there.
        let mut way = Vec::new();
        let mut on_way: HashMap<&str, usize> = HashMap::new();
        let mut next = self.step(start);
        loop {
            if let Some((name, above)) = next.take() {
                on_way.insert(name, way.len());
                way.push((name, above));
            }
            let Some((here, above)) = way.last_mut() else {
                return found;
            };
            match above.next() {
                Some(name) => match on_way.get(name.as_str()) {
                    Some(far) if told.insert(name.as_str()) => {
                        found.push((name.as_str(), way.len() - far - 1));
                    }
                    Some(_) => {}
                    None => next = self.step(name),
                },
                None => {
                    on_way.remove(here);
                    way.pop();
                }
            }
        }
    }

    /// Comes to a role, unless that was done before.
    fn step(&mut self, name: &str) -> Option<(&'a str, std::slice::Iter<'a, String>)> {
        let (name, above) = self.above.get_key_value(name)?;
        self.done
            .insert(name)
            .then(|| (name.as_str(), above.iter()))
    }
}

/// All that a word of `databases` may call it.
fn words(place: &Place) -> impl Iterator<Item = &String> {
    let others = [&place.server, &place.database].into_iter().flatten();
    std::iter::once(&place.label)
        .chain(others)
        .chain(&place.tags)
}

fn no_role(role: &Word<Name>, known: &[&str]) -> String {
    let written = &role.written;
    if danger::is_public(&role.value) {
        return "everybody is in public without a word".to_owned();
    }
    match nearest(written, known.iter().copied()) {
        Some(meant) => format!("there is no role `{written}`; did you mean `{meant}`?"),
        None => format!(
            "there is no role `{written}`: write [[role]] with that name, or one of the fixed roles, as db_datareader"
        ),
    }
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
