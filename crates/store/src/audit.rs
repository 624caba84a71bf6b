//! The audit log: who changed what, when, from where, and how it ended. Without bodies and secrets.
//!
//! A line is written before the change it tells of and completed after it, in commits of their own. So a change that
//! was made has a line, whatever dies in between; a line without an end says that its outcome is not known. Lines are
//! only ever added; nothing changes one that has its end, and only age removes them.

use std::net::IpAddr;

use async_trait::async_trait;
use sublet_model::{AuditId, Error, KeyId, Name, TenantId, Timestamp};

use crate::key::{KeyRole, KeyScope};
use crate::page::{Listing, Page};

/// What is known before the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit {
    pub key: KeyId,
    /// The key's label and reach at that time; the key may be gone when the line is read.
    pub label: String,
    pub scope: KeyScope,
    pub role: KeyRole,
    /// The operation's name in the API's document: `put_tenant`.
    pub operation: String,
    /// The path that was called.
    pub target: String,
    /// The tenant it is about, if there was one of that name.
    pub tenant: Option<(TenantId, Name)>,
    /// The request's id, as in its answer and in the log.
    pub request: String,
    pub from: IpAddr,
}

/// What is known after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEnd {
    pub at: Timestamp,
    /// The answer's HTTP status: 4xx refused, 5xx failed (and perhaps done all the same).
    pub status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    pub id: AuditId,
    pub at: Timestamp,
    pub line: NewAudit,
    /// `None`: under way, or whoever would have known died.
    pub end: Option<AuditEnd>,
}

/// All that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// About this tenant.
    pub tenant: Option<TenantId>,
    /// By this key.
    pub key: Option<KeyId>,
    pub operation: Option<String>,
    /// At or after.
    pub since: Option<Timestamp>,
}

/// The store's part for the audit log. It is no part of the registry: no verb raises the revision.
#[async_trait]
pub trait Audit {
    async fn begin_audit(&self, line: NewAudit, now: Timestamp) -> Result<AuditId, Error>;
    /// `tenant`: when the change made it, or told of it only then. Contract: `Conflict` for a line that has its end,
    /// `NotFound` for one that is not there; a tenant that the line has stays.
    async fn end_audit(&self, id: AuditId, end: AuditEnd, tenant: Option<(TenantId, Name)>) -> Result<(), Error>;
    /// Newest first. Contract: lines about a deleted tenant stay; one of a tenant made anew under its name is another's.
    async fn audit(&self, filter: AuditFilter, page: Page) -> Result<Listing<AuditRecord>, Error>;
    /// Removes lines of before that moment, at most so many; answers how many.
    async fn drop_audit(&self, before: Timestamp, rows_max: usize) -> Result<u64, Error>;
}
