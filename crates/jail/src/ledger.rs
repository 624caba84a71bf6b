//! What each step came to, noted as the steps run. Fixed in size and free of allocation, because a probe keeps one in
//! a child forked from a process with threads, where the allocator may not be called.

use crate::error::Error;
use crate::layer::{Layer, LayerReport, Need, Report, Status};
use crate::plan::Plan;
use std::io;

/// A step that the kernel refused. `errno` is 0 where no single call is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) step: &'static str,
    pub(crate) errno: i32,
}

/// How a layer was put in force, or the step that failed.
pub(crate) type Attempt = Result<&'static str, Refusal>;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ledger {
    entries: [Option<Attempt>; Layer::ALL.len()],
}

/// Names the step in the refusal of a system call.
pub(crate) fn step(step: &'static str) -> impl Fn(rustix::io::Errno) -> Refusal {
    move |errno| Refusal { step, errno: errno.raw_os_error() }
}

impl Refusal {
    /// The refusal of the libc call that has just failed.
    pub(crate) fn last(step: &'static str) -> Refusal {
        Refusal { step, errno: io::Error::last_os_error().raw_os_error().unwrap_or(0) }
    }

    pub(crate) fn reason(&self) -> String {
        if self.errno == 0 {
            return self.step.to_owned();
        }
        format!("{}: {}", self.step, io::Error::from_raw_os_error(self.errno))
    }
}

impl Ledger {
    pub(crate) fn new() -> Ledger {
        Ledger { entries: [None; Layer::ALL.len()] }
    }

    pub(crate) fn note(&mut self, layer: Layer, attempt: Attempt) {
        self.entries[layer as usize] = Some(attempt);
    }

    /// Tries a layer and notes what came of it, unless the plan leaves it out.
    pub(crate) fn try_one(&mut self, plan: &Plan, layer: Layer, layer_step: impl FnOnce() -> Attempt) {
        if plan.wants(layer) {
            self.note(layer, layer_step());
        }
    }

    pub(crate) fn attempt(&self, layer: Layer) -> Option<Attempt> {
        self.entries[layer as usize]
    }

    /// The one place that decides whether the jail may go on: every required layer tried so far must be in force.
    pub(crate) fn verdict(&self) -> Result<(), Error> {
        for layer in Layer::ALL {
            if let (Need::Required, Some(Err(refusal))) = (layer.need(), self.attempt(layer)) {
                return Err(Error::Missing { layer, step: refusal.step, errno: refusal.errno });
            }
        }
        Ok(())
    }

    /// The report, in which a layer that succeeded has the status `done` and one not tried is left out or pending.
    pub(crate) fn report(&self, done: Status, leave_out: &[Layer]) -> Report {
        let mut layers = Vec::with_capacity(Layer::ALL.len());
        for layer in Layer::ALL {
            let (status, reason) = match self.attempt(layer) {
                Some(Ok(how)) => (done, how.to_owned()),
                Some(Err(refusal)) => (Status::Missing, refusal.reason()),
                None if leave_out.contains(&layer) => (Status::LeftOut, "left out by the plan".to_owned()),
                None => (Status::Pending, "not yet tried".to_owned()),
            };
            layers.push(LayerReport { layer, need: layer.need(), status, reason });
        }
        Report { layers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_required_layer_is_an_error_that_names_it_and_the_errno() {
        let mut ledger = Ledger::new();
        ledger.note(Layer::NoNewPrivileges, Err(Refusal { step: "prctl", errno: libc::EINVAL }));
        let error = ledger.verdict().unwrap_err();
        assert_eq!(error, Error::Missing { layer: Layer::NoNewPrivileges, step: "prctl", errno: libc::EINVAL });
        assert_eq!(error.to_string(), "layer `no new privileges` is missing: prctl: Invalid argument (os error 22)");
    }

    #[test]
    fn missing_optional_layer_is_only_reported() {
        let mut ledger = Ledger::new();
        ledger.note(Layer::EmptyRoot, Err(Refusal { step: "mount", errno: libc::EPERM }));
        ledger.verdict().unwrap();
        let report = ledger.report(Status::InForce, &[Layer::Identity]);
        assert_eq!(report.of(Layer::EmptyRoot).unwrap().reason, "mount: Operation not permitted (os error 1)");
        assert_eq!(report.of(Layer::EmptyRoot).unwrap().status, Status::Missing);
        assert_eq!(report.of(Layer::Identity).unwrap().status, Status::LeftOut);
        assert_eq!(report.of(Layer::SystemCalls).unwrap().status, Status::Pending);
    }

    #[test]
    fn layers_are_listed_at_their_own_index() {
        for (index, layer) in Layer::ALL.into_iter().enumerate() {
            assert_eq!(layer as usize, index);
        }
    }
}
