//! What goes into an attempt and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sublet_model::{Outcome, TenantId, Usage};
use tokio::sync::watch;

use crate::build::Image;
use crate::egress::{Egress, FetchRecord};

/// The frozen code of one version, as the caller has it: the key names it for the workers' caches, the image is shared.
#[derive(Debug, Clone)]
pub struct Code {
    /// Unique per image for the life of this process: the image's content hash will do.
    pub key: Arc<str>,
    pub image: Image,
}

/// Which attempts may share a worker process with this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Cordon {
    /// Those of any tenant that is not cordoned off.
    #[default]
    Shared,
    /// Those of this tenant and of nobody else, for the whole life of the process.
    Tenant(TenantId),
}

/// One attempt to run.
#[derive(Clone)]
pub struct Attempt {
    pub code: Code,
    /// The handler's first argument: JSON text, at most 256 KiB.
    pub event: Bytes,
    /// The handler's second argument, but for `getRemainingTimeInMillis`, which the sandbox adds.
    pub context: AttemptContext,
    pub limits: Limits,
    /// Added to `process.env` for this attempt alone: what must not lie in an image.
    pub environment: Vec<(String, String)>,
    /// The way out for `fetch`; without it every call is refused.
    pub egress: Option<Arc<dyn Egress>>,
    pub cordon: Cordon,
    /// Seeds `Math.random` and whatever else must differ between two attempts.
    pub seed: u64,
    /// Runs in a process that runs nothing else: for an attempt that may have ended a shared one.
    pub alone: bool,
    /// Ends it as cancelled once it says so; its report tells what it used until then.
    pub stop: Option<watch::Receiver<bool>>,
    /// Counts its instructions (`Usage::instructions`), in a process that runs nothing else. Of a tenant's own module, the
    /// image must have been compiled for it.
    pub counts: bool,
}

/// The context object's fields, named as Lambda names them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptContext {
    pub aws_request_id: String,
    pub function_name: String,
    pub function_version: String,
    pub invoked_function_arn: String,
    /// Text, as in Lambda for Node.
    #[serde(rename = "memoryLimitInMB")]
    pub memory_limit_in_mb: String,
    pub tenant_id: String,
    pub log_group_name: String,
    pub log_stream_name: String,
    /// W3C trace context of the attempt, for whatever the code calls; left out when the event came without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub wall: Duration,
    pub cpu: Duration,
    pub memory_bytes: u64,
    pub result_bytes: usize,
    pub log_bytes: usize,
}

/// How an attempt ended, and what it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub outcome: Outcome,
    /// JSON text; present exactly when the outcome is `Succeeded` (`null` when the handler returned nothing).
    pub result: Option<Bytes>,
    /// Present exactly when the outcome is not `Succeeded`.
    pub failure: Option<Failure>,
    /// What the code wrote by `console.*`, a line each, cut at the limit with a last line that says so.
    pub log: Bytes,
    pub usage: Usage,
    /// What it asked of the outside, in the order of the calls' ends.
    pub fetches: Vec<FetchRecord>,
    /// Present exactly when the outcome is `Crashed`.
    pub crash: Option<Crash>,
    /// The process id of the worker that it ran in, where it ran in one.
    pub worker: Option<u32>,
}

/// What a crash looked like from outside: what suspicion goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The environment broke off; its worker process lives on.
    Trap,
    /// The worker process ended, or was ended, with whatever ran there.
    Death,
    /// The kernel killed the worker process for a system call outside its profile.
    ForbiddenCall,
    /// The worker process said what ours never says, and was ended for it.
    Breach,
}

/// A failure in the words of Lambda's error object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub error_type: String,
    pub error_message: String,
    /// A frame each, with the tenant's own files and lines: `at handler (index.mjs:3:11)`.
    #[serde(default)]
    pub stack_trace: Vec<String>,
}
