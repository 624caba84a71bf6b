//! Comparing text without regard to case, character by character, over all of Unicode.

/// Text in lower case, to be compared with text in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folded(Box<str>);

impl Folded {
    pub(crate) fn new(text: &str) -> Self {
        // Not `str::to_lowercase`, which knows about final sigmas and so is not character by character.
        Self(text.chars().flat_map(char::to_lowercase).collect())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn equals(&self, text: &str) -> bool {
        text.chars().flat_map(char::to_lowercase).eq(self.0.chars())
    }

    pub(crate) fn starts(&self, text: &str) -> bool {
        let mut folded = text.chars().flat_map(char::to_lowercase);
        self.0.chars().all(|wanted| folded.next() == Some(wanted))
    }

    pub(crate) fn ends(&self, text: &str) -> bool {
        let mut folded = text.chars().rev().flat_map(|character| character.to_lowercase().rev());
        self.0.chars().rev().all(|wanted| folded.next() == Some(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_ignored_beyond_ascii() {
        assert!(Folded::new("GRÜN").equals("grün"));
        assert!(Folded::new("Σ").ends("ΟΔΟσ"));
        assert!(Folded::new("évé").starts("ÉVÉNEMENT"));
        assert!(!Folded::new("abc").starts("AB"));
        assert!(!Folded::new("abc").equals("abcd"));
    }
}
