//! Numbers of topics: a topic is looked up once, and rules and acknowledgements use its number.

use std::collections::HashMap;

/// The number of every topic beyond the limit: such a topic is published to by its name, but not
/// remembered here.
pub const UNLISTED: u32 = u32::MAX;

/// The names of all topics seen, numbered in the order in which they came.
#[derive(Debug)]
pub(crate) struct TopicNames {
    ids: HashMap<String, u32>,
    names: Vec<String>,
    /// Which topic came after which the last time: frames repeat, so this usually saves the lookup.
    follower: Vec<u32>,
    previous: u32,
    limit: usize,
}

impl TopicNames {
    /// No topic is known yet; at most `limit` will be.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            ids: HashMap::new(),
            names: Vec::new(),
            follower: Vec::new(),
            previous: 0,
            limit: limit as usize,
        }
    }

    /// The number of a topic; [`UNLISTED`] if it is new and the limit is reached.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        let guess = self.follower.get(self.previous as usize).copied();
        if let Some(guess) = guess
            && self.name(guess) == name
        {
            self.previous = guess;
            return guess;
        }
        let id = match self.ids.get(name) {
            Some(id) => *id,
            None if self.names.len() < self.limit => self.add(name),
            None => return UNLISTED,
        };
        if let Some(slot) = self.follower.get_mut(self.previous as usize) {
            *slot = id;
        }
        self.previous = id;
        id
    }

    fn add(&mut self, name: &str) -> u32 {
        let id = self.names.len() as u32;
        self.ids.insert(name.to_owned(), id);
        self.follower.push(0);
        self.names.push(name.to_owned());
        id
    }

    /// The number of a topic that was seen before.
    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        let name = std::str::from_utf8(name).ok()?;
        self.ids.get(name).copied()
    }

    /// The name behind a number.
    pub(crate) fn name(&self, id: u32) -> &str {
        self.names.get(id as usize).map_or("", String::as_str)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers() {
        //! However often they come; beyond the limit there are none.
        let mut names = TopicNames::new(3);

        let numbers = ["x", "y", "x", "z", "y", "one more", "z"].map(|name| names.intern(name));

        assert_eq!(numbers, [0, 1, 0, 2, 1, UNLISTED, 2]);
        assert_eq!((names.name(2), names.len()), ("z", 3));
        assert_eq!((names.find(b"y"), names.find(b"one more")), (Some(1), None));
    }
}
