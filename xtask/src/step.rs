//! Starting programs, aloud.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask stands in the repository")
        .to_owned()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs cargo with these words and the user's after them.
pub fn cargo(words: &[&str], rest: &[String]) -> Result<(), String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(words).args(rest);
    run(&mut command)
}

/// Runs a command, printed first; an exit other than 0 is an error.
pub fn run(command: &mut Command) -> Result<(), String> {
    let shown = shown(command);
    println!("$ {shown}");
    let began = Instant::now();
    let status = command.status().map_err(|e| format!("cannot start {shown}: {e}"))?;
    let took = began.elapsed().as_secs();
    if took > 5 {
        println!("  ({took} s)");
    }
    match status.success() {
        true => Ok(()),
        false => Err(format!("{shown} ended with {status}")),
    }
}

/// Runs a command, printed first, and gives back what it says; an exit other than 0 is an error.
pub fn ask(command: &mut Command) -> Result<String, String> {
    let shown = shown(command);
    println!("$ {shown}");
    let output = command.output().map_err(|e| format!("cannot start {shown}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(format!("{shown} ended with {}\n{said}{why}", output.status))
        }
    }
}

/// Whether a program is there and answers to these words.
pub fn answers(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|s| s.success())
}

/// A command as a person would type it.
pub fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let words = command.get_args().map(|a| {
        let word = a.to_string_lossy().replace(&format!("{}/", root().display()), "");
        if word.contains([' ', '"']) { format!("'{word}'") } else { word }
    });
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}
