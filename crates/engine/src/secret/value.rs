//! A secret's value in the clear.

use std::fmt;

use zeroize::Zeroizing;

/// Wiped when it is dropped. What is made of it elsewhere (the attempt's environment, frames on a socket, the tenant's
/// own memory) is thrown away with the attempt, and not wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Zeroizing<String>);

impl SecretValue {
    pub fn new(text: String) -> SecretValue {
        SecretValue(Zeroizing::new(text))
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Never the value.
impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}
