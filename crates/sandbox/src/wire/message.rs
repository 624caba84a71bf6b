//! The messages and their fields, in both directions. Encoding and decoding stand side by side so that a reader can
//! hold one against the other.

use std::fmt;

use bytes::Bytes;
use sublet_model::{Outcome, limit};

use super::codec::{Reader, WireError, Writer};
use super::failure::{cut, read_failure, write_failure};
use super::frame::frame;
use super::{CONTEXT_BYTES_MAX, ENVIRONMENT_BYTES_MAX, EVENT_BYTES_MAX, FETCH_BODY_BYTES_MAX, FETCH_HEAD_BYTES_MAX};
use super::{MESSAGE_BYTES_MAX, package, snapshot};
use crate::wasm::RawSnapshot;
use crate::{BuildRequest, Failure, ImageKind, Limits};

/// Both ends come from one binary; the number catches a worker binary of another version.
pub(crate) const PROTOCOL: u32 = 4;
/// Bytes of a report of layers, and of a worker's last words.
const REPORT_BYTES_MAX: usize = 64 * 1024;
const LAST_WORDS_BYTES_MAX: usize = 4 * 1024;
/// Bytes of memory that a package's top level may leave behind, zero pages not counted.
pub(crate) const SNAPSHOT_BYTES_MAX: usize = 64 << 20;
/// Bytes of machine code that a tenant's module may come to.
pub(crate) const MACHINE_CODE_BYTES_MAX: usize = 64 << 20;
/// Bytes of the log beyond the limit: the line that marks the cut.
const LOG_MARK_BYTES_MAX: usize = 1024;

pub(crate) use super::package::build_frame_bytes_max;

/// What a worker process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs attempts, this many at once.
    Runner { slots: usize },
    /// Evaluates one package and ends.
    Builder,
}

#[derive(Clone)]
pub(crate) struct RunOrder {
    pub(crate) attempt: u64,
    pub(crate) image: u64,
    pub(crate) event: Bytes,
    pub(crate) context: Bytes,
    /// JSON text of what is added to `process.env`, or nothing.
    pub(crate) environment: Bytes,
    pub(crate) limits: Limits,
    pub(crate) seed: u64,
}

/// Without the tenant's data: the environment holds opened secrets.
impl fmt::Debug for RunOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("RunOrder");
        told.field("attempt", &self.attempt).field("image", &self.image).field("limits", &self.limits);
        told.finish_non_exhaustive()
    }
}

/// From the server. `Hello`, `Base` and `LoadImage` come with a file each.
#[derive(Clone)]
pub(crate) enum ToWorker {
    Hello {
        protocol: u32,
        role: Role,
    },
    /// What all images have in common, or what all packages are evaluated on; right after the `Hello`.
    Base,
    LoadImage {
        image: u64,
        kind: ImageKind,
    },
    Unload {
        image: u64,
    },
    Run(RunOrder),
    Cancel {
        attempt: u64,
    },
    /// What a running attempt waits for: part of a fetch's answer, in the prelude's form.
    Message {
        attempt: u64,
        message: Bytes,
    },
    Ping {
        number: u64,
    },
    Build(BuildRequest),
    /// For a builder, in place of a package.
    Compile {
        module: Bytes,
        memory_bytes: u64,
        counts: bool,
    },
}

/// Its kind and whose it is, without the tenant's data.
impl fmt::Debug for ToWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ToWorker::Hello { protocol, role } => {
                f.debug_struct("Hello").field("protocol", protocol).field("role", role).finish()
            }
            ToWorker::Base => f.write_str("Base"),
            ToWorker::LoadImage { image, kind } => {
                f.debug_struct("LoadImage").field("image", image).field("kind", kind).finish()
            }
            ToWorker::Unload { image } => f.debug_struct("Unload").field("image", image).finish(),
            ToWorker::Run(order) => f.debug_tuple("Run").field(order).finish(),
            ToWorker::Cancel { attempt } => f.debug_struct("Cancel").field("attempt", attempt).finish(),
            ToWorker::Message { attempt, .. } => {
                f.debug_struct("Message").field("attempt", attempt).finish_non_exhaustive()
            }
            ToWorker::Ping { number } => f.debug_struct("Ping").field("number", number).finish(),
            ToWorker::Build(_) => f.write_str("Build(..)"),
            ToWorker::Compile { memory_bytes, counts, .. } => {
                let mut told = f.debug_struct("Compile");
                told.field("memory_bytes", memory_bytes).field("counts", counts).finish_non_exhaustive()
            }
        }
    }
}

/// How an attempt ended, with times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) attempt: u64,
    pub(crate) outcome: Outcome,
    pub(crate) result: Option<Bytes>,
    pub(crate) failure: Option<Failure>,
    pub(crate) log: Bytes,
    pub(crate) wall_us: u64,
    pub(crate) cpu_us: u64,
    pub(crate) memory_peak_bytes: u64,
    /// Where they were counted.
    pub(crate) instructions: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) enum FromWorker {
    /// Locked; `layers` is the jail's report as JSON.
    Ready {
        layers: Bytes,
    },
    /// Could not start; the process ends. For the operator.
    Unfit {
        reason: String,
    },
    Done(Done),
    /// The attempt could not be started, through no fault of its code.
    Declined {
        attempt: u64,
        reason: String,
    },
    Pong {
        number: u64,
    },
    /// A running attempt calls out. `head` is as the guest wrote it (`egress/lines.rs`).
    Fetch {
        attempt: u64,
        call: u32,
        head: Bytes,
        body: Bytes,
    },
    AbortFetch {
        attempt: u64,
        call: u32,
    },
    Built(RawSnapshot),
    /// Machine code, which nobody here loads.
    Compiled {
        code: Bytes,
    },
    /// The package's own fault.
    Refused(Failure),
}

impl ToWorker {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        frame(out, |out| {
            let mut to = Writer(out);
            match self {
                ToWorker::Hello { protocol, role } => {
                    to.u8(1);
                    to.u32(*protocol);
                    match role {
                        Role::Runner { slots } => {
                            to.u8(1);
                            to.size(*slots);
                        }
                        Role::Builder => to.u8(2),
                    }
                }
                ToWorker::LoadImage { image, kind } => {
                    to.u8(2);
                    to.u64(*image);
                    to.u8(match kind {
                        ImageKind::Snapshot => 1,
                        ImageKind::Machine => 2,
                    });
                }
                ToWorker::Unload { image } => {
                    to.u8(3);
                    to.u64(*image);
                }
                ToWorker::Run(order) => {
                    to.u8(4);
                    to.u64(order.attempt);
                    to.u64(order.image);
                    to.u64(order.seed);
                    to.duration(order.limits.wall);
                    to.duration(order.limits.cpu);
                    to.u64(order.limits.memory_bytes);
                    to.size(order.limits.result_bytes);
                    to.size(order.limits.log_bytes);
                    to.bytes(&order.context);
                    to.bytes(&order.environment);
                    to.bytes(&order.event);
                }
                ToWorker::Cancel { attempt } => {
                    to.u8(5);
                    to.u64(*attempt);
                }
                ToWorker::Ping { number } => {
                    to.u8(6);
                    to.u64(*number);
                }
                ToWorker::Build(request) => {
                    to.u8(7);
                    package::write(&mut to, request);
                }
                ToWorker::Base => to.u8(8),
                ToWorker::Message { attempt, message } => {
                    to.u8(9);
                    to.u64(*attempt);
                    to.bytes(message);
                }
                ToWorker::Compile { module, memory_bytes, counts } => {
                    to.u8(20);
                    to.u64(*memory_bytes);
                    to.u8(u8::from(*counts));
                    to.bytes(module);
                }
            }
        });
    }

    pub(crate) fn decode(body: Bytes) -> Result<ToWorker, WireError> {
        let mut from = Reader(body);
        let message = match from.u8("kind")? {
            1 => {
                let protocol = from.u32("protocol")?;
                let role = match from.u8("role")? {
                    1 => Role::Runner { slots: from.size("slots")? },
                    2 => Role::Builder,
                    _ => return Err(WireError::Invalid("role")),
                };
                ToWorker::Hello { protocol, role }
            }
            2 => {
                let image = from.u64("image")?;
                let kind = match from.u8("image kind")? {
                    1 => ImageKind::Snapshot,
                    2 => ImageKind::Machine,
                    _ => return Err(WireError::Invalid("image kind")),
                };
                ToWorker::LoadImage { image, kind }
            }
            3 => ToWorker::Unload { image: from.u64("image")? },
            4 => ToWorker::Run(RunOrder {
                attempt: from.u64("attempt")?,
                image: from.u64("image")?,
                seed: from.u64("seed")?,
                limits: Limits {
                    wall: from.duration("wall")?,
                    cpu: from.duration("cpu")?,
                    memory_bytes: from.u64("memory")?,
                    result_bytes: from.size("result limit")?,
                    log_bytes: from.size("log limit")?,
                },
                context: from.bytes("context", CONTEXT_BYTES_MAX)?,
                environment: from.bytes("environment", ENVIRONMENT_BYTES_MAX)?,
                event: from.bytes("event", EVENT_BYTES_MAX)?,
            }),
            5 => ToWorker::Cancel { attempt: from.u64("attempt")? },
            6 => ToWorker::Ping { number: from.u64("number")? },
            7 => ToWorker::Build(package::read(&mut from)?),
            8 => ToWorker::Base,
            9 => {
                ToWorker::Message { attempt: from.u64("attempt")?, message: from.bytes("message", MESSAGE_BYTES_MAX)? }
            }
            20 => ToWorker::Compile {
                memory_bytes: from.u64("memory")?,
                counts: from.flag("counts")?,
                module: from.bytes("module", limit::PACKAGE_UNPACKED_BYTES_MAX)?,
            },
            kind => return Err(WireError::Kind(kind)),
        };
        from.end()?;
        Ok(message)
    }
}

impl FromWorker {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        frame(out, |out| {
            let mut to = Writer(out);
            match self {
                FromWorker::Ready { layers } => {
                    to.u8(1);
                    to.bytes(layers);
                }
                FromWorker::Unfit { reason } => {
                    to.u8(2);
                    to.text(cut(reason, LAST_WORDS_BYTES_MAX));
                }
                FromWorker::Done(done) => {
                    to.u8(3);
                    write_done(&mut to, done);
                }
                FromWorker::Declined { attempt, reason } => {
                    to.u8(4);
                    to.u64(*attempt);
                    to.text(cut(reason, LAST_WORDS_BYTES_MAX));
                }
                FromWorker::Pong { number } => {
                    to.u8(5);
                    to.u64(*number);
                }
                FromWorker::Built(raw) => {
                    to.u8(6);
                    snapshot::write(&mut to, raw);
                }
                FromWorker::Refused(failure) => {
                    to.u8(7);
                    write_failure(&mut to, failure);
                }
                FromWorker::Fetch { attempt, call, head, body } => {
                    to.u8(8);
                    to.u64(*attempt);
                    to.u32(*call);
                    to.bytes(head);
                    to.bytes(body);
                }
                FromWorker::AbortFetch { attempt, call } => {
                    to.u8(9);
                    to.u64(*attempt);
                    to.u32(*call);
                }
                FromWorker::Compiled { code } => {
                    to.u8(20);
                    to.bytes(code);
                }
            }
        });
    }

    pub(crate) fn decode(body: Bytes) -> Result<FromWorker, WireError> {
        let mut from = Reader(body);
        let message = match from.u8("kind")? {
            1 => FromWorker::Ready { layers: from.bytes("layers", REPORT_BYTES_MAX)? },
            2 => FromWorker::Unfit { reason: from.text("reason", LAST_WORDS_BYTES_MAX)? },
            3 => FromWorker::Done(read_done(&mut from)?),
            4 => FromWorker::Declined {
                attempt: from.u64("attempt")?,
                reason: from.text("reason", LAST_WORDS_BYTES_MAX)?,
            },
            5 => FromWorker::Pong { number: from.u64("number")? },
            6 => FromWorker::Built(snapshot::read(&mut from)?),
            7 => FromWorker::Refused(read_failure(&mut from)?),
            8 => FromWorker::Fetch {
                attempt: from.u64("attempt")?,
                call: from.u32("call")?,
                head: from.bytes("head", FETCH_HEAD_BYTES_MAX)?,
                body: from.bytes("body", FETCH_BODY_BYTES_MAX)?,
            },
            9 => FromWorker::AbortFetch { attempt: from.u64("attempt")?, call: from.u32("call")? },
            20 => FromWorker::Compiled { code: from.bytes("code", MACHINE_CODE_BYTES_MAX)? },
            kind => return Err(WireError::Kind(kind)),
        };
        from.end()?;
        Ok(message)
    }
}

fn write_done(to: &mut Writer<'_>, done: &Done) {
    to.u64(done.attempt);
    to.u8(done.outcome.code());
    to.u64(done.wall_us);
    to.u64(done.cpu_us);
    to.u64(done.memory_peak_bytes);
    to.u8(u8::from(done.instructions.is_some()));
    to.u64(done.instructions.unwrap_or(0));
    to.bytes(&done.log);
    match (&done.result, &done.failure) {
        (Some(result), _) => {
            to.u8(1);
            to.bytes(result);
        }
        (None, Some(failure)) => {
            to.u8(2);
            write_failure(to, failure);
        }
        (None, None) => to.u8(0),
    }
}

/// A result exactly when it succeeded, a failure exactly when not: the rule of `Report`, held here once.
fn read_done(from: &mut Reader) -> Result<Done, WireError> {
    let attempt = from.u64("attempt")?;
    let outcome = Outcome::from_code(from.u8("outcome")?).ok_or(WireError::Invalid("outcome"))?;
    let (wall_us, cpu_us, memory_peak_bytes) = (from.u64("wall")?, from.u64("cpu")?, from.u64("memory")?);
    let (is_counted, counted) = (from.flag("counted")?, from.u64("instructions")?);
    let log = from.bytes("log", limit::LOG_BYTES_MAX + LOG_MARK_BYTES_MAX)?;
    let (result, failure) = match from.u8("answer")? {
        1 => (Some(from.bytes("result", limit::RESULT_BYTES_MAX)?), None),
        2 => (None, Some(read_failure(from)?)),
        _ => return Err(WireError::Invalid("answer")),
    };
    if result.is_some() != (outcome == Outcome::Succeeded) {
        return Err(WireError::Invalid("outcome"));
    }
    let instructions = is_counted.then_some(counted);
    Ok(Done { attempt, outcome, result, failure, log, wall_us, cpu_us, memory_peak_bytes, instructions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn done() -> Done {
        Done {
            attempt: 7,
            outcome: Outcome::Failed,
            result: None,
            failure: Some(Failure {
                error_type: "TypeError".into(),
                error_message: "no".into(),
                stack_trace: vec!["at handler (index.mjs:3:11)".into()],
            }),
            log: Bytes::from_static(b"line\n"),
            wall_us: 5,
            cpu_us: 4,
            memory_peak_bytes: 3,
            instructions: Some(6),
        }
    }

    fn body(message: &FromWorker) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out.split_off(4)
    }

    #[test]
    fn a_done_survives_its_frame() {
        let decoded = FromWorker::decode(body(&FromWorker::Done(done())).into()).unwrap();
        assert!(matches!(decoded, FromWorker::Done(back) if back == done()));
    }

    #[test]
    fn a_call_out_and_its_answer_survive_their_frames() {
        let fetch = FromWorker::Fetch {
            attempt: 7,
            call: 2,
            head: Bytes::from_static(b"{}"),
            body: Bytes::from_static(b"\0body"),
        };
        let back = FromWorker::decode(body(&fetch).into()).unwrap();
        assert_eq!(format!("{back:?}"), format!("{fetch:?}"));
        let mut out = Vec::new();
        let message = ToWorker::Message { attempt: 7, message: Bytes::from_static(b"\x02\0\0\0\x03") };
        message.encode(&mut out);
        let back = ToWorker::decode(out.split_off(4).into()).unwrap();
        assert!(matches!(back, ToWorker::Message { attempt: 7, message } if message[..] == *b"\x02\0\0\0\x03"));
    }

    fn order() -> RunOrder {
        RunOrder {
            attempt: 1,
            image: 2,
            event: Bytes::from_static(b"{}"),
            context: Bytes::from_static(b"{\"a\":1}"),
            environment: Bytes::from_static(b"{\"K\":\"v\"}"),
            limits: Limits {
                wall: Duration::from_secs(3),
                cpu: Duration::from_millis(50),
                memory_bytes: 1 << 27,
                result_bytes: 5,
                log_bytes: 6,
            },
            seed: 9,
        }
    }

    #[test]
    fn a_run_order_survives_its_frame() {
        let order = order();
        let mut out = Vec::new();
        ToWorker::Run(order.clone()).encode(&mut out);
        let ToWorker::Run(back) = ToWorker::decode(out.split_off(4).into()).unwrap() else { panic!("another kind") };
        assert_eq!((back.attempt, back.image, back.seed, back.limits), (1, 2, 9, order.limits));
        assert_eq!((back.event, back.context, back.environment), (order.event, order.context, order.environment));
    }

    #[test]
    fn the_debug_text_of_a_message_tells_nothing_of_the_tenants() {
        let secret = || Bytes::from_static(b"s3cret");
        let order = RunOrder { event: secret(), context: secret(), environment: secret(), ..order() };
        let compile = ToWorker::Compile { module: secret(), memory_bytes: 1, counts: true };
        for message in [ToWorker::Run(order), ToWorker::Message { attempt: 1, message: secret() }, compile] {
            for text in [format!("{message:?}"), format!("{message:#?}")] {
                assert!(!text.contains("s3cret") && !text.contains("115"), "{text}");
            }
        }
    }

    #[test]
    fn every_truncation_and_every_extra_byte_is_refused() {
        let whole = body(&FromWorker::Done(done()));
        for length in 0..whole.len() {
            assert!(FromWorker::decode(Bytes::copy_from_slice(&whole[..length])).is_err(), "{length} bytes");
        }
        let mut longer = whole;
        longer.push(0);
        assert_eq!(FromWorker::decode(longer.into()).unwrap_err(), WireError::Trailing(1));
    }

    #[test]
    fn mutated_frames_are_read_or_refused_and_what_is_read_survives_its_frame() {
        let mut hello = Vec::new();
        ToWorker::Hello { protocol: PROTOCOL, role: Role::Runner { slots: 4 } }.encode(&mut hello);
        let seeds = [
            body(&FromWorker::Done(done())),
            body(&FromWorker::Ready { layers: Bytes::from_static(b"{}") }),
            body(&FromWorker::Declined { attempt: 1, reason: "busy".into() }),
            body(&FromWorker::Pong { number: 1 }),
            hello.split_off(4),
        ];
        // A fixed sequence of numbers (xorshift), so that a failure comes again.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        for _ in 0..20_000 {
            let mut bytes = seeds[next(seeds.len())].clone();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                match next(4) {
                    0 => bytes[at] ^= 1 << next(8),
                    1 => bytes[at] = 0xff,
                    2 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, u8::try_from(next(256)).unwrap()),
                }
            }
            let bytes = Bytes::from(bytes);
            if let Ok(read) = FromWorker::decode(bytes.clone()) {
                assert!(FromWorker::decode(body(&read).into()).is_ok());
            }
            drop(ToWorker::decode(bytes));
        }
    }

    #[test]
    fn success_without_a_result_is_refused() {
        let lie = Done { outcome: Outcome::Succeeded, ..done() };
        assert_eq!(FromWorker::decode(body(&FromWorker::Done(lie)).into()).unwrap_err(), WireError::Invalid("outcome"));
    }
}
