//! Names as a database compares them.

use crate::tsql::Name;

/// How a database compares identifiers, by the collation of its catalogue.
/// In Azure SQL that one need not be the database's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Folding {
    case: bool,
}

/// A name for comparison only. Two are equal if the database takes them for one.
///
/// Blanks at the end never count; case does if the database says so. Width, kana
/// and accents always count here: a database that ignores them answers 15023
/// where we see two names, which is better than taking two for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(Box<str>);

impl Folding {
    pub(super) fn new(case: bool) -> Self {
        Self { case }
    }

    pub(super) fn key(self, name: &Name) -> Key {
        let text = name.as_str().trim_end_matches(' ');
        Key(if self.case {
            text.into()
        } else {
            text.to_lowercase().into()
        })
    }

    pub(super) fn same(self, a: &Name, b: &Name) -> bool {
        self.key(a) == self.key(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_at_the_end_never_count_and_case_sometimes() {
        let name = |text: &str| Name::new(text).unwrap();
        let (ci, cs) = (Folding::new(false), Folding::new(true));
        assert!(ci.same(&name("Orders"), &name("oRDERS")));
        assert!(!cs.same(&name("Orders"), &name("orders")));
        assert!(cs.same(&name("a  "), &name("a")));
        assert!(!ci.same(&name(" a"), &name("a")));
    }
}
