//! An assertion in a file that somebody else keeps fresh.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::super::error::FetchError;
use super::super::regular_file::{self, Unread};
use super::origin::{MAX_ASSERTION, Origin};
use super::{AssertionError, AssertionSource, Exchange};
use crate::secret::Secret;

/// Reads the file for each exchange: exchanges are an hour apart, and the file
/// may have been replaced in between.
#[derive(Debug)]
pub(super) struct FileAssertion {
    path: PathBuf,
    origin: Origin,
    unreadable: &'static str,
}

impl FileAssertion {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            origin: Origin::new(name(&path), RENEW, CHECK),
            unreadable: "check the path and the rights of this user",
            path,
        }
    }

    /// The file that the webhook of AKS workload identity mounts into a pod.
    pub(super) fn of_kubernetes(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            origin: Origin::new(name(&path), KUBERNETES_RENEW, KUBERNETES_CHECK),
            unreadable: "check that the pod has the label azure.workload.identity/use: \"true\", \
                         and that this container may read the volume",
            path,
        }
    }
}

#[async_trait]
impl AssertionSource for FileAssertion {
    async fn assertion(&self, _: &Exchange<'_>) -> Result<Secret, FetchError> {
        let bytes = read(&self.path, MAX_ASSERTION, self.unreadable).await;
        self.origin
            .accept_bytes(&bytes.map_err(|reason| self.origin.failed(reason))?)
    }

    fn describe(&self) -> String {
        self.origin.name().to_owned()
    }
}

/// Reads a regular file of a bounded size, and not for ever.
pub(super) async fn read(
    path: &Path,
    max: usize,
    advice: &'static str,
) -> Result<Zeroizing<Vec<u8>>, AssertionError> {
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || read_now(&path, max, advice));
    match timeout(READ_TIMEOUT, reading).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(cause)) => Err(AssertionError::Read {
            advice,
            cause: io::Error::other(cause),
        }),
        Err(_) => Err(AssertionError::Slow {
            after: READ_TIMEOUT,
        }),
    }
}

fn read_now(
    path: &Path,
    max: usize,
    advice: &'static str,
) -> Result<Zeroizing<Vec<u8>>, AssertionError> {
    regular_file::read(path, max).map_err(|unread| match unread {
        Unread::NotAFile => AssertionError::NotAFile,
        Unread::TooLarge => AssertionError::TooLarge { max },
        Unread::Io(cause) => AssertionError::Read { advice, cause },
    })
}

fn name(path: &Path) -> String {
    format!("the file {}", path.display())
}

const RENEW: &str = "check the program that renews the file, and this machine's clock";

const CHECK: &str = "the file must hold one signed JWT and nothing else";

const KUBERNETES_RENEW: &str = "the kubelet renews it long before its end: check that the volume \
                                is mounted whole and not by subPath, and the node's clock";

const KUBERNETES_CHECK: &str =
    "the kubelet is writing it, or the volume is not the projected service account token";

/// A local file takes far less; a file system of the network may hang.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::testing::{ask, jwt, told};
    use super::*;

    #[tokio::test]
    async fn the_file_is_read_for_each_exchange_and_may_be_empty_in_between() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let source = FileAssertion::of_kubernetes(&path);
        let (first, second) = (jwt(60, "first"), jwt(60, "second"));
        fs::write(&path, format!("{first}\n")).unwrap();
        assert_eq!(ask(&source).await.unwrap().expose(), first);
        fs::write(&path, "").unwrap();
        let error = ask(&source).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let text = told(&error);
        assert!(
            text.contains("token: it is empty; the kubelet is writing it"),
            "{text}"
        );
        fs::write(&path, &second).unwrap();
        assert_eq!(ask(&source).await.unwrap().expose(), second);
        assert_eq!(source.describe(), format!("the file {}", path.display()));
    }

    #[tokio::test]
    async fn each_thing_that_is_no_token_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        for (path, word) in [
            (
                folder.path().join("absent"),
                "it cannot be read; check the path",
            ),
            (folder.path().to_owned(), "no regular file"),
            (put("large", &vec![b'M'; MAX_ASSERTION + 1]), "larger than"),
            (put("html", b"<html>MARKER</html>"), "no signed JWT"),
            (put("binary", b"\xff\xfeMARKER"), "no signed JWT"),
            (
                put("ended", jwt(-7300, "s").as_bytes()),
                "it ended 2 h ago; check the program",
            ),
        ] {
            let error = ask(&FileAssertion::new(path)).await.unwrap_err();
            let text = told(&error);
            assert!(text.contains(word), "{text}");
            assert!(!error.is_transient(), "{error:?}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_that_nobody_writes_to_is_no_trap() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let text = told(&ask(&FileAssertion::new(&path)).await.unwrap_err());
        assert!(text.contains("no regular file"), "{text}");
    }

    #[tokio::test]
    async fn the_link_that_kubernetes_swaps_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let token = jwt(60, "s");
        fs::write(folder.path().join("data"), &token).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("data", folder.path().join("token")).unwrap();
        #[cfg(windows)]
        fs::copy(folder.path().join("data"), folder.path().join("token")).unwrap();
        let source = FileAssertion::new(folder.path().join("token"));
        assert_eq!(ask(&source).await.unwrap().expose(), token);
    }
}
