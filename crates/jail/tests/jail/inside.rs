//! What a sealed worker can still do, and where its resources end.

use crate::child::{self, MEMORY_BYTES, Talk, number};
use crate::standing::{self, Standing};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use sublet_jail::{Action, MEMORY_FILES, NEW_THREADS, Profile};

const PAGE: usize = 4_096;
const CHUNK: usize = 4 << 20;

fn map(bytes: usize, protection: i32) -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED { std::ptr::null_mut() } else { address.cast() }
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap()
}

/// In the child: the life of a worker, with everything opened at its time.
pub(crate) fn use_all_that_is_allowed(talk: &mut Talk) {
    let begun = child::begin(&child::plan());
    // By path, before there are no paths.
    let pagemap = File::open("/proc/self/pagemap").unwrap();
    let entered = begun.enter().unwrap();

    // Threads, timers and files, before there are no new ones.
    let (ask, asked) = mpsc::channel::<u64>();
    let (answer, answered) = mpsc::channel::<u64>();
    let thread = std::thread::spawn(move || {
        for number in asked {
            // Enough to make the allocator map, grow, trim and return memory.
            let blocks: Vec<Vec<u8>> = (1..200).map(|block| vec![1; block * 1_000]).collect();
            answer.send(number + blocks.len() as u64).unwrap();
        }
    });
    let timer =
        rustix::time::timerfd_create(rustix::time::TimerfdClockId::Monotonic, rustix::time::TimerfdFlags::empty())
            .unwrap();
    let waits = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).unwrap();
    let image = File::from(rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    std::os::unix::fs::FileExt::write_all_at(&image, b"image", 0).unwrap();

    let sealed = entered.seal(&Profile::worker()).unwrap();
    assert_eq!(sealed.report().obstacle(), None);

    // Threads that were there go on; locks; a large churn of memory.
    for number in 0..20 {
        ask.send(number).unwrap();
        assert_eq!(answered.recv().unwrap(), number + 199);
    }
    drop(ask);
    thread.join().unwrap();

    // Waiting for a timer that was there.
    use rustix::event::epoll;
    epoll::add(&waits, &timer, epoll::EventData::new_u64(7), epoll::EventFlags::IN).unwrap();
    let soon = rustix::time::Itimerspec {
        it_interval: rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: rustix::time::Timespec { tv_sec: 0, tv_nsec: 1_000_000 },
    };
    let before = Instant::now();
    rustix::time::timerfd_settime(&timer, rustix::time::TimerfdTimerFlags::empty(), &soon).unwrap();
    let mut events = Vec::with_capacity(1);
    epoll::wait(&waits, rustix::buffer::spare_capacity(&mut events), None).unwrap();
    assert!(before.elapsed() >= Duration::from_millis(1));

    // Files that were there: size, content, mapping. The standard library asks for the size in a way that is answered
    // with an error, and reads all the same.
    assert_eq!(rustix::fs::fstat(&image).unwrap().st_size, 5);
    image.metadata().unwrap_err();
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut &image, &mut read).unwrap();
    assert_eq!(read, b"image");
    let flags = libc::MAP_PRIVATE;
    // SAFETY: a private mapping of a file that stays as it is; its first 5 bytes are within the file.
    let content = unsafe {
        let protection = libc::PROT_READ | libc::PROT_EXEC;
        let address = libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, number(&image) as i32, 0);
        assert_ne!(address, libc::MAP_FAILED);
        std::slice::from_raw_parts(address.cast::<u8>(), 5)
    };
    assert_eq!(content, b"image");

    // Machine code: written, made executable, run.
    let code = map(PAGE, libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: the mapping is a page long; the bytes are a function that returns 42 and touches nothing.
    let returned = unsafe {
        std::ptr::copy_nonoverlapping(RETURNS_42.as_ptr(), code, RETURNS_42.len());
        assert_eq!(libc::mprotect(code.cast(), PAGE, libc::PROT_READ | libc::PROT_EXEC), 0);
        std::mem::transmute::<*mut u8, extern "C" fn() -> i32>(code)()
    };
    assert_eq!(returned, 42);

    // Which pages were written: the file was opened when there were paths. Kernels before 6.7 answer ENOTTY.
    let mut scan = [0_u64; 12];
    scan[0] = 96;
    // SAFETY: `scan` is a pm_scan_arg of 96 bytes: an empty range, no results wanted.
    let scanned = unsafe { libc::ioctl(number(&pagemap) as i32, 0xC060_6610, scan.as_mut_ptr()) };
    assert!(scanned == 0 || errno() == libc::ENOTTY, "{}", errno());

    // A panic is caught, and its look at the program for a backtrace is no end.
    assert!(std::panic::catch_unwind(|| panic!("on purpose")).is_err());

    talk.say("done");
    assert_eq!(talk.hear(), "and back");
}

#[cfg(target_arch = "x86_64")]
const RETURNS_42: [u8; 6] = [0xb8, 42, 0, 0, 0, 0xc3];
#[cfg(target_arch = "aarch64")]
const RETURNS_42: [u8; 8] = [0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6];

#[test]
fn sealed_worker_still_computes_waits_and_talks() {
    for standing in standing::all() {
        let mut child = child::start("allowed", standing, &[("RUST_BACKTRACE", "1".to_owned())]);
        assert_eq!(child.hear(), "done");
        child.say("and back");
        child.succeed();
    }
}

/// In the child: takes memory in each way that the filter allows, and tells how much it got.
pub(crate) fn take_memory_until_refused(talk: &mut Talk) {
    let _sealed = child::enter(&child::plan()).seal(&Profile::worker()).unwrap();
    let attempts = (2 * MEMORY_BYTES) as usize / CHUNK;

    // A reservation is free, however large: the pooling allocator makes such.
    let reserved = map(1 << 40, libc::PROT_NONE);
    assert!(!reserved.is_null());

    let mapped = (0..attempts).map(|_| map(CHUNK, libc::PROT_READ | libc::PROT_WRITE)).take_while(|at| !at.is_null());
    let mapped: Vec<*mut u8> = mapped.collect();
    assert_eq!(errno(), libc::ENOMEM);
    for &chunk in &mapped {
        // SAFETY: the mapping is of this size, and writable.
        unsafe { std::ptr::write_bytes(chunk, 1, CHUNK) };
    }
    talk.say((mapped.len() * CHUNK).to_string());

    // Nor by growing, nor by opening what was reserved, while the ceiling is reached.
    // SAFETY: the old mapping is not used after it moved; a failure leaves it as it was.
    let grown = unsafe { libc::mremap(mapped[0].cast(), CHUNK, 2 * CHUNK, libc::MREMAP_MAYMOVE) };
    assert_eq!((grown, errno()), (libc::MAP_FAILED, libc::ENOMEM));
    // SAFETY: the range lies within the reservation.
    let opened = unsafe { libc::mprotect(reserved.cast(), CHUNK, libc::PROT_READ | libc::PROT_WRITE) };
    assert_eq!((opened, errno()), (-1, libc::ENOMEM));

    // What is given back can be had again.
    // SAFETY: nothing refers to the mapping.
    assert_eq!(unsafe { libc::munmap(mapped[1].cast(), CHUNK) }, 0);
    // SAFETY: the range lies within the reservation.
    assert_eq!(unsafe { libc::mprotect(reserved.cast(), CHUNK, libc::PROT_READ | libc::PROT_WRITE) }, 0);
}

#[test]
fn memory_ends_at_the_ceiling_and_reservations_are_free() {
    for standing in standing::all() {
        let mut child = child::start("ceiling", standing, &[]);
        let taken: u64 = child.hear().parse().unwrap();
        assert!(taken <= MEMORY_BYTES, "{taken}");
        assert!(taken >= MEMORY_BYTES / 2, "{taken}");
        child.succeed();
    }
}

/// In the child: what the ceiling does not stop. Pages that are full and then made read-only are no longer counted.
pub(crate) fn hide_pages_from_the_ceiling(talk: &mut Talk) {
    let _sealed = child::enter(&child::plan()).seal(&Profile::worker()).unwrap();
    for _ in 0..(2 * MEMORY_BYTES) as usize / CHUNK {
        let chunk = map(CHUNK, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: the mapping is of this size, and writable until it is no longer.
        unsafe {
            std::ptr::write_bytes(chunk, 1, CHUNK);
            assert_eq!(libc::mprotect(chunk.cast(), CHUNK, libc::PROT_READ), 0);
        }
    }
    talk.say("full");
    talk.hear();
}

#[test]
fn pages_hidden_from_the_ceiling_are_seen_from_outside() {
    for standing in standing::all() {
        let mut child = child::start("hidden_pages", standing, &[]);
        assert_eq!(child.hear(), "full");
        let resident = sublet_jail::resident_bytes(child.id()).unwrap();
        assert!(resident >= 2 * MEMORY_BYTES, "{resident}");
        child.say("end");
        child.succeed();
    }
}

/// In the child: a profile that allows memory files.
pub(crate) fn grow_a_memory_file(talk: &mut Talk) {
    let mut plan = child::plan();
    plan.limits.file_bytes_max = 1 << 20;
    let _sealed = child::enter(&plan).seal(&Profile::worker().and(MEMORY_FILES)).unwrap();
    let file = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, 1 << 20).unwrap();
    talk.say("as large as allowed");
    let _ = rustix::fs::ftruncate(&file, (1 << 20) + 1);
    talk.say("larger");
}

#[test]
fn memory_file_ends_at_its_size_limit() {
    let mut child = child::start("file_size", Standing::AsStarted, &[]);
    assert_eq!(child.hear(), "as large as allowed");
    assert_eq!(child.next(), None);
    let (status, errors) = child.end();
    assert_eq!(status.signal(), Some(libc::SIGXFSZ), "{errors}");
}

pub(crate) fn abort_when_told(talk: &mut Talk) {
    let _sealed = child::enter(&child::plan()).seal(&Profile::worker()).unwrap();
    talk.say("ready");
    talk.hear();
    std::process::abort();
}

#[test]
fn abort_ends_as_sigabrt_so_that_a_bug_does_not_look_like_an_attack() {
    let mut child = child::start("abort", Standing::AsStarted, &[]);
    assert_eq!(child.hear(), "ready");
    child.say("go");
    let (status, errors) = child.end();
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{errors}");
    assert!(!status.core_dumped());
}

pub(crate) fn try_calls_under_the_reporter(_talk: &mut Talk) {
    sublet_jail::install_sigsys_reporter().unwrap();
    let _sealed = child::enter(&child::plan()).seal(&Profile::worker().on_refused(Action::Trap)).unwrap();
    let refused = UdpSocket::bind("127.0.0.1:0").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
    let refused = rustix::event::eventfd(0, rustix::event::EventfdFlags::empty()).unwrap_err();
    assert_eq!(refused, rustix::io::Errno::PERM);
}

use std::net::UdpSocket;

#[test]
fn reporter_names_every_refused_call_in_one_run() {
    let (status, errors) = child::start("trap", Standing::AsStarted, &[]).end();
    assert!(status.success(), "{status}: {errors}");
    let socket = format!("sublet-jail: refused system call {} (SYS_socket) with 0x2 ", libc::SYS_socket);
    assert!(errors.lines().any(|line| line.starts_with(&socket)), "{errors}");
    assert!(errors.contains("(SYS_eventfd2)"), "{errors}");
}

pub(crate) fn call_by_the_32_bit_door(talk: &mut Talk) {
    let answers = Profile::worker().on_refused(Action::Errno(libc::EPERM));
    let _sealed = child::enter(&child::plan()).seal(&answers).unwrap();
    talk.say("ready");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: getpid by its 32-bit number; the registers that the call may change are named.
    unsafe {
        std::arch::asm!("int 0x80", inout("rax") 20_u64 => _, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    #[cfg(target_arch = "x86_64")]
    talk.say("came back");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn call_by_the_32_bit_door_kills_under_every_profile() {
    let mut child = child::start("foreign_abi", Standing::AsStarted, &[]);
    assert_eq!(child.hear(), "ready");
    assert_eq!(child.next(), None);
    let (status, errors) = child.end();
    // SIGSEGV where the kernel has no such door at all.
    assert!([Some(libc::SIGSYS), Some(libc::SIGSEGV)].contains(&status.signal()), "{status}: {errors}");
}

pub(crate) fn start_a_thread_after_the_seal(talk: &mut Talk) {
    let profile = Profile::worker().and(NEW_THREADS).on_refused(Action::Errno(libc::EPERM));
    let _sealed = child::enter(&child::plan()).seal(&profile).unwrap();
    let answer = std::thread::spawn(|| 42).join().unwrap();
    talk.say(answer.to_string());
    for flags in [0, libc::CLONE_NEWUSER, libc::CLONE_VM | libc::CLONE_VFORK] {
        // SAFETY: refused; a fork otherwise, which the parent then notices.
        let result = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
        assert_eq!((result, errno()), (-1, libc::EPERM), "{flags:x}");
    }
}

#[test]
fn profile_that_allows_threads_still_allows_no_process() {
    let mut child = child::start("new_threads", Standing::AsStarted, &[]);
    assert_eq!(child.hear(), "42");
    child.succeed();
}
