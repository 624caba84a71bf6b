//! Layers. They are looked up at deploy time only, so they are not cached.

use sublet_model::{Error, Name};
use sublet_store::{LayerRecord, ObjectHash};

use super::Directory;

impl Directory {
    pub(crate) async fn publish_layer(&self, name: &Name, package: ObjectHash) -> Result<LayerRecord, Error> {
        let now = self.clock.now();
        self.write(self.store.publish_layer(name, package, now), |_, _| ()).await
    }
}
