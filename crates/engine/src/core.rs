//! What every part of a running engine shares.

use std::sync::{Arc, Mutex};

use sublet_model::Clock;
use sublet_sandbox::Sandbox;
use sublet_store::{CodeStore, Store};

use crate::chance::Chance;
use crate::config::EngineConfig;
use crate::directory::Directory;
use crate::stream::Stream;

pub(crate) struct Core {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) code: CodeStore,
    pub(crate) sandbox: Arc<dyn Sandbox>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: EngineConfig,
    pub(crate) chance: Chance,
    pub(crate) directory: Directory,
    pub(crate) stream: Arc<Stream>,
}
