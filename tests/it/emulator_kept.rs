//! Databases that are kept: over restarts, with seeds that are applied once, and against what
//! happens to files.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use entrada::emulator::{Emulator, EmulatorBuilder, EmulatorError, EngineError};

use crate::raw_client::{Form, RawClient, soon, token_login};

const SQL: &str = "https://database.windows.net/";
const TABLE: &str = "create table t (id int not null)\nGO\ninsert into t values (1)";

struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("data{suffix}"))
    }

    fn builder(&self) -> EmulatorBuilder {
        Emulator::builder()
            .data_file(self.path(""))
            .user("demo", "demo-app", &["db_datareader"])
            .script("demo", TABLE)
    }

    async fn once(&self, builder: EmulatorBuilder) {
        let emulator = builder.start().await.unwrap();
        soon("the shutdown", emulator.shutdown()).await;
    }

    async fn refusal(&self) -> EngineError {
        match self.builder().start().await.unwrap_err() {
            EmulatorError::Engine { source, .. } => *source,
            other => panic!("{other:?}"),
        }
    }
}

async fn rows(emulator: &Emulator) -> Result<(), EmulatorError> {
    let one = "if (select count(*) from t) <> 1 throw 50001, N'the rows are not those', 1";
    emulator.run_sql("demo", one).await
}

#[tokio::test]
async fn data_users_and_certificates_are_there_after_a_restart() {
    let kept = Kept::new();
    let first = kept.builder().start().await.unwrap();
    let (token, ca) = (
        first.issue_token("demo-app", SQL).unwrap().token,
        first.ca_certificate_pem().to_owned(),
    );
    first
        .run_sql("demo", "create table more (id int)")
        .await
        .unwrap();
    soon("the shutdown", first.shutdown()).await;
    let second = kept.builder().start().await.unwrap();
    rows(&second).await.unwrap();
    second.run_sql("demo", "select * from more").await.unwrap();
    assert_eq!(second.ca_certificate_pem(), ca);
    let mut client = RawClient::ready(&second, Form::Tunnelled).await;
    let answer = soon("the login", client.login(&token_login(&token, "demo"))).await;
    assert!(
        answer.ack.is_some(),
        "the old token and the old user: {answer:?}"
    );
}

#[tokio::test]
async fn new_seeds_are_applied_and_changed_ones_refused() {
    let kept = Kept::new();
    kept.once(kept.builder()).await;
    let more = || kept.builder().script("demo", "create table u (id int)");
    kept.once(more()).await;
    kept.once(
        more()
            .database("demo")
            .database("other")
            .script("other", TABLE),
    )
    .await;
    let changed = kept.builder().script("demo", "create table v (id int)");
    let error = changed.start().await.unwrap_err();
    let EmulatorError::Seed { database, step, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((database.as_str(), step.as_str()), ("demo", "script 2"));
    assert!(
        error
            .to_string()
            .contains("has changed since it was applied"),
        "{error}"
    );
    kept.once(more()).await;
}

#[tokio::test]
async fn a_seed_with_a_mistake_can_be_mended() {
    let kept = Kept::new();
    let wrong = "create table t (id int)\nGO\ncreate tabel u (id int)";
    let start = |sql: &str| {
        let builder = Emulator::builder().data_file(kept.path(""));
        builder.script("demo", sql).start()
    };
    let error = start(wrong).await.unwrap_err();
    let EmulatorError::SeedRefused { step, source, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(step, "script");
    // The line of the text, not of the batch.
    let told = source.to_string();
    assert!(told.contains(", line 3: "), "{told}");
    let emulator = start(&wrong.replace("tabel", "table")).await.unwrap();
    assert_eq!(emulator.engine().databases(), ["master", "demo"]);
    emulator.run_sql("demo", "select * from u").await.unwrap();
}

#[tokio::test]
async fn a_database_that_was_dropped_is_made_and_seeded_again() {
    let kept = Kept::new();
    let first = kept.builder().start().await.unwrap();
    first.run_sql("master", "drop database demo").await.unwrap();
    soon("the shutdown", first.shutdown()).await;
    let second = kept.builder().start().await.unwrap();
    rows(&second).await.unwrap();
}

#[tokio::test]
async fn two_emulators_do_not_share_files() {
    let kept = Kept::new();
    let first = kept.builder().start().await.unwrap();
    let error = kept.refusal().await;
    assert!(matches!(error, EngineError::InUse { .. }), "{error:?}");
    assert!(
        error.to_string().contains("in use by another emulator"),
        "{error}"
    );
    rows(&first).await.unwrap();
    soon("the shutdown", first.shutdown()).await;
    let second = kept.builder().start().await.unwrap();
    rows(&second).await.unwrap();
}

#[tokio::test]
async fn files_that_are_broken_gone_or_strangers_are_refused() {
    let overwrite = |path: PathBuf, bytes: &[u8]| std::fs::write(path, bytes).unwrap();
    let kept = Kept::new();
    overwrite(
        kept.path(""),
        b"these are notes, and no database at all, but long enough",
    );
    let error = kept.refusal().await;
    assert!(matches!(error, EngineError::NotOurs { .. }), "{error:?}");

    for suffix in ["", "-5"] {
        let kept = Kept::new();
        kept.once(kept.builder()).await;
        remove_logs(&kept);
        let path = kept.path(suffix);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() / 2);
        overwrite(path, &bytes);
        let error = kept.refusal().await;
        assert!(
            matches!(error, EngineError::Damaged { .. }),
            "{suffix}: {error:?}"
        );
    }

    let kept = Kept::new();
    kept.once(kept.builder()).await;
    remove_logs(&kept);
    std::fs::remove_file(kept.path("-5")).unwrap();
    let error = kept.refusal().await;
    assert!(matches!(error, EngineError::Missing { .. }), "{error:?}");

    let kept = Kept::new();
    kept.once(kept.builder()).await;
    remove_logs(&kept);
    overwrite(kept.path(""), b"");
    let error = kept.refusal().await;
    assert!(matches!(error, EngineError::Damaged { .. }), "{error:?}");
    assert!(kept.path("-5").exists(), "nothing is thrown away");
}

#[tokio::test]
async fn files_of_another_version_are_refused() {
    let kept = Kept::new();
    kept.once(kept.builder()).await;
    remove_logs(&kept);
    let mut bytes = std::fs::read(kept.path("")).unwrap();
    // The user version of a SQLite file is at offset 60.
    bytes[63] ^= 1;
    std::fs::write(kept.path(""), bytes).unwrap();
    let error = kept.refusal().await;
    assert!(
        matches!(error, EngineError::OtherVersion { .. }),
        "{error:?}"
    );
    assert!(error.source().is_none());
}

/// What SQLite keeps beside a file while it is open, and might mend it by.
fn remove_logs(kept: &Kept) {
    for suffix in ["-wal", "-shm", "-5-wal", "-5-shm"] {
        let path: &Path = &kept.path(suffix);
        assert!(
            std::fs::metadata(path).map_or(0, |meta| meta.len()) == 0 || suffix.ends_with("shm"),
            "{suffix} holds what the file lacks"
        );
        let _ = std::fs::remove_file(path);
    }
}
