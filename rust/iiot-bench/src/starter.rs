//! The dialogue with the parent process: arguments, answers, and the signal to begin.

use std::collections::HashMap;
use std::io::Write;

/// `--name value` pairs.
pub(crate) struct Arguments(HashMap<String, String>);

impl Arguments {
    /// The arguments after the command.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut arguments = HashMap::new();
        while let Some(name) = words.next() {
            let value = words.next().expect("a value");
            arguments.insert(name.trim_start_matches('-').to_owned(), value);
        }
        Self(arguments)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name)
            .unwrap_or_else(|| panic!("--{name} is missing"))
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> T {
        self.text(name)
            .parse()
            .unwrap_or_else(|_| panic!("--{name} is no number"))
    }
}

/// Print a line for the parent process.
pub(crate) fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

/// Print `ready`, and wait for a line on standard input.
pub(crate) fn wait_for_go() {
    say("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}
