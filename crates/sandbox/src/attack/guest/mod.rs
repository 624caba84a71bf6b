//! What a hostile tenant can upload, as data: one small program per promise.

mod api;
mod deploy;
mod layer;
mod memory;
mod output;
mod outside;
mod program;
mod stack;
mod state;
mod time;
mod wrapper;

use super::Group;
pub(super) use program::Program;

/// All of them, in the order of the groups.
pub(super) fn programs() -> impl Iterator<Item = (Group, &'static Program)> {
    let lists = [
        (Group::Memory, memory::PROGRAMS),
        (Group::Stack, stack::PROGRAMS),
        (Group::Time, time::PROGRAMS),
        (Group::Output, output::PROGRAMS),
        (Group::Wrapper, wrapper::PROGRAMS),
        (Group::Layer, layer::PROGRAMS),
        (Group::State, state::PROGRAMS),
        (Group::Api, api::PROGRAMS),
        (Group::Outside, outside::PROGRAMS),
        (Group::Deploy, deploy::PROGRAMS),
    ];
    lists.into_iter().flat_map(|(group, programs)| programs.iter().map(move |program| (group, program)))
}
