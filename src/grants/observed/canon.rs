//! A digest of what plans depend on.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;

use super::{Action, FoundThing, Observed, Place};
use crate::grants::model::{Desired, Securable};

impl Observed {
    /// Changes whenever a user, a role, a membership, a permission or a schema
    /// does, or an object that a permission or the manifest is about. Tables
    /// that come and go elsewhere do not count.
    pub(in crate::grants) fn fingerprint(&self, about: &Desired) -> String {
        let mut digest = Context::new(&SHA256);
        let mut add = |line: &dyn Line| digest.update(&line.bytes());
        add(&("entrada grants 1", &self.database, self.me, &self.own));
        for (id, p) in &self.principals {
            let schema = p.default_schema.as_ref();
            add(&(1, id, &p.name, p.kind, &p.sid, schema, p.owner, p.fixed));
        }
        for pair in &self.members {
            add(&(2, pair));
        }
        let mut objects: BTreeSet<i32> = self.named_objects(about);
        let mut types = BTreeSet::new();
        for row in &self.permissions {
            let action = match &row.action {
                Action::Known(name) => name,
                Action::Unknown(name) => name.as_ref(),
            };
            match row.place {
                Place::Object(id) => drop(objects.insert(id)),
                Place::Type(id) => drop(types.insert(id)),
                _ => {}
            }
            let place = format!("{:?}", row.place);
            let state = format!("{:?}", row.state);
            add(&(
                3,
                place,
                row.column,
                row.grantee,
                row.grantor,
                action,
                state,
            ));
        }
        for (id, schema) in &self.schemas {
            add(&(4, id, &schema.name, schema.owner));
        }
        let mut add_thing = |kind: u8, id: &i32, thing: &FoundThing| {
            add(&(kind, id, thing.schema, &thing.name, thing.owner));
        };
        for (id, object) in &self.objects {
            if objects.contains(id) || object.owner.is_some() {
                add_thing(5, id, object);
            }
        }
        for (id, found) in &self.types {
            add_thing(6, id, found);
        }
        for (object, columns) in &self.columns {
            add(&(7, object, columns));
        }
        let bytes = digest.finish();
        bytes
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn named_objects(&self, about: &Desired) -> BTreeSet<i32> {
        let named: BTreeSet<_> = about
            .permissions
            .iter()
            .filter_map(|permission| match &permission.on {
                Securable::Object { name, .. } => Some(self.key(name)),
                _ => None,
            })
            .collect();
        self.objects
            .iter()
            .filter(|(_, object)| named.contains(&self.key(&object.name)))
            .map(|(id, _)| *id)
            .collect()
    }
}

/// Values as one line of JSON, so that no two ever run together.
trait Line {
    fn bytes(&self) -> Vec<u8>;
}

impl<T: Serialize> Line for T {
    fn bytes(&self) -> Vec<u8> {
        // Tuples of texts and numbers always have a form in JSON.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}
