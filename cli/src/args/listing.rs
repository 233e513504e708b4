//! Lists of commands for help pages, grouped by what a person wants to do.

use crate::session::House;
use crate::table::width;
use clap::Command;

/// Help of a command that has others below it: what it is, its usage, its commands in groups, its options.
pub fn template(groups: &[(&str, Vec<&Command>)]) -> String {
    let names = groups.iter().flat_map(|(_, commands)| commands).map(|c| width(c.get_name()));
    let most = names.max().unwrap_or(0);
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n\n");
    for (heading, commands) in groups.iter().filter(|(_, commands)| !commands.is_empty()) {
        text.push_str(&format!("{heading}:\n"));
        for command in commands.iter().filter(|c| !c.is_hide_set()) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {:<most$}  {about}\n", command.get_name()));
        }
        text.push('\n');
    }
    text.push_str("Options:\n{options}{after-help}");
    text
}

/// Stands for the name of any engine.
const ENGINE: &str = "ENGINE";

/// What `vm` without a command says: where to begin.
pub fn welcome(house: House) -> String {
    let mut rows = vec![("vm init".to_owned(), "Make a home for your ledger".to_owned())];
    match house {
        [one] => rows.push((format!("vm {} …", one.name()), one.about().to_owned())),
        many => {
            let names: Vec<&str> = many.iter().map(|e| e.name()).collect();
            let about = format!("Work with an engine: {}", names.join(", "));
            rows.push((format!("vm {ENGINE} …"), about));
        }
    }
    rows.extend(
        [
            ("vm status", "See what the home holds"),
            ("vm prove SCROLL/SEQ", "Write a proof that verifies without this machine"),
            ("vm verify [TARGET]", "Check a home or a proof, and learn what was not checked"),
        ]
        .map(|(command, about)| (command.to_owned(), about.to_owned())),
    );
    let most = rows.iter().map(|(command, _)| width(command)).max().unwrap_or(0);
    let mut text = String::from(
        "vm keeps signed receipts of serious operations, and shows what they prove.\n\n",
    );
    for (command, about) in rows {
        let pad = " ".repeat(most - width(&command));
        text.push_str(&format!("  {command}{pad}  {about}\n"));
    }
    text.push_str("\nAll commands: vm --help. One of them with its example: vm COMMAND --help.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_names_five_commands_that_exist() {
        let text = welcome(crate::house::HOUSE);
        let tree = crate::args::build(crate::house::HOUSE);
        let named: Vec<&str> = text
            .lines()
            .filter_map(|l| l.strip_prefix("  vm "))
            .filter_map(|l| l.split(' ').next())
            .collect();
        assert_eq!(named.len(), 5);
        let known = |n: &str| n == ENGINE || tree.find_subcommand(n).is_some();
        assert!(named.iter().all(|n| known(n)), "{named:?}");
        assert!(crate::house::HOUSE.iter().all(|e| text.contains(e.name())), "{text}");
    }

    #[test]
    fn every_command_that_is_shown_stands_in_one_group() {
        let mut tree = crate::args::build(crate::house::HOUSE);
        let below: Vec<String> = tree
            .get_subcommands()
            .filter(|c| !c.is_hide_set())
            .map(|c| c.get_name().into())
            .collect();
        let help = tree.render_help().to_string();
        for name in below {
            let rows =
                help.lines().filter(|l| l.trim_start().starts_with(&format!("{name} "))).count();
            assert_eq!(rows, 1, "{name} in\n{help}");
        }
    }
}
