//! The items, in memory and in one JSON file, and the news of their changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;

/// Items kept; the oldest leave first.
const ITEMS_MAX: usize = 1_000;
/// Characters of a title.
const TITLE_CHARS_MAX: usize = 200;
/// Changes that a slow page may lag behind before it is told to reload.
const NEWS_BACKLOG: usize = 256;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) title: String,
    pub(crate) state: ItemState,
    /// What the tenant's extension returned, or Lambda's error object.
    pub(crate) extra: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ItemState {
    Waiting,
    Enriched,
    Failed,
}

pub(crate) struct Items {
    file: PathBuf,
    items: Mutex<BTreeMap<String, Item>>,
    news: broadcast::Sender<Item>,
}

impl Items {
    pub(crate) fn open(file: PathBuf) -> Result<Items> {
        let items = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("{} is damaged", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        Ok(Items { file, items: Mutex::new(items), news: broadcast::channel(NEWS_BACKLOG).0 })
    }

    pub(crate) fn of(&self, tenant: &str) -> Vec<Item> {
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.values().rev().filter(|item| item.tenant == tenant).cloned().collect()
    }

    /// Adds an item under an id that sorts after all before it.
    pub(crate) fn add(&self, tenant: &str, title: &str) -> Result<Item> {
        let title: String = title.trim().chars().take(TITLE_CHARS_MAX).collect();
        anyhow::ensure!(!title.is_empty(), "an item needs a title");
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let last =
            items.last_key_value().and_then(|(id, _)| id.strip_prefix("item-")?.parse::<u64>().ok()).unwrap_or(0);
        let id = format!("item-{:08}", last + 1);
        let item = Item { id, tenant: tenant.to_owned(), title, state: ItemState::Waiting, extra: Value::Null };
        items.insert(item.id.clone(), item.clone());
        while items.len() > ITEMS_MAX {
            items.pop_first();
        }
        self.save(&items)?;
        drop(items);
        self.tell(&item);
        Ok(item)
    }

    /// Books what became of an item. Repeating it changes nothing, so a webhook may come twice.
    pub(crate) fn settle(&self, tenant: &str, id: &str, state: ItemState, extra: Value) -> Result<()> {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(item) = items.get_mut(id).filter(|item| item.tenant == tenant) else { return Ok(()) };
        item.state = state;
        item.extra = extra;
        let changed = item.clone();
        self.save(&items)?;
        drop(items);
        self.tell(&changed);
        Ok(())
    }

    pub(crate) fn follow(&self) -> broadcast::Receiver<Item> {
        self.news.subscribe()
    }

    fn tell(&self, item: &Item) {
        // No page is open: nobody to tell.
        let _ = self.news.send(item.clone());
    }

    /// Writes beside and renames, so that a crash leaves the old file or the new one.
    fn save(&self, items: &BTreeMap<String, Item>) -> Result<()> {
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec_pretty(items)?)?;
        std::fs::rename(&beside, &self.file).with_context(|| format!("cannot write {}", self.file.display()))
    }
}
