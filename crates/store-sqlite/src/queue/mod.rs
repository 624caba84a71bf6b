//! A tenant's queue: one file per family of verbs, the trait's methods handing over to them.

mod claim;
mod end;
mod list;
mod owner;
mod read;
mod select;
mod settle;

use async_trait::async_trait;
use sublet_model::{EndReason, Error, InvocationId, TenantId, Timestamp};
use sublet_store::{
    AttemptRecord, Balance, Claim, Finish, InvocationFilter, InvocationRecord, Lease, Listing, NewInvocation,
    OutboxLine, Ownership, Page, Queue, Selection, Settle, Settled, Waiting, Work,
};
use tokio::sync::{mpsc, oneshot};

pub(crate) use end::bury;

use crate::command::Verb;
use crate::store::SqliteStore;

#[async_trait]
impl Queue for SqliteStore {
    async fn acquire(&self, node: u16, now: Timestamp) -> Result<Ownership, Error> {
        self.write(move |batch| owner::acquire(batch, node, now)).await
    }

    async fn arrivals(&self, ownership: &Ownership) -> Result<mpsc::UnboundedReceiver<Vec<Waiting>>, Error> {
        let ownership = ownership.clone();
        self.write(move |batch| owner::arrivals(batch, &ownership)).await
    }

    async fn work(&self, tenant: TenantId, invocation: InvocationId) -> Result<Option<Work>, Error> {
        self.read(move |conn| read::work(conn, tenant, invocation)).await
    }

    fn claim(&self, claims: Vec<Claim>) -> oneshot::Receiver<Vec<Result<(), Error>>> {
        let (command, answer) = claim::Claims::new(claims);
        self.hand_over(Box::new(command));
        answer
    }

    fn begin(&self, invocation: NewInvocation, epoch: u64, until: Timestamp) -> oneshot::Receiver<Result<(), Error>> {
        let (command, answer) = Verb::new(move |batch| claim::begin(batch, &invocation, epoch, until), 0, None);
        self.hand_over(Box::new(command));
        answer
    }

    async fn extend(&self, leases: Vec<Lease>, until: Timestamp) -> Result<Vec<Result<(), Error>>, Error> {
        self.write(move |batch| Ok(leases.iter().map(|lease| claim::extend(batch, lease, until)).collect())).await
    }

    async fn settle(&self, settle: Settle) -> Result<Settled, Error> {
        let bytes = settle::weight(&settle);
        let room = self.room(bytes).await?;
        let beside = self.set_beside(settle::bodies(&settle), false).await?;
        self.write_bytes(bytes, room, move |batch| settle::settle(batch, &settle, &beside)).await
    }

    async fn finish(&self, finish: Finish) -> Result<Option<i64>, Error> {
        self.write(move |batch| settle::finish(batch, &finish)).await
    }

    async fn rescue(&self, ownership: &Ownership, now: Timestamp) -> Result<u64, Error> {
        let ownership = ownership.clone();
        self.write(move |batch| owner::rescue(batch, &ownership, now)).await
    }

    async fn outbox(&self, after: i64, limit: usize) -> Result<Vec<OutboxLine>, Error> {
        self.read(move |conn| read::outbox(conn, after, limit)).await
    }

    async fn invocation(&self, tenant: TenantId, id: InvocationId) -> Result<Option<InvocationRecord>, Error> {
        self.read(move |conn| Ok(read::find(conn, tenant, id)?.map(|found| found.record))).await
    }

    async fn attempts(&self, tenant: TenantId, id: InvocationId) -> Result<Vec<AttemptRecord>, Error> {
        self.read(move |conn| read::attempts(conn, tenant, id)).await
    }

    async fn invocations(
        &self,
        tenant: TenantId,
        filter: InvocationFilter,
        page: Page,
    ) -> Result<Listing<InvocationRecord>, Error> {
        list::invocations(self, tenant, filter, page).await
    }

    async fn dead_letters(&self, tenant: TenantId, page: Page) -> Result<Listing<InvocationRecord>, Error> {
        list::dead_letters(self, tenant, page).await
    }

    async fn redrive(&self, tenant: TenantId, selection: Selection, now: Timestamp) -> Result<u64, Error> {
        select::redrive(self, tenant, selection, now).await
    }

    async fn cancel(
        &self,
        tenant: TenantId,
        selection: Selection,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<u64, Error> {
        select::cancel(self, tenant, selection, reason, now).await
    }

    async fn balance(&self, tenant: TenantId) -> Result<Balance, Error> {
        self.read(move |conn| list::balance(conn, tenant)).await
    }
}
