//! `vm completions`: a script for a shell, from the same tree that parses.

use crate::args;
use crate::exit::{OK, Stop};
use crate::session::Session;
use clap::ArgMatches;
use clap_complete::Shell;

/// Prints the script.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let shell = *given.get_one::<Shell>("shell").expect("clap requires this argument");
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::build(session.house), "vm", &mut script);
    session.screen.raw(&script)?;
    Ok(OK)
}
