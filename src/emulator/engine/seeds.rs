//! Which seeds a kept server has had, so that none is applied twice.

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{OptionalExtension, params};

use super::error::{SqlError, SqlResult};
use super::{Engine, fresh_id};

/// What is known of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emulator) enum Seeded {
    /// It was begun, and whoever applied it did not come to its end.
    Broken,
    /// It was applied, and had another text then.
    Changed,
    Never,
    Same,
}

impl Engine {
    /// Whether this step of a database's seed was applied.
    pub(in crate::emulator) fn seeded(
        &self,
        database: &str,
        step: &str,
        text: &str,
    ) -> SqlResult<Seeded> {
        let conn = self.shared.store.open_master()?;
        let found: Option<(String, Vec<u8>, bool)> = conn
            .query_row(
                "SELECT salt, hash, done FROM \"~seeds\" WHERE database = ?1 AND step = ?2",
                params![database, step],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        Ok(match found {
            None => Seeded::Never,
            Some((_, _, false)) => Seeded::Broken,
            Some((salt, known, true)) if known == hash(&salt, text) => Seeded::Same,
            Some(_) => Seeded::Changed,
        })
    }

    /// Applies a step of a seed, noting its begin and its end. A step that fails is forgotten, so
    /// that it can be mended.
    pub(in crate::emulator) fn seed(
        &self,
        database: &str,
        step: &str,
        text: &str,
    ) -> Result<(), super::EngineError> {
        let message = |error| self.script_error(error);
        // The text may hold a password, which must not be found by trying.
        let salt = fresh_id().to_string();
        self.note(
            "INSERT INTO \"~seeds\"(database, step, salt, hash, done) VALUES (?1, ?2, ?3, ?4, 0)",
            params![database, step, salt, hash(&salt, text)],
        )
        .map_err(message)?;
        let applied = self.run_script(database, text);
        let end = match applied {
            Ok(()) => "UPDATE \"~seeds\" SET done = 1 WHERE database = ?1 AND step = ?2",
            Err(_) => "DELETE FROM \"~seeds\" WHERE database = ?1 AND step = ?2",
        };
        let noted = self.note(end, params![database, step]).map_err(message);
        applied.and(noted)
    }

    /// Takes a database away, and its seeds with it.
    pub(in crate::emulator) fn drop_database(&self, name: &str) -> SqlResult<()> {
        self.shared.store.drop_database(name)
    }

    /// The form in which a script's error leaves the engine.
    pub(in crate::emulator) fn script_error(&self, error: SqlError) -> super::EngineError {
        super::EngineError::Script(self.message(error))
    }

    fn note(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> SqlResult<()> {
        let conn = self.shared.store.open_master()?;
        conn.execute(sql, values)?;
        Ok(())
    }
}

fn hash(salt: &str, text: &str) -> Vec<u8> {
    digest(&SHA256, format!("{salt}\0{text}").as_bytes())
        .as_ref()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_known_by_its_text_and_its_end() {
        let engine = Engine::in_memory(Default::default()).unwrap();
        let seeded = |text: &str| engine.seeded("master", "s", text).unwrap();
        assert_eq!(seeded("select 1"), Seeded::Never);
        engine.seed("master", "s", "select 1").unwrap();
        assert_eq!(seeded("select 1"), Seeded::Same);
        assert_eq!(seeded("select 2"), Seeded::Changed);
        // As a crash leaves it.
        let unfinished = "UPDATE \"~seeds\" SET done = 0 WHERE database = ?1";
        engine.note(unfinished, params!["master"]).unwrap();
        assert_eq!(seeded("select 1"), Seeded::Broken);
        engine.seed("master", "wrong", "tabel").unwrap_err();
        let again = engine.seeded("master", "wrong", "tabel").unwrap();
        assert_eq!(again, Seeded::Never, "it can be mended");
    }
}
