//! What the paths and the braces of a profile file mean: a value, a level of the topic, the topic, a tag of the device.

use crate::path::Path;
use crate::rules::{Address, Scope};

/// In braces: the topic under which the document arrived.
const WHOLE_TOPIC: &str = "#";
/// In braces before a name: a tag of the document's device. A key of the document that begins with this character is written in quotes.
const OF_DEVICE: char = '@';

/// The tag of the device that a pair of braces names, if it names one.
pub(crate) fn device_tag(path: &Path, keys: &mut Vec<String>) -> Option<Address> {
    let text = path.to_string();
    let key = text.strip_prefix(OF_DEVICE)?;
    let known = keys.iter().position(|known| known == key);
    let number = known.unwrap_or_else(|| {
        keys.push(key.to_owned());
        keys.len() - 1
    });
    Some(Address::Device(number as u32))
}

/// The addresses of one point's paths.
pub(crate) struct Addresses<'a> {
    pub(crate) scopes: &'a mut [Scope],
    pub(crate) scope: usize,
    /// Names of the filter's levels; the first has this number.
    pub(crate) levels: &'a [String],
    pub(crate) first_level: u32,
    pub(crate) device_keys: &'a mut Vec<String>,
    /// All paths: the values at them are not other values.
    pub(crate) paths: Vec<Path>,
    pub(crate) takes_bare_values: bool,
}

impl Addresses<'_> {
    /// All paths so far.
    pub(crate) fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// The address that the braces of a template name: a named level, the topic, a tag of the device, or a value.
    pub(crate) fn of_hole(&mut self, path: &Path) -> Address {
        if path.to_string() == WHOLE_TOPIC {
            return Address::Topic;
        }
        if let Some(tag) = device_tag(path, self.device_keys) {
            return tag;
        }
        self.of_level(&path.to_string())
            .unwrap_or_else(|| self.of(path))
    }

    /// A named level.
    pub(crate) fn of_level(&self, name: &str) -> Option<Address> {
        let number = self.levels.iter().position(|known| known == name)?;
        Some(Address::Level(self.first_level + number as u32))
    }

    /// A value.
    pub(crate) fn of(&mut self, path: &Path) -> Address {
        if path.steps.is_empty() {
            self.takes_bare_values = true;
        } else {
            self.paths.push(path.clone());
        }
        let Some((document, items)) = self.scopes.split_first_mut() else {
            return Address::Document(0);
        };
        match self.scope.checked_sub(1).and_then(|at| items.get_mut(at)) {
            None => Address::Document(document.trie.want(path)),
            Some(item) if path.steps.is_empty() || path.wildcards() > 0 => {
                Address::Only(item.trie.want(path))
            }
            Some(item) => Address::Item {
                item: item.trie.want(path),
                document: document.trie.want(path),
            },
        }
    }
}
