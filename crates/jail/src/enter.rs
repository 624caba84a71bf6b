//! The steps, in their order. Read this file from top to bottom: it is the jail.
//!
//! Every step is tried and noted; after the steps of a phase one verdict decides. A required layer that is missing ends
//! in an error that names it, and the caller must exit.

use crate::error::Error;
use crate::filter::{self, Profile};
use crate::layer::{Layer, Report, Status};
use crate::ledger::{Attempt, Ledger, Refusal};
use crate::plan::Plan;
use crate::{domain, identity, limit, namespace, process};

/// Cut off from the server's session and descriptors, but not yet from files: the place to open what is reached by a
/// path. Still one thread.
#[derive(Debug)]
#[must_use = "the process is not confined yet"]
pub struct Begun {
    plan: Plan,
    ledger: Ledger,
}

/// Behind the outer layers; threads and timers may be started. Still every system call.
#[derive(Debug)]
#[must_use = "the process is not sealed yet"]
pub struct Entered {
    plan: Plan,
    ledger: Ledger,
}

/// Confined for good: no layer can be taken off again.
#[derive(Debug)]
pub struct Sealed {
    report: Report,
}

/// First phase: what must come before the process opens anything of its own.
///
/// # Safety
/// No open descriptor outside `plan.keep` may be owned by anything that uses or closes it later: they are all closed.
/// First thing in `main` that holds.
pub unsafe fn begin(plan: &Plan) -> Result<Begun, Error> {
    let mut ledger = Ledger::new();
    // SAFETY: the caller's promise is passed on.
    unsafe { begin_into(plan, &mut ledger)? };
    ledger.verdict()?;
    Ok(Begun { plan: plan.clone(), ledger })
}

impl Begun {
    /// Second phase: the outer layers, each around the next. Nothing is reached by a path afterwards.
    pub fn enter(mut self) -> Result<Entered, Error> {
        enter_into(&self.plan, &mut self.ledger)?;
        self.ledger.verdict()?;
        Ok(Entered { plan: self.plan, ledger: self.ledger })
    }
}

impl Entered {
    /// Which layers are in force so far; the system call filter is still pending.
    pub fn report(&self) -> Report {
        self.ledger.report(Status::InForce, &self.plan.leave_out)
    }

    /// Third phase: only the profile's system calls from here on, in every thread there is.
    pub fn seal(mut self, profile: &Profile) -> Result<Sealed, Error> {
        if self.plan.wants(Layer::SystemCalls) {
            if !profile.allows_new_threads() {
                // A second lock on the same door: the filter refuses to make threads too.
                self.ledger.note(Layer::Limits, self.limits_without_threads());
            }
            let sealed = filter::install(profile)?;
            self.ledger.note(Layer::SystemCalls, sealed);
        }
        self.ledger.verdict()?;
        Ok(Sealed { report: self.report() })
    }

    fn limits_without_threads(&self) -> Attempt {
        match self.ledger.attempt(Layer::Limits) {
            Some(Ok(how)) => limit::no_more_threads().map(|()| how),
            // Left out by the plan, or refused already: as it was.
            Some(refused) => refused,
            None => Ok("processes"),
        }
    }
}

impl Sealed {
    /// Which layers are in force.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// # Safety
/// As for [`begin`].
pub(crate) unsafe fn begin_into(plan: &Plan, ledger: &mut Ledger) -> Result<(), Error> {
    // A terminal's keys, its hang-up, and signals to the server's process group are not for this process: the server
    // decides when it ends.
    ledger.try_one(plan, Layer::OwnSession, process::own_session);

    // Files that it might make, against all odds, are its own.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));

    // A worker without its server has nobody to serve and nobody who would stop it. The kernel forgets the signal when
    // the process changes its user, so that the second phase arms it again; this one covers the time until then.
    if plan.wants(Layer::DeathSignal) {
        let armed = process::die_with_parent(plan.parent.unwrap_or_else(process::parent_id))?;
        ledger.note(Layer::DeathSignal, armed);
    }

    // What the server had open (its data file, its clients' connections) is out of reach of every later layer: an open
    // descriptor passes namespaces and Landlock, so they are closed first.
    // SAFETY: the caller vouches for the descriptors outside `plan.keep`.
    ledger.try_one(plan, Layer::Descriptors, || unsafe { process::close_all_but(&plan.keep) });
    Ok(())
}

/// The outer layers. Allocates nothing before Landlock, because a probe runs it in a forked child.
pub(crate) fn enter_into(plan: &Plan, ledger: &mut Ledger) -> Result<(), Error> {
    let parent = plan.parent.unwrap_or_else(process::parent_id);

    // Users, namespaces, capabilities and Landlock belong to a thread: another thread would stay outside.
    match process::thread_count() {
        Some(1) => {}
        Some(threads) => return Err(Error::Threads { threads }),
        None => return Err(Error::Threads { threads: 0 }),
    }

    enter_steps(plan, ledger);

    // The change of user disarmed it, and the parent may have died meanwhile.
    if plan.wants(Layer::DeathSignal) {
        let armed = process::die_with_parent(parent)?;
        ledger.note(Layer::DeathSignal, armed);
    }

    // Last but for the filter, since it closes `/proc` and everything else that the steps above need. It asks for no new
    // privileges, or a privilege that is gone.
    let wanted = |layer| plan.wants(layer);
    if domain::PARTS.iter().any(|&(layer, ..)| wanted(layer)) {
        let abi = domain::kernel_abi();
        let entered = abi.and_then(|_| domain::enter(wanted));
        for (layer, from, how, below) in domain::PARTS {
            ledger.try_one(plan, layer, || entered.and_then(|()| domain::part(abi, from, how, below)));
        }
    }
    Ok(())
}

/// The part between the two checks of the parent, which cannot fail as a whole.
pub(crate) fn enter_steps(plan: &Plan, ledger: &mut Ledger) {
    // If memory runs out all the same, this process goes, not the server and not the store. Needs `/proc`.
    ledger.try_one(plan, Layer::OomScore, process::raise_oom_score);

    // Root that may make namespaces makes them as root, which works even where the host forbids user namespaces, and
    // changes its user after that. Everybody else needs a user namespace to be allowed the others; root without
    // that capability (an ordinary container) first stops being root, so as not to own root's files from inside it.
    let makes_namespaces_as_root = identity::may_make_namespaces();
    if !makes_namespaces_as_root {
        ledger.try_one(plan, Layer::Identity, || {
            let changed = if identity::is_root() { Some(identity::change_user(plan)) } else { None };
            match (changed, identity::user_namespace(plan)) {
                (_, Ok(how)) => Ok(how),
                (Some(changed), Err(_)) => changed,
                (None, refused) => refused,
            }
        });
    }

    // Nothing of the host's network, queues, name or cgroup paths is even there to be named.
    for (layer, flag, name, how) in namespace::NAMESPACES {
        ledger.try_one(plan, layer, || namespace::unshare(flag, name, how));
    }

    // No path leads anywhere. In the host's own mount namespace the same steps would unmount the host.
    let own_mounts = matches!(ledger.attempt(Layer::MountNamespace), Some(Ok(_)));
    let host_mounts = Refusal { step: "needs a mount namespace", errno: 0 };
    ledger.try_one(plan, Layer::EmptyRoot, || if own_mounts { namespace::empty_root() } else { Err(host_mounts) });

    // Whatever the sets hold, permissions of user 0 reach far: its files, its processes.
    if makes_namespaces_as_root && identity::is_root() {
        ledger.try_one(plan, Layer::Identity, || identity::change_user(plan));
    }

    // The layers above are built; what built them must not be there to take them down.
    ledger.try_one(plan, Layer::NoCapabilities, identity::drop_capabilities);

    // After the namespaces: processes, queues and signals are counted per user of a user namespace, so that
    // workers do not use up one another's share.
    ledger.try_one(plan, Layer::Limits, || limit::bound(&plan.limits));

    // One worker's memory must not become the node's shortage.
    ledger.try_one(plan, Layer::MemoryCeiling, || limit::memory_ceiling(&plan.limits));

    // A set-user-id program gains nothing, and an unprivileged process may set Landlock and filters only with this.
    ledger.try_one(plan, Layer::NoNewPrivileges, process::no_new_privileges);

    // No core file, and no other process of the same user reads or writes this one's memory: two workers of one
    // container share a user where user namespaces are forbidden. After the user changes, which set it too.
    ledger.try_one(plan, Layer::NotDumpable, || process::set_dumpable(false));
}
