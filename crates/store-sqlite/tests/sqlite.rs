//! The embedded store against the suite of all backends, and against what only it promises.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod sqlite {
    mod audit;
    mod backup;
    mod body;
    mod conformance;
    mod durability;
    mod hostile;
    mod opening;
    mod partition;
    mod support;
    mod volume;
}
