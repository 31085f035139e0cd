//! Where a program keeps what must outlive it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folder that systemd made for the service (`StateDirectory=`), else the user's own.
pub(super) fn default() -> Option<PathBuf> {
    choose(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

fn choose(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(folders) = var("STATE_DIRECTORY") {
        // Several are separated by colons; the first is as good as any.
        return std::env::split_paths(&folders).next();
    }
    let absolute = |name| {
        var(name)
            .map(PathBuf::from)
            .filter(|path: &PathBuf| path.is_absolute())
    };
    // The XDG base directory specification has relative paths ignored.
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(Path::new(".local/state"))))
        .or_else(|| absolute("LOCALAPPDATA"))
        .map(|folder| folder.join("entrada"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_comes_before_the_user() {
        let chosen = |pairs: &[(&str, &str)]| {
            choose(|name| {
                let found = pairs.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            })
        };
        let home = ("HOME", "/home/ada");
        let xdg = ("XDG_STATE_HOME", "/states");
        assert_eq!(chosen(&[]), None);
        assert_eq!(
            chosen(&[home]),
            Some(PathBuf::from("/home/ada/.local/state/entrada"))
        );
        assert_eq!(chosen(&[home, xdg]), Some(PathBuf::from("/states/entrada")));
        assert_eq!(
            chosen(&[home, ("XDG_STATE_HOME", "states")]),
            Some(PathBuf::from("/home/ada/.local/state/entrada"))
        );
        let service = ("STATE_DIRECTORY", "/var/lib/entrada:/var/lib/other");
        assert_eq!(
            chosen(&[home, xdg, service]),
            Some(PathBuf::from("/var/lib/entrada"))
        );
    }
}
