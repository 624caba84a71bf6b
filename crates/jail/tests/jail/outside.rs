//! The outer layers, and what the rest of the system sees of a jailed process.

use crate::child::{self, Talk};
use crate::standing::{self, Standing};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use sublet_jail::{Error, Layer, Need, Profile, Report, Status};

const LANDLOCK: [Layer; 3] = [Layer::LandlockFiles, Layer::LandlockTcp, Layer::LandlockScope];
const NAMESPACES: [Layer; 6] = [
    Layer::MountNamespace,
    Layer::EmptyRoot,
    Layer::NetworkNamespace,
    Layer::IpcNamespace,
    Layer::UtsNamespace,
    Layer::CgroupNamespace,
];

fn summary(report: &Report) -> String {
    serde_json::to_string(report).unwrap()
}

fn report(line: &str) -> Report {
    serde_json::from_str(line).unwrap()
}

/// In the child: the outer layers alone, then the same four deeds as native code without a filter could do.
pub(crate) fn enter_and_try(talk: &mut Talk) {
    let mut plan = child::plan();
    plan.leave_out = serde_json::from_str(&std::env::var("LEAVE_OUT").unwrap()).unwrap();
    let entered = child::enter(&plan);
    talk.say(summary(&entered.report()));

    let parent: i32 = std::env::var("PARENT").unwrap().parse().unwrap();
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let abstract_name = SocketAddr::from_abstract_name(std::env::var("ABSTRACT").unwrap()).unwrap();
    talk.say(std::fs::read("/etc/passwd").is_ok().to_string());
    talk.say(TcpStream::connect(("127.0.0.1", port)).is_ok().to_string());
    talk.say(UnixStream::connect_addr(&abstract_name).is_ok().to_string());
    let parent = rustix::process::Pid::from_raw(parent).unwrap();
    talk.say(rustix::process::test_kill_process(parent).is_ok().to_string());
    drop(entered);
}

#[test]
fn outer_layers_alone_refuse_files_network_and_signals_wherever_the_report_says_they_hold() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let abstract_name = format!("sublet-jail-test-{}", std::process::id());
    let _unix = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&abstract_name).unwrap()).unwrap();

    let mut opened = 0;
    for standing in standing::all() {
        let none: &[Layer] = &[];
        let neither = [&LANDLOCK[..], &NAMESPACES[..], &[Layer::Identity]].concat();
        let no_landlock = LANDLOCK.to_vec();
        let no_namespaces = [&NAMESPACES[..], &[Layer::Identity]].concat();
        for left_out in [none, &no_landlock, &no_namespaces, &neither] {
            let facts = [
                ("LEAVE_OUT", serde_json::to_string(left_out).unwrap()),
                ("PARENT", std::process::id().to_string()),
                ("PORT", tcp.local_addr().unwrap().port().to_string()),
                ("ABSTRACT", abstract_name.clone()),
            ];
            let mut child = child::start("enter", standing, &facts);
            let report = report(&child.hear());
            let holds = |layer| report.holds(layer);
            let case = format!("{standing:?} without {left_out:?}: {report:#?}");

            let read = child.hear() == "true";
            assert_eq!(read, !(holds(Layer::EmptyRoot) || holds(Layer::LandlockFiles)), "reading a file as {case}");
            let connected = child.hear() == "true";
            let no_network = holds(Layer::NetworkNamespace) || holds(Layer::LandlockTcp);
            assert_eq!(connected, !no_network, "connecting as {case}");
            let reached = child.hear() == "true";
            let no_socket = holds(Layer::NetworkNamespace) || holds(Layer::LandlockScope);
            assert_eq!(reached, !no_socket, "reaching an abstract socket as {case}");
            let signalled = child.hear() == "true";
            // Root's process cannot be signalled by nobody anyway.
            let is_root = rustix::process::getuid().is_root();
            let no_signal = holds(Layer::LandlockScope) || (holds(Layer::Identity) && is_root);
            assert!(!(no_signal && signalled), "signalling the parent as {case}");

            for line in &report.layers {
                let expected: &[Status] = if left_out.contains(&line.layer) {
                    &[Status::LeftOut]
                } else if line.layer == Layer::SystemCalls {
                    &[Status::Pending]
                } else if line.need == Need::Required {
                    &[Status::InForce]
                } else {
                    &[Status::InForce, Status::Missing]
                };
                assert!(expected.contains(&line.status), "{} as {case}", line.layer);
                assert!(!line.reason.is_empty(), "{} as {case}", line.layer);
            }
            opened += usize::from(read && connected && reached);
            child.succeed();
        }
    }
    assert!(opened >= standing::all().len(), "without the layers the same deeds succeed");
}

#[test]
fn container_that_forbids_namespaces_is_reported_with_the_step_and_the_errno() {
    let mut child = child::start("hold", Standing::UserInContainer, &[]);
    let report = report(&child.hear());
    child.say("end");
    child.succeed();
    for layer in [Layer::Identity, Layer::MountNamespace, Layer::NetworkNamespace] {
        let line = report.of(layer).unwrap();
        assert_eq!(line.status, Status::Missing);
        assert!(line.reason.starts_with("unshare(CLONE_NEW"), "{}", line.reason);
        assert!(line.reason.ends_with("Operation not permitted (os error 1)"), "{}", line.reason);
    }
    assert_eq!(report.of(Layer::EmptyRoot).unwrap().reason, "needs a mount namespace");
    assert_eq!(report.obstacle(), None);
}

/// In the child: sealed, waiting to be looked at.
pub(crate) fn seal_and_hold(talk: &mut Talk) {
    let sealed = child::enter(&child::plan()).seal(&Profile::worker()).unwrap();
    talk.say(summary(sealed.report()));
    talk.hear();
}

#[test]
fn sealed_process_has_no_privilege_whoever_started_it() {
    for standing in standing::all() {
        let mut child = child::start("hold", standing, &[]);
        let report = report(&child.hear());
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_ascii_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(field(set), ["0000000000000000"], "{set} as {standing:?}");
        }
        if report.of(Layer::NoCapabilities).unwrap().reason == "all sets empty" {
            assert_eq!(field("CapBnd:"), ["0000000000000000"], "as {standing:?}");
        }
        assert_eq!(field("NoNewPrivs:"), ["1"], "as {standing:?}");
        assert_eq!(field("Seccomp:"), ["2"], "as {standing:?}");
        assert_ne!(field("Uid:")[0..2], ["0", "0"].map(str::to_owned), "as {standing:?}");
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let limit = |name: &str| {
            let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..].split_ascii_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
        };
        let ceiling = child::MEMORY_BYTES.to_string();
        assert_eq!(limit("Max data size"), [ceiling.clone(), ceiling], "as {standing:?}");
        for none in ["Max core file size", "Max processes", "Max locked memory", "Max msgqueue size"] {
            assert_eq!(limit(none), ["0", "0"], "{none} as {standing:?}");
        }
        let score = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", child.id())).unwrap();
        assert_eq!(score.trim() == "1000", report.holds(Layer::OomScore), "as {standing:?}");
        for line in report.layers.iter().filter(|line| line.need == Need::Required) {
            assert_eq!(line.status, Status::InForce, "{} as {standing:?}", line.layer);
        }
        child.say("end");
        child.succeed();
    }
}

/// In the child: a probe, made where a jail would be made.
pub(crate) fn probe_and_tell(talk: &mut Talk) {
    let before = std::fs::read_to_string("/proc/self/status").unwrap();
    let report = sublet_jail::probe().unwrap();
    let after = std::fs::read_to_string("/proc/self/status").unwrap();
    let privileges = |status: &str| {
        status
            .lines()
            .filter(|line| ["Cap", "Uid", "NoNew", "Secc"].iter().any(|name| line.starts_with(name)))
            .fold(String::new(), |all, line| all + line)
    };
    assert_eq!(privileges(&before), privileges(&after));
    std::fs::read("/etc/passwd").unwrap();
    talk.say(summary(&report));
}

#[test]
fn probe_changes_nothing_and_finds_what_a_jail_then_has() {
    for standing in standing::all() {
        let mut probe = child::start("probe", standing, &[]);
        let probed = report(&probe.hear());
        probe.succeed();
        let mut jail = child::start("hold", standing, &[]);
        let held = report(&jail.hear());
        jail.say("end");
        jail.succeed();
        for layer in Layer::ALL {
            assert_eq!(probed.holds(layer), held.holds(layer), "{layer} as {standing:?}: {probed:#?}");
            let reason = &probed.of(layer).unwrap().reason;
            assert!(!reason.is_empty(), "{layer} as {standing:?}");
            if layer != Layer::SystemCalls {
                assert_eq!(*reason, held.of(layer).unwrap().reason, "{layer} as {standing:?}");
            }
        }
    }
}

#[test]
fn probe_may_be_made_by_a_process_with_threads() {
    let report = sublet_jail::probe().unwrap();
    assert_eq!(report.layers.len(), Layer::ALL.len());
    assert_eq!(report.obstacle(), None);
}

pub(crate) fn enter_where_seccomp_is_refused(talk: &mut Talk) {
    standing::refuse(&[libc::SYS_seccomp]);
    let error = child::enter(&child::plan()).seal(&Profile::worker()).unwrap_err();
    assert!(matches!(error, Error::Missing { layer: Layer::SystemCalls, errno: libc::EPERM, .. }), "{error:?}");
    talk.say(error.to_string());
}

#[test]
fn missing_filter_is_an_error_and_not_a_report() {
    let mut child = child::start("refused_seccomp", Standing::AsStarted, &[]);
    assert_eq!(
        child.hear(),
        "layer `system call filter` is missing: seccomp(SECCOMP_SET_MODE_FILTER): Operation not permitted (os error 1)"
    );
    child.succeed();
}

pub(crate) fn begin_under_a_wrong_parent(_talk: &mut Talk) {
    let mut plan = child::plan();
    let parent = std::os::unix::process::parent_id();
    plan.parent = Some(parent + 1);
    // SAFETY: a role runs before `main`; nothing is open but the three standard streams, which are kept.
    let refused = unsafe { sublet_jail::begin(&plan) };
    assert_eq!(refused.unwrap_err(), Error::Orphaned { expected: parent + 1, found: parent });
}

#[test]
fn worker_whose_parent_is_another_than_planned_does_not_start() {
    child::start("wrong_parent", Standing::AsStarted, &[]).succeed();
}

pub(crate) fn enter_with_threads(_talk: &mut Talk) {
    let begun = child::begin(&child::plan());
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || held.recv());
    assert_eq!(begun.enter().unwrap_err(), Error::Threads { threads: 2 });
    drop(hold);
    thread.join().unwrap().unwrap_err();
}

#[test]
fn process_with_threads_cannot_enter() {
    child::start("threads", Standing::AsStarted, &[]).succeed();
}

pub(crate) fn begin_with_open_descriptors(_talk: &mut Talk) {
    let open = |fd: i32| {
        // SAFETY: asks about a number, whatever it stands for.
        unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
    };
    for fd in [3, 7, 8, 500] {
        // SAFETY: makes a descriptor that nothing in this process owns.
        assert_eq!(unsafe { libc::dup2(2, fd) }, fd);
    }
    let mut plan = child::plan();
    plan.keep = vec![7, 2, 0];
    let _begun = child::begin(&plan);
    let still_open: Vec<i32> = (0..1_024).filter(|&fd| open(fd)).collect();
    assert_eq!(still_open, [0, 2, 7]);
}

#[test]
fn only_the_planned_descriptors_survive() {
    child::start("descriptors", Standing::AsStarted, &[]).succeed();
}

/// In the child: a parent of its own jail, which inherits the socket.
pub(crate) fn start_a_jail_and_wait(talk: &mut Talk) {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut jailed = std::process::Command::new(std::env::current_exe().unwrap())
        .env("JAIL_ROLE", "hold")
        .env("JAIL_STANDING", "AsStarted")
        .stdin(socket)
        .spawn()
        .unwrap();
    talk.say("started");
    jailed.wait().unwrap();
}

#[test]
fn jailed_process_dies_with_its_parent() {
    let mut middleman = child::start("middleman", Standing::AsStarted, &[]);
    let (first, second) = (middleman.hear(), middleman.hear());
    assert!([&first, &second].iter().any(|line| *line == "started"), "{first}, {second}");
    middleman.kill();
    // The jailed process held the other end of the socket: it is closed only once both are gone.
    assert_eq!(middleman.next(), None);
    let (status, _) = middleman.end();
    assert_eq!(status.signal(), Some(libc::SIGKILL));
}

pub(crate) fn seal_with_all_left_out(talk: &mut Talk) {
    let mut plan = child::plan();
    plan.leave_out = Layer::ALL.to_vec();
    let sealed = child::enter(&plan).seal(&Profile::worker()).unwrap();
    std::fs::read("/etc/passwd").unwrap();
    talk.say(summary(sealed.report()));
}

#[test]
fn layers_left_out_on_purpose_are_not_tried_and_reported_as_such() {
    let mut child = child::start("left_out", Standing::AsStarted, &[]);
    let report = report(&child.hear());
    assert!(report.layers.iter().all(|line| line.status == Status::LeftOut), "{report:#?}");
    child.succeed();
}
