//! Identity values: where the next comes from, and that none comes twice.

use rusqlite::types::Value as Stored;

use super::super::catalogue::tables::Table;
use super::super::error::SqlResult;
use super::super::planner::change::Change;
use super::super::session::State;
use super::super::session::state::SpentIdentity;
use super::super::types::Decimal;
use super::Run;

impl Run<'_, '_> {
    /// Readies the counter, and returns where it stands and its step.
    pub(super) fn begin_identity(&mut self, change: &Change) -> SqlResult<Option<(i64, i64)>> {
        let Some((seed, increment)) = change.identity else {
            return Ok(None);
        };
        let next = self.next_identity(&change.table)?.unwrap_or(seed);
        self.state.counter.begin(next, increment);
        Ok(Some((next, increment)))
    }

    /// Notes which values the statement took since [`begin_identity`](Self::begin_identity).
    pub(super) fn spend(
        &self,
        change: &Change,
        counted: Option<(i64, i64)>,
        spent: &mut Vec<SpentIdentity>,
    ) {
        if let Some((before, increment)) = counted
            && self.state.counter.peek() != before
        {
            spent.push(SpentIdentity {
                alias: change.table.alias.clone(),
                table: change.table.id,
                next: self.state.counter.peek(),
                increment,
            });
        }
    }

    fn next_identity(&self, table: &Table) -> SqlResult<Option<i64>> {
        Ok(self
            .state
            .conn
            .prepare_cached(&format!(
                "SELECT identity_next FROM {}.\"~objects\" WHERE id = ?1",
                table.alias
            ))?
            .query_row([table.id], |row| row.get(0))?)
    }

    /// Remembers the next value in the catalogue, and the last one for SCOPE_IDENTITY.
    pub(super) fn note_identity(
        &mut self,
        change: &Change,
        spent: &mut Vec<SpentIdentity>,
    ) -> SqlResult<()> {
        let table = &change.table;
        if let Some((_, increment)) = change.identity {
            let own = spent
                .iter()
                .find(|s| s.table == table.id && s.alias == table.alias);
            let last = own.map(|own| own.next.saturating_sub(increment));
            self.state.identity = last;
            self.state.scope_identity = last;
        } else if let (Some(column), Some((seed, increment))) = (
            &change.explicit_identity,
            table.identity_column().and_then(|c| c.identity),
        ) {
            let end = if increment > 0 { "max" } else { "min" };
            let (last, far): (Stored, Stored) = self.state.conn.query_row(
                &format!("SELECT (SELECT {column} FROM {0} ORDER BY rowid DESC LIMIT 1),{end}({column}) FROM {0}", table.sql()),
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let next = self.next_identity(table)?.unwrap_or(seed);
            let beyond = number(&far).map_or(next, |f| f.saturating_add(increment));
            spent.push(SpentIdentity {
                alias: table.alias.clone(),
                table: table.id,
                next: beyond,
                increment,
            });
            self.state.identity = number(&last);
            self.state.scope_identity = number(&last);
        } else {
            self.state.scope_identity = None;
            self.state.identity = None;
        }
        for spent in spent.iter() {
            advance(self.state, spent)?;
        }
        Ok(())
    }

    /// After the statement: values stay spent if it failed, and if its transaction is rolled back.
    pub(super) fn keep_identities(&mut self, spent: Vec<SpentIdentity>, failed: bool) {
        for spent in spent {
            if failed {
                // If somebody else holds the lock, the value may come again: it never was visible.
                drop(advance(self.state, &spent));
            }
            if self.state.tran.count > 0 {
                let known = &mut self.state.tran.identities;
                known.retain(|k| k.table != spent.table || k.alias != spent.alias);
                known.push(spent);
            }
        }
    }
}

/// Sets the next value of a table, unless it is already beyond.
pub(super) fn advance(state: &State, spent: &SpentIdentity) -> SqlResult<()> {
    let further = if spent.increment > 0 { "<" } else { ">" };
    state
        .conn
        .prepare_cached(&format!(
            "UPDATE {}.\"~objects\" SET identity_next = ?1 WHERE id = ?2 AND (identity_next IS NULL OR identity_next {further} ?1)",
            spent.alias
        ))?
        .execute([spent.next, spent.table])?;
    Ok(())
}

fn number(stored: &Stored) -> Option<i64> {
    match stored {
        Stored::Integer(v) => Some(*v),
        Stored::Blob(v) => Decimal::from_sortable(v).and_then(Decimal::to_i64),
        _ => None,
    }
}
