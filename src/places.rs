//! Which files are meant: the flags, then the environment, then the defaults; and how to write a command that reaches
//! the same place.

use std::collections::BTreeMap;
use std::path::PathBuf;

use supervisor_config::{
    Account, ConfigErrors, Env, InstanceConfig, SHIPPED_INSTANCES, SupervisorConfig, default_state_dir,
    instance_from_text, load, load_instance, load_shipped,
};

use crate::cli::Globals;
use crate::client::absolute;
use crate::fault::{Exit, Fault};

/// The environment by name; what is no text is left out.
pub fn env() -> Env {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The state directory, absolute.
pub fn state_dir(globals: &Globals) -> Result<PathBuf, Fault> {
    match &globals.state_dir {
        Some(dir) => absolute(dir),
        None => default_state_dir(&env()).map_err(|error| Fault::new(Exit::Usage, "no_state_dir", error.to_string())),
    }
}

/// The configuration of the flags: a directory, or the shipped one.
pub fn config(globals: &Globals) -> Result<SupervisorConfig, ConfigErrors> {
    match &globals.config {
        Some(dir) => load(dir, &env()),
        None => load_shipped(&env()),
    }
}

/// An instance of the configuration read again with `--set` flags on top; a shipped one comes out of the program.
pub fn instance_with(
    found: &InstanceConfig,
    accounts: &BTreeMap<String, Account>,
    set: &[(String, String)],
) -> Result<InstanceConfig, ConfigErrors> {
    let name = found.source.file_name().unwrap_or_default();
    let shipped = SHIPPED_INSTANCES.iter().find(|(file, _)| found.source.starts_with("shipped") && name == *file);
    match shipped {
        Some((_, text)) => instance_from_text(text, &found.source, accounts, set, &env()),
        None => load_instance(&found.source, accounts, set, &env()),
    }
}

/// How this program was called, so that a printed command works when it is typed in the same place.
pub fn program() -> String {
    let called = std::env::args_os().next().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
    let called = if called.contains('/') { called } else { "supervisor".to_owned() };
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| PathBuf::from(&called).strip_prefix(here).ok().map(PathBuf::from));
    relative.map_or_else(|| quoted(&called), |path| quoted(&format!("./{}", path.display())))
}

/// The `--state-dir` flag that reaches the same supervisor, with a space before it; nothing for the default.
pub fn state_flag(globals: &Globals) -> String {
    match (&globals.state_dir, state_dir(globals)) {
        (Some(_), Ok(dir)) => format!(" --state-dir {}", quoted(&dir.display().to_string())),
        (None, _) | (_, Err(_)) => String::new(),
    }
}

/// For a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn paths_survive_a_shell() {
        assert_eq!(quoted("/a/b-c_1.d"), "/a/b-c_1.d");
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }
}
