//! The program as its users meet it: killed in the middle, ended politely, and driven by its own command line.
//! (`sublet demo --check`, which walks the whole path, is run by `cargo xtask test`.)

mod crash;
mod drain;
mod exit_code;
mod scene;
mod story;
mod terminal;
