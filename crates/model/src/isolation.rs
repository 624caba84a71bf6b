//! Which tenants may share a worker process.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The operator's choice for a tenant, or for all of whom nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Its attempts run in worker processes beside those of others.
    #[default]
    Shared,
    /// It has worker processes of its own, started when it has work and gone when it has had none for a while.
    Dedicated,
}

impl Isolation {
    pub const fn as_str(self) -> &'static str {
        match self {
            Isolation::Shared => "shared",
            Isolation::Dedicated => "dedicated",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Isolation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Isolation, Error> {
        match text {
            "shared" => Ok(Isolation::Shared),
            "dedicated" => Ok(Isolation::Dedicated),
            _ => Err(Error::invalid("isolation", "must be shared or dedicated")),
        }
    }
}
