//! An event, flattened once so that many patterns can look at it cheaply.
//!
//! Every scalar of the event is a leaf: its path, as a chain of keys that are borrowed from the text, its value, and the
//! array element it is in. Leaves are found by the hash of their path. Nothing is joined or copied while reading: the
//! space taken is in proportion to the number of keys and scalars, however long the paths.

use std::borrow::Cow;

use crate::error::EventError;
use crate::flatten;
use crate::path::Path;
use crate::scalar::Scalar;

/// An event ready to be matched. Borrows from the text or value it was made of.
#[derive(Debug)]
pub struct EventView<'a> {
    pub(crate) keys: Vec<Key<'a>>,
    pub(crate) elements: Vec<Element>,
    pub(crate) leaves: Vec<Leaf<'a>>,
    /// (hash of path, leaf), sorted: the way from a path to its leaves, in the order of the text.
    pub(crate) by_path: Vec<(u64, u32)>,
}

/// One key of one object, and through `parent` the path to it. Number 0 is the root, which has no name.
#[derive(Debug)]
pub(crate) struct Key<'a> {
    pub(crate) parent: u32,
    /// Keys from the root to here; dots inside a key count as joints.
    pub(crate) depth: u32,
    pub(crate) hash: u64,
    pub(crate) name: Cow<'a, str>,
}

/// One element of an array that holds an object or an array, inside another such element. Number 0 is "in none".
/// Elements form a tree: two leaves can be satisfied together if one's chain of elements leads through the other's,
/// as far as both go through the same arrays.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) parent: u32,
    /// The depth of the array's key.
    pub(crate) depth: u32,
}

#[derive(Debug)]
pub(crate) struct Leaf<'a> {
    pub(crate) key: u32,
    pub(crate) element: u32,
    pub(crate) scalar: Scalar<'a>,
}

impl<'a> EventView<'a> {
    /// Reads an event's JSON text (`&str`, `&[u8]`, …). Errors: not a JSON object, or beyond one of the limits.
    pub fn parse<B: AsRef<[u8]> + ?Sized>(text: &'a B) -> Result<Self, EventError> {
        flatten::from_text(text.as_ref())
    }

    /// The same of a value that is already parsed.
    pub fn from_value(value: &'a serde_json::Value) -> Result<Self, EventError> {
        flatten::from_value(value)
    }

    /// The scalars at a path given as keys joined by dots: none, one, or several where the path leads through arrays.
    pub fn scalars_at<'s>(&'s self, path: &str) -> impl Iterator<Item = &'s Scalar<'a>> + use<'s, 'a> {
        let place = Path::new(path);
        let found: Vec<&Scalar<'a>> = self.leaves_at(&place).map(|leaf| &leaf.scalar).collect();
        found.into_iter()
    }

    /// The first field of EventBridge's envelope (`source`, `detail-type`) that is not there as text, if any. Patterns
    /// match events of any shape; the API that tests a pattern on an event wants an envelope.
    pub fn missing_envelope_field(&self) -> Option<&'static str> {
        ["source", "detail-type"]
            .into_iter()
            .find(|name| !self.scalars_at(name).any(|scalar| matches!(scalar, Scalar::Text(_))))
    }

    pub(crate) fn leaves_at<'s, 'p>(&'s self, path: &'p Path) -> impl Iterator<Item = &'s Leaf<'a>> + use<'s, 'p, 'a> {
        let start = self.by_path.partition_point(|&(hash, _)| hash < path.hash);
        self.by_path[start..]
            .iter()
            .take_while(|&&(hash, _)| hash == path.hash)
            .map(|&(_, number)| &self.leaves[number as usize])
            .filter(|leaf| self.is_at(leaf.key, &path.text))
    }

    /// Whether some key, leading to a scalar or not, is at this path.
    pub(crate) fn has_key_at(&self, path: &Path) -> bool {
        (1u32..).zip(&self.keys[1..]).any(|(number, key)| key.hash == path.hash && self.is_at(number, &path.text))
    }

    /// Whether no scalar is below an array element, so that nothing has to be kept consistent.
    pub(crate) fn is_free_of_elements(&self) -> bool {
        self.elements.len() == 1
    }

    /// `element` and all elements around it, innermost first, ending with number 0.
    pub(crate) fn enclosing(&self, element: u32) -> Enclosing<'_, 'a> {
        Enclosing { event: self, next: Some(element) }
    }

    /// The innermost element around `element`, itself included, whose array is at most `depth` keys deep.
    pub(crate) fn element_within(&self, element: u32, depth: u32) -> u32 {
        let mut current = element;
        while current != 0 && self.elements[current as usize].depth > depth {
            current = self.elements[current as usize].parent;
        }
        current
    }

    /// Compares a key's path with a text from the end, without joining it.
    pub(crate) fn is_at(&self, number: u32, text: &str) -> bool {
        let mut rest = text;
        let mut key = &self.keys[number as usize];
        while key.parent != 0 {
            let Some(outer) = rest.strip_suffix(&*key.name).and_then(|outer| outer.strip_suffix('.')) else {
                return false;
            };
            rest = outer;
            key = &self.keys[key.parent as usize];
        }
        rest == key.name
    }
}

/// An element and all elements around it, ending with number 0.
pub(crate) struct Enclosing<'e, 'a> {
    event: &'e EventView<'a>,
    next: Option<u32>,
}

impl Iterator for Enclosing<'_, '_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let current = self.next?;
        self.next = (current != 0).then(|| self.event.elements[current as usize].parent);
        Some(current)
    }
}
