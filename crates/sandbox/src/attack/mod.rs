//! The escape suite: one small hostile program per promise, run against real, locked worker processes. `sublet doctor
//! --attack` runs it on the kernel of whoever asks and prints a score; this crate's tests run the very same list.
//!
//! An attack holds when it came to the end that its promise names, when the meter shows what it spent and no more than
//! it was allowed, and when a neighbour in the same worker went on answering all the while. How much slower the neighbour
//! answered is judged apart, since that depends on what else the machine does.
//!
//! [`guest`] is what a tenant can upload: JavaScript and packages, as data; [`module`] is WebAssembly of its own.
//! [`cordon`] takes code to processes that it is not for. [`native`] is what an escape from the WebAssembly runtime
//! would be: machine code inside a locked worker, which only a worker that was started as [`worker_main`] plays.
//! [`network`] goes past the gateway. [`range`] has the pools to attack and the words for it, [`neighbour`] measures,
//! [`verdict`] judges.

mod cordon;
mod guest;
mod module;
mod native;
mod neighbour;
mod network;
mod range;
mod verdict;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

pub use neighbour::{Latency, Times};
pub use range::{Range, Settings};
pub use verdict::Verdict;

use self::cordon::Trespass;
use self::guest::Program;
use self::module::ModuleProgram;
use self::native::Native;
use self::network::Reach;
use crate::pool::StartError;
use crate::worker::{Hooks, main_with};

/// What an attack aims at; the suite's headings, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Memory,
    Stack,
    Time,
    Output,
    Wrapper,
    Layer,
    State,
    Api,
    Outside,
    Network,
    Deploy,
    Module,
    Cordon,
    SystemCalls,
    Process,
    Lies,
}

impl Group {
    pub fn title(self) -> &'static str {
        match self {
            Group::Memory => "leave the memory, or take all of it",
            Group::Stack => "exhaust the stack",
            Group::Time => "hold the processor",
            Group::Output => "flood the output",
            Group::Wrapper => "tamper with the wrapper",
            Group::Layer => "find a layer that wraps the handler, or get past it",
            Group::State => "leave something for the next event",
            Group::Api => "misuse the ordinary API",
            Group::Outside => "reach files, network, environment and other tenants",
            Group::Network => "reach past the gateway",
            Group::Deploy => "harm whoever deploys it",
            Group::Module => "upload WebAssembly of its own",
            Group::Cordon => "run code where it does not belong",
            Group::SystemCalls => "native code in a worker: system calls",
            Group::Process => "native code in a worker: the process",
            Group::Lies => "native code in a worker: lies to the server",
        }
    }
}

/// One attack of the list.
pub struct Attack {
    pub group: Group,
    /// Unique, of lower-case words with hyphens.
    pub name: String,
    /// What must be true, as a sentence.
    pub promise: String,
    kind: Kind,
}

enum Kind {
    Guest(&'static Program),
    Module(&'static ModuleProgram),
    Cordon(&'static Trespass),
    Network(&'static Reach),
    Native(Native),
}

/// Every attack, in order.
pub fn attacks() -> Vec<Attack> {
    let guest = guest::programs().map(|(group, program)| Attack {
        group,
        name: program.name.to_owned(),
        promise: program.promise.to_owned(),
        kind: Kind::Guest(program),
    });
    let modules = module::programs().map(|program| Attack {
        group: Group::Module,
        name: program.name.to_owned(),
        promise: program.promise.to_owned(),
        kind: Kind::Module(program),
    });
    let cordons = cordon::TRESPASSES.iter().map(|trespass| Attack {
        group: Group::Cordon,
        name: trespass.name.to_owned(),
        promise: trespass.promise.to_owned(),
        kind: Kind::Cordon(trespass),
    });
    let native = native::attacks().map(|(group, name, promise, native)| Attack {
        group,
        name,
        promise,
        kind: Kind::Native(native),
    });
    let network = network::REACHES.iter().map(|reach| Attack {
        group: Group::Network,
        name: reach.name.to_owned(),
        promise: reach.promise.to_owned(),
        kind: Kind::Network(reach),
    });
    let mut all: Vec<Attack> = guest.chain(modules).chain(cordons).chain(network).chain(native).collect();
    all.sort_by_key(|attack| attack.group);
    all
}

impl Attack {
    /// Makes the attack. An attack under which the neighbour only slowed down is made once more: on a busy machine that is
    /// more likely chance than a hole.
    ///
    /// Errors: the range is out of order, which says nothing about the attack.
    pub async fn run(&self, range: &Range) -> Result<Verdict, StartError> {
        let mut verdict = self.run_once(range).await?;
        if verdict.held() && !verdict.is_flat() {
            verdict = self.run_once(range).await?;
        }
        Ok(verdict)
    }

    async fn run_once(&self, range: &Range) -> Result<Verdict, StartError> {
        let ground = match &self.kind {
            Kind::Guest(_) | Kind::Module(_) | Kind::Network(_) => range.guest().await?,
            Kind::Native(_) => range.native().await?,
            Kind::Cordon(trespass) if trespass.is_native() => range.native().await?,
            Kind::Cordon(_) => range.guest().await?,
        };
        let mark = ground.neighbour.baseline().await;
        let started = Instant::now();
        let seen = match &self.kind {
            Kind::Guest(program) => program.run(ground).await,
            Kind::Module(program) => program.run(ground).await,
            Kind::Cordon(trespass) => trespass.run(ground).await,
            Kind::Network(reach) => reach.run().await,
            Kind::Native(native) => native.run(ground).await,
        };
        let took = started.elapsed();
        Ok(Verdict { seen, took, latency: ground.neighbour.since(&mark).await })
    }
}

/// The worker process that plays native attacks, in place of [`crate::worker::main`]. The product's own pools never start
/// it.
pub fn worker_main(args: impl Iterator<Item = OsString>) -> ExitCode {
    main_with(args, Hooks { play: Some(native::play) })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_attack_has_a_name_of_its_own_and_a_promise() {
        let all = attacks();
        assert!(all.len() > 200, "{}", all.len());
        let mut names = HashSet::new();
        for attack in &all {
            let fits = attack.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            assert!(fits && !attack.name.is_empty(), "{}", attack.name);
            assert!(names.insert(&attack.name), "{} is there twice", attack.name);
            assert!(attack.promise.len() > 10, "{}", attack.name);
        }
        assert!(all.is_sorted_by_key(|attack| attack.group));
    }
}
