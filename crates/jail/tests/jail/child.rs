//! Starts this program again in a role, and runs the role before `main` and its threads: a jail wants a process with one
//! thread, which a test of the standard harness no longer is.
//!
//! Parent and child talk in lines over the child's standard input, which is a socket, as a worker's is.

use crate::standing::Standing;
use crate::{hostile, inside, outside};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use sublet_jail::{Begun, Entered, Plan};

/// A child that says nothing for so long has hung.
const PATIENCE: Duration = Duration::from_secs(60);
/// Memory ceiling of the jails here.
pub(crate) const MEMORY_BYTES: u64 = 64 << 20;

type Role = fn(&mut Talk);

const ROLES: &[(&str, Role)] = &[
    ("attempts", hostile::attempts),
    ("enter", outside::enter_and_try),
    ("hold", outside::seal_and_hold),
    ("probe", outside::probe_and_tell),
    ("refused_seccomp", outside::enter_where_seccomp_is_refused),
    ("wrong_parent", outside::begin_under_a_wrong_parent),
    ("threads", outside::enter_with_threads),
    ("descriptors", outside::begin_with_open_descriptors),
    ("middleman", outside::start_a_jail_and_wait),
    ("left_out", outside::seal_with_all_left_out),
    ("allowed", inside::use_all_that_is_allowed),
    ("ceiling", inside::take_memory_until_refused),
    ("hidden_pages", inside::hide_pages_from_the_ceiling),
    ("file_size", inside::grow_a_memory_file),
    ("abort", inside::abort_when_told),
    ("trap", inside::try_calls_under_the_reporter),
    ("foreign_abi", inside::call_by_the_32_bit_door),
    ("new_threads", inside::start_a_thread_after_the_seal),
];

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn before_main() {
        let Ok(role) = std::env::var("JAIL_ROLE") else { return };
        let ended = std::panic::catch_unwind(|| {
            let (_, play) = ROLES.iter().find(|(name, _)| *name == role).expect("a role of this name");
            Standing::parse(&std::env::var("JAIL_STANDING").unwrap()).take();
            // SAFETY: descriptor 0 is the socket that the parent made for this, and nothing else reads it here.
            play(&mut Talk { socket: unsafe { File::from_raw_fd(0) } });
        });
        // SAFETY: ends the child without running the harness.
        unsafe { libc::_exit(if ended.is_ok() { 0 } else { 101 }) }
    }
    before_main
};

/// The child's end.
pub(crate) struct Talk {
    socket: File,
}

impl Talk {
    pub(crate) fn say(&mut self, line: impl AsRef<str>) {
        self.socket.write_all(format!("{}\n", line.as_ref()).as_bytes()).unwrap();
    }

    /// Waits for a line of the parent's, byte by byte, so that none is read ahead.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            assert_eq!(self.socket.read(&mut byte).unwrap(), 1, "the parent hung up");
            if byte[0] == b'\n' {
                return String::from_utf8(line).unwrap();
            }
            line.push(byte[0]);
        }
    }
}

pub(crate) fn plan() -> Plan {
    Plan::strict(MEMORY_BYTES, vec![0, 1, 2])
}

pub(crate) fn begin(plan: &Plan) -> Begun {
    // SAFETY: a role runs before `main`; nothing is open but the three standard streams, which are kept.
    unsafe { sublet_jail::begin(plan) }.unwrap()
}

pub(crate) fn enter(plan: &Plan) -> Entered {
    begin(plan).enter().unwrap()
}

/// The parent's end.
pub(crate) struct Child {
    process: std::process::Child,
    talk: BufReader<UnixStream>,
    name: String,
}

/// `facts` are environment variables for the role.
pub(crate) fn start(role: &str, standing: Standing, facts: &[(&str, String)]) -> Child {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let process = Command::new(std::env::current_exe().unwrap())
        .env("JAIL_ROLE", role)
        .env("JAIL_STANDING", format!("{standing:?}"))
        .envs(facts.iter().map(|(name, value)| (*name, value)))
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Child { process, talk: BufReader::new(ours), name: format!("{role} as {standing:?}") }
}

impl Child {
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.talk.get_mut(), "{line}").unwrap();
    }

    /// The next line, or none once the child's end is closed.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.talk.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            // A killed child's unread input resets the connection.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{}: {error}", self.name),
        }
    }

    pub(crate) fn hear(&mut self) -> String {
        match self.next() {
            Some(line) => line,
            None => {
                let errors = self.errors();
                panic!("{} ended instead of answering: {errors}", self.name)
            }
        }
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    /// How it ended, and what it wrote to standard error.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let errors = self.errors();
        (self.process.wait().unwrap(), errors)
    }

    /// Waits for a good end.
    pub(crate) fn succeed(self) {
        let name = self.name.clone();
        let (status, errors) = self.end();
        assert!(status.success(), "{name}: {status}: {errors}");
    }

    fn errors(&mut self) -> String {
        let mut errors = String::new();
        if let Some(mut stderr) = self.process.stderr.take() {
            let _ = stderr.read_to_string(&mut errors);
        }
        errors
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // A failed test leaves no process behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A descriptor of the child's own, by number, for calls that are made without the standard library.
pub(crate) fn number(descriptor: &impl AsRawFd) -> i64 {
    i64::from(descriptor.as_raw_fd())
}
