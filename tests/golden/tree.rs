//! An answer as a tree, whatever its API: what `{:?}` of a message of the `kafka-protocol` crate prints, read back.
//!
//! The crate has a struct for each of 180 messages and no reflection; their derived `Debug` names every field, which is all a
//! comparison needs. Option and newtype wrappers vanish here (`None` is `null`), unknown tagged fields too when there are none.

use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// A number, a bool, an id, a text in quotes, or `null`.
    Leaf(String),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    /// Fields by name, in the order of the struct.
    Fields(Vec<(String, Tree)>),
}

/// Fields that tell the elements of a list apart, in the order tried. None of them is an id that differs from run to run.
const KEYS: [&str; 10] = [
    "api_key",
    "group_id",
    "name",
    "topic",
    "partition_index",
    "partition",
    "index",
    "key",
    "resource_name",
    "broker_id",
];

impl Tree {
    pub fn of(message: &impl std::fmt::Debug) -> Tree {
        let text = format!("{message:?}");
        let mut reader = Reader { rest: &text };
        let tree = reader.value();
        assert!(reader.rest.is_empty(), "what is left of a message: {:?}", reader.rest);
        tree
    }

    pub fn field(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Fields(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    fn leaf(&self) -> Option<&str> {
        match self {
            Tree::Leaf(text) => Some(text),
            _ => None,
        }
    }
}

/// How the elements of two lists belong together: a label, and the element on either side.
pub type Pair<'a> = (String, Option<&'a Tree>, Option<&'a Tree>);

/// Pairs elements by the first field of [`KEYS`] that tells them apart on both sides, or else by their places. The last part
/// is false when elements that are on both sides do not stand in the same order.
pub fn pairs<'a>(left: &'a [Tree], right: &'a [Tree]) -> (Vec<Pair<'a>>, bool) {
    for key in KEYS {
        let (Some(one), Some(other)) = (labels(left, key), labels(right, key)) else { continue };
        let mut all: Vec<&str> = one.clone();
        all.extend(other.iter().filter(|label| !one.contains(label)));
        let at = |labels: &[&str], side: &'a [Tree], label: &str| {
            labels.iter().position(|found| *found == label).map(|place| &side[place])
        };
        let in_both = |labels: &[&str], others: &[&str]| -> Vec<String> {
            labels.iter().filter(|label| others.contains(label)).map(ToString::to_string).collect()
        };
        let in_order = in_both(&one, &other) == in_both(&other, &one);
        let paired = all
            .iter()
            .map(|label| {
                (format!("{key}={}", label.trim_matches('"')), at(&one, left, label), at(&other, right, label))
            })
            .collect();
        return (paired, in_order);
    }
    let longest = left.len().max(right.len());
    ((0..longest).map(|place| (place.to_string(), left.get(place), right.get(place))).collect(), true)
}

/// The labels of all elements, if each has one and all differ.
fn labels<'a>(list: &'a [Tree], key: &str) -> Option<Vec<&'a str>> {
    let labels: Vec<&str> = list.iter().map(|element| element.field(key)?.leaf()).collect::<Option<_>>()?;
    let distinct: BTreeSet<&str> = labels.iter().copied().collect();
    // Answers by topic id leave the name null or empty.
    let named = labels.iter().all(|label| *label != "null" && *label != "\"\"");
    (named && distinct.len() == labels.len()).then_some(labels)
}

/// Reads what `#[derive(Debug)]` writes.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self) -> Tree {
        match self.rest.as_bytes() {
            [b'"', ..] => Tree::Leaf(format!("\"{}\"", String::from_utf8(self.quoted()).expect("a text"))),
            [b'b', b'"', ..] => {
                self.skip("b");
                Tree::Bytes(self.quoted())
            }
            [b'[', ..] => {
                self.skip("[");
                Tree::List(self.until("]", Self::value))
            }
            [b'{', ..] => {
                self.skip("{");
                Tree::List(self.until("}", Self::entry))
            }
            _ => self.named(),
        }
    }

    /// A struct, a wrapper, or an atom.
    fn named(&mut self) -> Tree {
        let end = self.rest.find([' ', ',', '(', ')', ']', '}']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let name = name.to_owned();
        self.rest = rest;
        if self.rest.starts_with('(') {
            self.skip("(");
            return self.until(")", Self::value).pop().expect("a wrapper holds something");
        }
        if self.rest.starts_with(" { ") {
            self.skip(" { ");
            let fields = self.until(" }", |reader| {
                let (name, rest) = reader.rest.split_once(": ").expect("a field has a name");
                reader.rest = rest;
                (name.to_owned(), reader.value())
            });
            let known =
                |(name, value): &(String, Tree)| name != "unknown_tagged_fields" || *value != Tree::List(vec![]);
            return Tree::Fields(fields.into_iter().filter(known).collect());
        }
        Tree::Leaf(if name == "None" { "null".to_owned() } else { name })
    }

    fn entry(&mut self) -> Tree {
        let key = self.value();
        self.skip(": ");
        Tree::List(vec![key, self.value()])
    }

    fn until<T>(&mut self, end: &str, mut read: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut found = Vec::new();
        while !self.rest.starts_with(end) {
            found.push(read(self));
            if !self.rest.starts_with(end) {
                self.skip(", ");
            }
        }
        self.skip(end);
        found
    }

    fn skip(&mut self, text: &str) {
        self.rest = self.rest.strip_prefix(text).unwrap_or_else(|| panic!("{text:?} at {:?}", self.rest));
    }

    /// A text or bytes in quotes, as bytes.
    fn quoted(&mut self) -> Vec<u8> {
        self.skip("\"");
        let mut found = Vec::new();
        let mut characters = self.rest.char_indices();
        while let Some((place, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[place + 1..];
                    return found;
                }
                '\\' => match characters.next().expect("something is escaped").1 {
                    'n' => found.push(b'\n'),
                    'r' => found.push(b'\r'),
                    't' => found.push(b'\t'),
                    '0' => found.push(0),
                    'x' => {
                        let digits: String = characters.by_ref().take(2).map(|(_, digit)| digit).collect();
                        found.push(u8::from_str_radix(&digits, 16).expect("two hex digits"));
                    }
                    same @ ('"' | '\\' | '\'') => found.push(same as u8),
                    other => panic!("unknown escape {other:?}"),
                },
                plain => found.extend(plain.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        panic!("a text without an end");
    }
}
