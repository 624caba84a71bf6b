//! How values become columns and back. No JSON in what every life cycle writes: fixed-width numbers in blobs.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, ToSql};
use sublet_model::{
    DeliveryId, EndReason, EventId, FunctionId, InvocationId, InvocationState, MessageId, Millis, QueueId, RetryPolicy,
    TenantId, Timestamp, TraceContext,
};
use sublet_store::{EventStatus, InvocationRecord, NewEvent, NewInvocation, RejectReason, Waiting};

use crate::body::read_file;
use crate::fail::{Fail, Outcome};

pub(crate) fn status_code(status: EventStatus) -> u8 {
    match status {
        EventStatus::Matched => 0,
        EventStatus::Unmatched => 1,
        EventStatus::Rejected(RejectReason::UnknownTenant) => 2,
        EventStatus::Rejected(RejectReason::SuspendedTenant) => 3,
        EventStatus::Rejected(RejectReason::Loop) => 4,
    }
}

pub(crate) fn status_of(code: u8) -> Outcome<EventStatus> {
    match code {
        0 => Ok(EventStatus::Matched),
        1 => Ok(EventStatus::Unmatched),
        2 => Ok(EventStatus::Rejected(RejectReason::UnknownTenant)),
        3 => Ok(EventStatus::Rejected(RejectReason::SuspendedTenant)),
        4 => Ok(EventStatus::Rejected(RejectReason::Loop)),
        other => Err(Fail::corrupt(format!("event status {other}"))),
    }
}

pub(crate) fn state_of(code: u8) -> Outcome<InvocationState> {
    InvocationState::from_code(code).ok_or_else(|| Fail::corrupt(format!("invocation state {code}")))
}

pub(crate) fn reason_of(code: Option<u8>) -> Outcome<Option<EndReason>> {
    match code {
        None => Ok(None),
        Some(code) => match EndReason::from_code(code) {
            Some(reason) => Ok(Some(reason)),
            None => Err(Fail::corrupt(format!("end reason {code}"))),
        },
    }
}

/// A column that is empty more often than not: null is a byte, an empty blob is one too, but null tells them apart.
pub(crate) fn bytes_or_null(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.is_empty() { None } else { Some(bytes) }
}

/// What an invocation was told beyond the function's own: the retry policy (28 bytes) if there is one, then the queue of
/// its dead letters (8) if there is one. Most have neither.
pub(crate) fn policy_blob(retry: Option<&RetryPolicy>, dead_letter: Option<QueueId>) -> Option<Vec<u8>> {
    if retry.is_none() && dead_letter.is_none() {
        return None;
    }
    let mut blob = Vec::with_capacity(RETRY_BYTES + QUEUE_BYTES);
    if let Some(policy) = retry {
        blob.extend_from_slice(&retry_blob(policy));
    }
    if let Some(queue) = dead_letter {
        blob.extend_from_slice(&queue.raw().to_le_bytes());
    }
    Some(blob)
}

const RETRY_BYTES: usize = 28;
const QUEUE_BYTES: usize = 8;

/// The other way round.
pub(crate) fn policy_of(blob: &[u8]) -> Outcome<(Option<RetryPolicy>, Option<QueueId>)> {
    let (retry, rest) = match blob.len() {
        RETRY_BYTES.. => (Some(retry_of(&blob[..RETRY_BYTES])?), &blob[RETRY_BYTES..]),
        _ => (None, blob),
    };
    let queue = match rest.split_first_chunk::<QUEUE_BYTES>() {
        Some((raw, [])) => Some(QueueId::from_raw(i64::from_le_bytes(*raw))),
        None if rest.is_empty() => None,
        _ => return Err(Fail::corrupt("policy of an invocation")),
    };
    Ok((retry, queue))
}

/// attempts, age, backoff, backoff_max: little-endian, 4 + 3 × 8 bytes.
fn retry_blob(policy: &RetryPolicy) -> [u8; RETRY_BYTES] {
    let mut blob = [0; RETRY_BYTES];
    blob[..4].copy_from_slice(&policy.attempts.to_le_bytes());
    for (slot, span) in blob[4..].chunks_exact_mut(8).zip([policy.age, policy.backoff, policy.backoff_max]) {
        slot.copy_from_slice(&span.0.to_le_bytes());
    }
    blob
}

fn retry_of(blob: &[u8]) -> Outcome<RetryPolicy> {
    let fixed: [u8; RETRY_BYTES] = blob.try_into().map_err(|_| Fail::corrupt("retry policy"))?;
    let span = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&fixed[at..at + 8]);
        Millis(u64::from_le_bytes(bytes))
    };
    let attempts = u32::from_le_bytes([fixed[0], fixed[1], fixed[2], fixed[3]]);
    Ok(RetryPolicy { attempts, age: span(4), backoff: span(12), backoff_max: span(20) })
}

/// Ids one after the other, 8 bytes each.
pub(crate) fn ids_of(blob: &[u8]) -> impl Iterator<Item = i64> + '_ {
    blob.chunks_exact(8).map(|chunk| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(chunk);
        i64::from_be_bytes(bytes)
    })
}

/// What an event led to (invocations of its own tenant, of others, deliveries and messages), and the trace it came from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) invocations: Vec<InvocationId>,
    /// The tenant of each of `invocations`; `None`: the event's own.
    pub(crate) tenants: Vec<Option<TenantId>>,
    pub(crate) deliveries: Vec<DeliveryId>,
    pub(crate) trace_context: Option<TraceContext>,
    pub(crate) messages: Vec<MessageId>,
}

const LINK_OWN: u8 = 0;
const LINK_FOREIGN: u8 = 1;
const LINK_DELIVERY: u8 = 2;
/// Two bytes of length and a trace context; kept here, because most events have none and need no column for it.
const LINK_TRACE: u8 = 3;
const LINK_MESSAGE: u8 = 4;

impl Links {
    /// The column, and whether it holds an invocation of another tenant.
    pub(crate) fn blob(event: &NewEvent) -> (Vec<u8>, bool) {
        let links = event.invocations.len() + event.deliveries.len() + event.messages.len();
        let mut blob = Vec::with_capacity(9 * links);
        let mut foreign = false;
        for invocation in &event.invocations {
            let own = event.tenant == Some(invocation.tenant);
            blob.push(if own { LINK_OWN } else { LINK_FOREIGN });
            blob.extend_from_slice(&invocation.id.raw().to_be_bytes());
            if !own {
                foreign = true;
                blob.extend_from_slice(&invocation.tenant.raw().to_be_bytes());
            }
        }
        for delivery in &event.deliveries {
            blob.push(LINK_DELIVERY);
            blob.extend_from_slice(&delivery.id.raw().to_be_bytes());
        }
        for message in &event.messages {
            blob.push(LINK_MESSAGE);
            blob.extend_from_slice(&message.id.raw().to_be_bytes());
        }
        if let Some(context) = &event.trace_context {
            let bytes = context.to_bytes();
            // A context is some 540 bytes at most; what would not fit is no context of ours.
            if let Ok(length) = u16::try_from(bytes.len()) {
                blob.push(LINK_TRACE);
                blob.extend_from_slice(&length.to_be_bytes());
                blob.extend_from_slice(&bytes);
            }
        }
        (blob, foreign)
    }

    pub(crate) fn read(blob: &[u8]) -> Outcome<Links> {
        let mut links = Links::default();
        let mut rest = blob;
        let corrupt = || Fail::corrupt("links of an event");
        let take = |rest: &mut &[u8]| -> Outcome<i64> {
            let (number, tail) = rest.split_first_chunk::<8>().ok_or_else(corrupt)?;
            *rest = tail;
            Ok(i64::from_be_bytes(*number))
        };
        while let Some((kind, tail)) = rest.split_first() {
            rest = tail;
            if *kind == LINK_TRACE {
                let (length, tail) = rest.split_first_chunk::<2>().ok_or_else(corrupt)?;
                let length = usize::from(u16::from_be_bytes(*length));
                let (bytes, tail) = tail.split_at_checked(length).ok_or_else(corrupt)?;
                links.trace_context = TraceContext::from_bytes(bytes);
                rest = tail;
                continue;
            }
            let id = take(&mut rest)?;
            match *kind {
                LINK_OWN => {
                    links.invocations.push(InvocationId::from_raw(id));
                    links.tenants.push(None);
                }
                LINK_FOREIGN => {
                    links.invocations.push(InvocationId::from_raw(id));
                    links.tenants.push(Some(TenantId::from_raw(take(&mut rest)?)));
                }
                LINK_DELIVERY => links.deliveries.push(DeliveryId::from_raw(id)),
                LINK_MESSAGE => links.messages.push(MessageId::from_raw(id)),
                _ => return Err(corrupt()),
            }
        }
        Ok(links)
    }
}

/// A row of `live`, as the writer works on it.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) id: InvocationId,
    pub(crate) tenant: TenantId,
    pub(crate) function: FunctionId,
    /// `None`: a synchronous invoke.
    pub(crate) event: Option<EventId>,
    pub(crate) state: InvocationState,
    pub(crate) due: Timestamp,
    pub(crate) starts: u32,
    pub(crate) failed: u32,
    pub(crate) crashed: u32,
    pub(crate) depth: u8,
    /// When the last attempt started.
    pub(crate) claimed: Timestamp,
    /// Ids, 8 bytes each.
    pub(crate) attempts: Vec<u8>,
    pub(crate) redrives: u32,
}

impl Live {
    pub(crate) const COLUMNS: &'static str =
        "id, tenant, function, event, state, due, starts, failed, crashed, depth, claimed, attempts, redrives";

    pub(crate) fn read(row: &Row<'_>) -> Outcome<Live> {
        Ok(Live {
            id: InvocationId::from_raw(row.get(0)?),
            tenant: TenantId::from_raw(row.get(1)?),
            function: FunctionId::from_raw(row.get(2)?),
            event: row.get::<_, Option<i64>>(3)?.map(EventId::from_raw),
            state: state_of(row.get(4)?)?,
            due: moment(row, 5)?,
            starts: row.get(6)?,
            failed: row.get(7)?,
            crashed: row.get(8)?,
            depth: row.get(9)?,
            claimed: Timestamp::from_millis(row.get::<_, Option<i64>>(10)?.unwrap_or(0)),
            attempts: blob(row, 11)?.to_vec(),
            redrives: row.get(12)?,
        })
    }

    /// As published, or (a synchronous one) as it runs its first attempt.
    pub(crate) fn new(new: &NewInvocation, event: Option<EventId>, depth: u8, state: InvocationState) -> Live {
        let runs = state == InvocationState::Running;
        Live {
            id: new.id,
            tenant: new.tenant,
            function: new.function,
            event,
            state,
            due: new.due,
            starts: u32::from(runs),
            failed: 0,
            crashed: 0,
            depth,
            claimed: if runs { new.due } else { Timestamp::ZERO },
            attempts: Vec::new(),
            redrives: 0,
        }
    }

    /// As the scheduler holds it; `None` for a synchronous invoke.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        Some(Waiting {
            invocation: self.id,
            tenant: self.tenant,
            function: self.function,
            event: self.event?,
            due: self.due,
            failed: self.failed,
            starts: self.starts,
            crashed: self.crashed,
            redrives: self.redrives,
        })
    }

    pub(crate) fn record(&self) -> InvocationRecord {
        InvocationRecord {
            id: self.id,
            tenant: self.tenant,
            function: self.function,
            event: self.event,
            state: self.state,
            reason: None,
            due: self.due,
            starts: self.starts,
            failed: self.failed,
            ended: None,
        }
    }
}

pub(crate) fn moment(row: &Row<'_>, index: usize) -> Outcome<Timestamp> {
    Ok(Timestamp::from_millis(row.get(index)?))
}

/// A blob or text column; null reads as empty.
pub(crate) fn blob<'a>(row: &'a Row<'_>, index: usize) -> Outcome<&'a [u8]> {
    match row.get_ref(index)? {
        ValueRef::Null => Ok(&[]),
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes),
        _ => Err(Fail::corrupt("a number where bytes belong")),
    }
}

/// A body's column, wherever the body is; null reads as empty.
pub(crate) fn body(conn: &Connection, row: &Row<'_>, index: usize) -> Outcome<Vec<u8>> {
    match row.get_ref(index)? {
        ValueRef::Integer(id) => read_file(conn, id),
        _ => Ok(blob(row, index)?.to_vec()),
    }
}

/// A counter as it is stored: the signed number of the same bits.
pub(crate) fn counter(value: u64) -> impl ToSql {
    value.cast_signed()
}

pub(crate) fn counter_of(row: &Row<'_>, index: usize) -> Outcome<u64> {
    Ok(row.get::<_, i64>(index)?.cast_unsigned())
}

pub(crate) fn counter_or_null_of(row: &Row<'_>, index: usize) -> Outcome<Option<u64>> {
    if matches!(row.get_ref(index)?, ValueRef::Null) { Ok(None) } else { counter_of(row, index).map(Some) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sublet_store::{NewDelivery, NewMessage};

    use super::*;

    #[test]
    fn links_come_back_with_the_tenants_of_foreign_invocations() {
        let (own, other) = (TenantId::from_raw(7), TenantId::from_raw(8));
        let invocation = |id, tenant| NewInvocation {
            id: InvocationId::from_raw(id),
            tenant,
            function: FunctionId::from_raw(1),
            event: None,
            due: Timestamp::ZERO,
            retry: None,
            input: None,
            dead_letter: None,
        };
        let delivery = NewDelivery {
            id: DeliveryId::from_raw(3),
            webhook: "hook".parse().unwrap(),
            event: EventId::from_raw(9),
            tenant: None,
            due: Timestamp::ZERO,
            input: None,
            dead_letter: None,
        };
        let message = NewMessage {
            id: MessageId::from_raw(4),
            queue: QueueId::from_raw(5),
            event: EventId::from_raw(9),
            tenant: None,
            due: Timestamp::ZERO,
            input: None,
        };
        let event = NewEvent {
            id: EventId::from_raw(9),
            tenant: Some(own),
            identity: None,
            depth: 0,
            status: EventStatus::Matched,
            trace: Bytes::new(),
            trace_context: TraceContext::new([1; 16], [2; 8], true),
            body: Bytes::new(),
            invocations: vec![invocation(1, own), invocation(2, other)],
            deliveries: vec![delivery],
            messages: vec![message],
            consumes: None,
        };
        let (blob, foreign) = Links::blob(&event);
        assert!(foreign);
        let links = Links::read(&blob).unwrap();
        assert_eq!(links.invocations, [InvocationId::from_raw(1), InvocationId::from_raw(2)]);
        assert_eq!(links.tenants, [None, Some(other)]);
        assert_eq!(links.deliveries, [DeliveryId::from_raw(3)]);
        assert_eq!(links.trace_context, event.trace_context);
        assert_eq!(links.messages, [MessageId::from_raw(4)]);
        assert!(Links::read(&blob[..blob.len() - 1]).is_err());
    }

    #[test]
    fn what_an_invocation_was_told_comes_back() {
        let policy = RetryPolicy { attempts: 185, age: Millis(7), backoff: Millis(1 << 40), backoff_max: Millis(9) };
        for retry in [None, Some(policy)] {
            for queue in [None, Some(QueueId::from_raw(1 << 40))] {
                let blob = policy_blob(retry.as_ref(), queue);
                assert_eq!(policy_of(&blob.unwrap_or_default()).unwrap(), (retry.clone(), queue));
            }
        }
        assert!(policy_of(&[1; 7]).is_err());
    }
}
