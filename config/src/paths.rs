//! Where files are looked for: data of replays, configuration text, and the state directory by default.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Env;
use crate::errors::ConfigProblem;

/// Largest configuration file, bytes.
const FILE_MAX: u64 = 1 << 20;

/// Neither `XDG_STATE_HOME` nor `HOME` tells where state belongs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no place for the state: neither XDG_STATE_HOME nor HOME is set to an absolute path; give --state-dir DIR")]
pub struct StateDirError;

/// `$XDG_STATE_HOME/supervisor`, otherwise `$HOME/.local/state/supervisor`. Relative values are ignored, as the XDG
/// base directory specification wants it.
///
/// # Errors
/// [`StateDirError`] when neither variable holds an absolute path.
pub fn default_state_dir(env: &Env) -> Result<PathBuf, StateDirError> {
    let dir = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let xdg = dir("XDG_STATE_HOME").map(|state| state.join("supervisor"));
    xdg.or_else(|| dir("HOME").map(|home| home.join(".local/state/supervisor"))).ok_or(StateDirError)
}

/// The text of a configuration file.
pub(crate) fn read_text(path: &Path) -> Result<String, ConfigProblem> {
    let failed =
        |error: std::io::Error| ConfigProblem::of_file(&path.display().to_string(), format!("cannot be read: {error}"));
    let mut text = String::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text)).map_err(failed)?;
    if read as u64 > FILE_MAX {
        let expected = format!("too large for a configuration file; allowed: {FILE_MAX} bytes");
        return Err(ConfigProblem::of_file(&path.display().to_string(), expected));
    }
    Ok(text)
}

/// The data file that `name` means: as it stands when absolute; otherwise beside the instance file, then in the current
/// directory, then in `SUPERVISOR_DATA`.
///
/// # Errors
/// The places that were looked at.
pub(crate) fn find_data(name: &str, beside: Option<&Path>, env: &Env) -> Result<PathBuf, Vec<PathBuf>> {
    let data = env.get("SUPERVISOR_DATA").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let mut places: Vec<PathBuf> = if Path::new(name).is_absolute() {
        vec![PathBuf::from(name)]
    } else {
        let here = Some(PathBuf::from("."));
        let beside = beside.filter(|dir| !dir.as_os_str().is_empty()).map(Path::to_path_buf);
        beside.into_iter().chain(here).chain(data).map(|dir| dir.join(name)).collect()
    };
    places.dedup();
    places.iter().find(|path| path.is_file()).cloned().ok_or(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_state_directory_follows_xdg() {
        let dir = |pairs: &[(&str, &str)]| default_state_dir(&env(pairs)).map(|path| path.display().to_string());
        assert_eq!(dir(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]).unwrap(), "/s/supervisor");
        assert_eq!(dir(&[("XDG_STATE_HOME", "s"), ("HOME", "/h")]).unwrap(), "/h/.local/state/supervisor");
        assert_eq!(dir(&[("XDG_STATE_HOME", "")]), Err(StateDirError));
    }

    #[test]
    fn data_is_found_beside_the_file_first() {
        let (beside, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let env = env(&[("SUPERVISOR_DATA", data.path().to_str().unwrap())]);
        let missing = find_data("x.csv", Some(beside.path()), &env).unwrap_err();
        assert_eq!(missing, [beside.path().join("x.csv"), PathBuf::from("./x.csv"), data.path().join("x.csv")]);
        fs::write(data.path().join("x.csv"), "").unwrap();
        assert_eq!(find_data("x.csv", Some(beside.path()), &env), Ok(data.path().join("x.csv")));
        fs::write(beside.path().join("x.csv"), "").unwrap();
        assert_eq!(find_data("x.csv", Some(beside.path()), &env), Ok(beside.path().join("x.csv")));
        let absolute = data.path().join("x.csv");
        assert_eq!(find_data(absolute.to_str().unwrap(), None, &Env::new()), Ok(absolute));
    }

    #[test]
    fn files_that_are_no_text_or_too_large_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        fs::write(&file, [0xFF, 0xFE]).unwrap();
        assert!(read_text(&file).unwrap_err().to_string().contains("cannot be read"));
        fs::write(&file, vec![b'#'; FILE_MAX as usize + 1]).unwrap();
        assert!(read_text(&file).unwrap_err().to_string().contains("too large"));
        assert!(read_text(dir.path()).is_err());
    }
}
