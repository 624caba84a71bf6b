//! Named queues: few, the operator's, all held ready.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use sublet_model::{DeadLetterTarget, Error, Name, QueueId, QueueSpec};
use sublet_store::QueueRecord;

use super::Directory;

/// Queues of one installation.
const QUEUES_MAX: usize = 100;

/// By name and by id.
#[derive(Debug, Default)]
pub(super) struct QueueBook {
    by_name: HashMap<Name, Arc<QueueRecord>>,
    names: HashMap<QueueId, Name>,
}

impl QueueBook {
    fn insert(&mut self, record: Arc<QueueRecord>) {
        self.names.insert(record.id, record.name.clone());
        self.by_name.insert(record.name.clone(), record);
    }
}

impl Directory {
    pub fn queue(&self, name: &Name) -> Option<Arc<QueueRecord>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name).cloned()
    }

    pub fn queue_by_id(&self, id: QueueId) -> Option<Arc<QueueRecord>> {
        let book = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        book.by_name.get(book.names.get(&id)?).cloned()
    }

    /// By name.
    pub fn queues(&self) -> Vec<Arc<QueueRecord>> {
        let book = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = book.by_name.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The queue that dead letters are put into besides; none when it is gone.
    pub(crate) fn dead_letter_queue(&self, target: Option<&DeadLetterTarget>) -> Option<QueueId> {
        self.queue(&target?.queue).map(|record| record.id)
    }

    /// Makes or replaces; `true` when it was made. Errors: `Invalid` with the field.
    pub async fn put_queue(&self, name: &Name, spec: QueueSpec) -> Result<(Arc<QueueRecord>, bool), Error> {
        spec.validate()?;
        if self.queue(name).is_none() && self.queues().len() >= QUEUES_MAX {
            return Err(Error::conflict(format!("there are {QUEUES_MAX} queues, the most there may be")));
        }
        let now = self.clock.now();
        let put = async {
            let (record, made) = self.store.put_queue(name, spec, now).await?;
            Ok((Arc::new(record), made))
        };
        self.write(put, |directory, (record, _)| {
            directory.queues.write().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(record));
        })
        .await
    }

    /// Its messages go with it.
    pub(crate) async fn delete_queue(&self, name: &Name) -> Result<(), Error> {
        self.write(self.store.delete_queue(name), |directory, ()| {
            let mut book = directory.queues.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(record) = book.by_name.remove(name) {
                book.names.remove(&record.id);
            }
        })
        .await
    }

    pub(super) async fn read_queues(&self) -> Result<(), Error> {
        let mut book = QueueBook::default();
        for record in self.store.queues().await? {
            book.insert(Arc::new(record));
        }
        *self.queues.write().unwrap_or_else(PoisonError::into_inner) = book;
        Ok(())
    }
}
