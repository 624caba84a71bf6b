//! The engine over the in-memory store and a scripted sandbox. Time is the runtime's paused clock wherever nothing
//! goes over a socket.

mod delivery;
mod explain;
mod harness;
mod invoke;
mod package;
mod path;
mod simulation;
