//! The program as its users meet it: killed in the middle, ended politely, driven by its own command line, and packed.
//! (`sublet demo --check`, which walks the whole path, is run by `cargo xtask test`.)

mod attack;
mod backup;
mod bench;
mod config_check;
mod crash;
mod drain;
mod exit_code;
mod libraries;
mod package;
mod project;
mod scene;
mod secret;
mod secure;
mod snippets;
mod story;
mod telemetry;
mod terminal;
