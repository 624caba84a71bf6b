//! Accepting events: the event, its invocations and its deliveries are rows of one commit.

use std::sync::PoisonError;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, params};
use sublet_model::{Error, EventId, InvocationState, TenantId, Timestamp, TraceContext};
use sublet_store::{Bus, EventRecord, Listing, NewDelivery, NewEvent, NewInvocation, Page, PendingDelivery, Published};

use crate::body::{Beside, Part};
use crate::command::Batch;
use crate::fail::{Fail, Outcome};
use crate::identity::identity_blob;
use crate::listing::{self, Source};
use crate::message;
use crate::partition::{self, hour_of};
use crate::row::{Links, Live, blob, body, bytes_or_null, policy_blob, status_code, status_of};
use crate::store::SqliteStore;

fn publish(batch: &mut Batch<'_, '_>, events: &[NewEvent], beside: &Beside, now: Timestamp) -> Outcome<Vec<Published>> {
    batch.state.reserve.check()?;
    let shared = batch.shared.clone();
    let mut identities = shared.identities.lock().unwrap_or_else(PoisonError::into_inner);
    let mut answers = Vec::with_capacity(events.len());
    for event in events {
        if let Some(line) = event.consumes {
            if batch.hot.delete_outbox.execute([line])? == 0 {
                answers.push(Published::Consumed);
                continue;
            }
        } else if let Some(identity) = event.identity
            && let Some(known) = identities.find(&identity.key, now)
        {
            answers.push(if known.body == identity.body {
                Published::Repeated { first: known.first, status: known.status }
            } else {
                Published::Conflict { first: known.first }
            });
            continue;
        }
        insert_event(batch, event, beside)?;
        for invocation in &event.invocations {
            enqueue(batch, event, invocation)?;
            insert_input(batch, event, invocation.id.raw(), invocation.input.as_ref(), beside)?;
        }
        for delivery in &event.deliveries {
            insert_delivery(batch, delivery)?;
            insert_input(batch, event, delivery.id.raw(), delivery.input.as_ref(), beside)?;
        }
        for new in &event.messages {
            message::put(batch, new, None)?;
        }
        if let Some(identity) = event.identity {
            identities.remember(identity, event.id, event.status, now);
            batch.after.identities.push(identity.key);
        }
        answers.push(Published::Accepted);
    }
    Ok(answers)
}

fn insert_event(batch: &mut Batch<'_, '_>, event: &NewEvent, beside: &Beside) -> Outcome<()> {
    let id = event.id.raw();
    let body = beside.column(batch, (Part::Event, id), id, event.tenant, &event.body)?;
    let (links, foreign) = Links::blob(event);
    let identity = event.identity.as_ref().map(identity_blob);
    batch.hot.for_id(id)?.event.execute(params![
        id,
        event.tenant.map(TenantId::raw),
        foreign.then_some(1),
        status_code(event.status),
        event.depth,
        identity.as_ref().map(<[u8; 24]>::as_slice),
        bytes_or_null(&links),
        &event.trace[..],
        body,
    ])?;
    Ok(())
}

fn enqueue(batch: &mut Batch<'_, '_>, event: &NewEvent, new: &NewInvocation) -> Outcome<()> {
    insert_live(batch, new, Some(event.id), event.depth, InvocationState::Queued)?;
    let live = Live::new(new, Some(event.id), event.depth, InvocationState::Queued);
    batch.after.waiting.extend(live.waiting());
    batch.state.remember_fresh(live);
    Ok(())
}

/// A new invocation: waiting, or (a synchronous one) running its first attempt.
pub(crate) fn insert_live(
    batch: &mut Batch<'_, '_>,
    new: &NewInvocation,
    event: Option<EventId>,
    depth: u8,
    state: InvocationState,
) -> Outcome<()> {
    // The hour must have its tables from here on, since listings walk the hours there are.
    batch.hot.for_id(new.id.raw())?;
    let runs = state == InvocationState::Running;
    let policy = policy_blob(new.retry.as_ref(), new.dead_letter);
    batch.hot.insert_live.execute(params![
        new.id.raw(),
        new.tenant.raw(),
        new.function.raw(),
        event.map(EventId::raw),
        state.code(),
        new.due.millis(),
        u32::from(runs),
        depth,
        runs.then_some(new.due.millis()),
        policy,
    ])?;
    Ok(())
}

fn insert_delivery(batch: &mut Batch<'_, '_>, new: &NewDelivery) -> Outcome<()> {
    batch.hot.for_id(new.id.raw())?;
    batch.conn.prepare_cached("INSERT INTO delivery VALUES (?,?,?,?,?,'[]')")?.execute(params![
        new.id.raw(),
        new.webhook.as_str(),
        new.event.raw(),
        new.tenant.map(TenantId::raw),
        new.due.millis(),
    ])?;
    if let Some(queue) = new.dead_letter {
        message::note_dead_letter(batch.conn, new.id.raw(), queue)?;
    }
    batch.after.deliveries.push(PendingDelivery {
        id: new.id,
        webhook: new.webhook.clone(),
        event: new.event,
        attempts: 0,
        due: new.due,
    });
    Ok(())
}

/// Belongs to the event's tenant, wherever it goes.
fn insert_input(
    batch: &mut Batch<'_, '_>,
    event: &NewEvent,
    id: i64,
    input: Option<&Bytes>,
    beside: &Beside,
) -> Outcome<()> {
    if let Some(input) = input {
        let tenant = event.tenant.map(TenantId::raw);
        let column = beside.column(batch, (Part::Input, id), id, event.tenant, input)?;
        batch.hot.for_id(id)?.input.execute(params![id, tenant, column])?;
    }
    Ok(())
}

/// What of it may be long.
fn bodies(event: &NewEvent) -> impl Iterator<Item = ((Part, i64), &Bytes)> {
    let invocations = event.invocations.iter().map(|new| (new.id.raw(), &new.input));
    let deliveries = event.deliveries.iter().map(|new| (new.id.raw(), &new.input));
    let inputs = invocations.chain(deliveries).filter_map(|(id, input)| Some(((Part::Input, id), input.as_ref()?)));
    inputs.chain([((Part::Event, event.id.raw()), &event.body)])
}

fn weight(event: &NewEvent) -> usize {
    // Rows besides the bodies come to about this much.
    const ROW_BYTES: usize = 128;
    let inputs = event.invocations.iter().map(|new| &new.input).chain(event.deliveries.iter().map(|new| &new.input));
    let inputs = inputs.chain(event.messages.iter().map(|new| &new.input));
    let inputs: usize = inputs.flatten().map(Bytes::len).sum();
    let rows = 1 + event.invocations.len() + event.deliveries.len() + event.messages.len();
    event.body.len() + event.trace.len() + inputs + ROW_BYTES * rows
}

pub(crate) fn read_event(conn: &Connection, id: EventId) -> Outcome<Option<EventRecord>> {
    let hour = hour_of(id.raw());
    if !partition::exists(conn, hour)? {
        return Ok(None);
    }
    let sql = format!("SELECT tenant, status, depth, links, trace, body FROM event_{hour} WHERE id = ?");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id.raw()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let links = Links::read(blob(row, 3)?)?;
    Ok(Some(EventRecord {
        id,
        tenant: row.get::<_, Option<i64>>(0)?.map(TenantId::from_raw),
        status: status_of(row.get(1)?)?,
        depth: row.get(2)?,
        trace: blob(row, 4)?.to_vec().into(),
        body: body(conn, row, 5)?.into(),
        trace_context: links.trace_context,
        invocations: links.invocations,
        deliveries: links.deliveries,
        messages: links.messages,
    }))
}

/// The body with the trace it belongs to, for work.
pub(crate) fn read_traced_body(conn: &Connection, id: EventId) -> Outcome<Option<(Vec<u8>, Option<TraceContext>)>> {
    let hour = hour_of(id.raw());
    if !partition::exists(conn, hour)? {
        return Ok(None);
    }
    let mut statement = conn.prepare_cached(&format!("SELECT links, body FROM event_{hour} WHERE id = ?"))?;
    let mut rows = statement.query([id.raw()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let links = Links::read(blob(row, 0)?)?;
    Ok(Some((body(conn, row, 1)?, links.trace_context)))
}

/// What a transformer made of the event for the invocation or delivery of this id.
pub(crate) fn read_input(conn: &Connection, id: i64) -> Outcome<Option<Vec<u8>>> {
    let hour = hour_of(id);
    if !partition::exists(conn, hour)? {
        return Ok(None);
    }
    let mut statement = conn.prepare_cached(&format!("SELECT body FROM input_{hour} WHERE id = ?"))?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(|row| body(conn, row, 0)).transpose()
}

/// The body alone, for work and deliveries.
pub(crate) fn read_body(conn: &Connection, id: EventId) -> Outcome<Option<Vec<u8>>> {
    let hour = hour_of(id.raw());
    if !partition::exists(conn, hour)? {
        return Ok(None);
    }
    let mut statement = conn.prepare_cached(&format!("SELECT body FROM event_{hour} WHERE id = ?"))?;
    let mut rows = statement.query([id.raw()])?;
    rows.next()?.map(|row| body(conn, row, 0)).transpose()
}

#[async_trait]
impl Bus for SqliteStore {
    async fn publish(&self, events: Vec<NewEvent>, now: Timestamp) -> Result<Vec<Published>, Error> {
        let bytes = events.iter().map(weight).sum();
        let room = self.room(bytes).await?;
        let beside = self.set_beside(events.iter().flat_map(bodies), true).await?;
        self.write_bytes(bytes, room, move |batch| publish(batch, &events, &beside, now)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRecord>, Error> {
        self.read(move |conn| read_event(conn, id)).await
    }

    async fn event_body(&self, id: EventId) -> Result<Option<Bytes>, Error> {
        self.read(move |conn| Ok(read_body(conn, id)?.filter(|body| !body.is_empty()).map(Bytes::from))).await
    }

    async fn event_by_identity(&self, key: [u8; 16]) -> Result<Option<EventRecord>, Error> {
        let known = self.shared().identities.lock().unwrap_or_else(PoisonError::into_inner).event(&key);
        match known {
            Some(id) => self.event(id).await,
            None => Ok(None),
        }
    }

    async fn events(&self, tenant: Option<TenantId>, page: Page) -> Result<Listing<EventRecord>, Error> {
        let (cursor, limit) = listing::start::<EventId>(&page, EventId::raw)?;
        self.read(move |conn| {
            let sources = |hour: &partition::Partition| match tenant {
                None => vec![Source::all(format!("event_{}", hour.hour))],
                Some(tenant) => {
                    vec![Source::of_tenant(format!("event_{}", hour.hour), tenant, hour.has_index("event"))]
                }
            };
            let accept = |row: &rusqlite::Row<'_>| match tenant {
                None => Ok(true),
                Some(tenant) => Ok(row.get::<_, Option<i64>>(1)? == Some(tenant.raw())),
            };
            let found = listing::newest_first(conn, cursor, limit, sources, accept)?;
            let mut items = Vec::with_capacity(found.ids.len());
            for id in found.ids {
                let record = read_event(conn, EventId::from_raw(id))?;
                items.push(record.ok_or_else(|| Fail::corrupt("an event that was listed and is not there"))?);
            }
            Ok(Listing { items, next: found.next.map(|id| EventId::from_raw(id).to_string()) })
        })
        .await
    }
}
