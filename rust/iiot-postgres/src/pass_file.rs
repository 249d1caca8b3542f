//! Reads libpq's password file: lines `host:port:database:user:password`; the first line that fits counts.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// The connection whose password is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The host's name; `localhost` for a socket in a folder.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: &'a str,
    /// The user.
    pub user: &'a str,
}

/// The password for a connection, from the named file or from libpq's default file; none if there is none.
pub fn find(named: Option<PathBuf>, wanted: &Wanted<'_>) -> Result<Option<String>> {
    let Some(path) = named.or_else(usual_place) else {
        return Ok(None);
    };
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(None);
    };
    let found = look_up(&text, wanted);
    if found.is_some() && is_readable_by_others(&path) {
        return Err(Error::settings(format!(
            "{} holds passwords and may be read by others: chmod 600 it, as libpq demands too",
            path.display()
        )));
    }
    Ok(found)
}

fn usual_place() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("PGPASSFILE") {
        return Some(path.into());
    }
    std::env::var_os("HOME").map(|home| Path::new(&home).join(".pgpass"))
}

#[cfg(unix)]
fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Path) -> bool {
    false
}

fn look_up(text: &str, wanted: &Wanted<'_>) -> Option<String> {
    let port = wanted.port.to_string();
    let keys = [wanted.host, &port, wanted.database, wanted.user];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let fields = fields(line);
            let (password, rest) = fields.split_last().filter(|(_, rest)| rest.len() == 4)?;
            let fits = rest
                .iter()
                .zip(keys)
                .all(|(field, key)| field == "*" || field == key);
            fits.then(|| password.clone())
        })
}

/// At most five fields, separated by colons. A backslash escapes the next character.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        let is_last = fields.len() == 5;
        let Some(field) = fields.last_mut() else {
            break;
        };
        match c {
            '\\' => field.extend(characters.next()),
            ':' if !is_last => fields.push(String::new()),
            c => field.push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted<'_> = Wanted {
        host: "db",
        port: 5432,
        database: "plant",
        user: "writer",
    };

    /// The first line that fits has the password; escapes and colons in it are kept.
    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# db:5432:plant:writer:no\nother:*:*:*:no\ndb:5433:*:*:no\n*:*:plant:writer:a\\:b\\\\c:d\ndb:5432:plant:writer:later\n";
        assert_eq!(look_up(text, &WANTED).as_deref(), Some("a:b\\c:d"));
        assert_eq!(look_up("db:5432:plant\n", &WANTED), None);
    }

    /// A file that others may read is refused with the remedy.
    #[cfg(unix)]
    #[test]
    fn a_file_that_others_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pass");
        std::fs::write(&path, "*:*:*:*:x\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = find(Some(path.clone()), &WANTED).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(find(Some(path), &WANTED).unwrap().as_deref(), Some("x"));
    }
}
