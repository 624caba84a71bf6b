//! What the operator and the tenants do once, through the public API: tenants, the layer, extensions, a tenant's key.
//! A second start does only what is missing, so that an extension which a tenant has changed stays as it is.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::extension::{self, Extension, FUNCTION, LAYER};
use super::secret;
use crate::client::Client;
use crate::command::is_not_found;
use crate::files;

pub(super) async fn run(api: &Client, data: &Path) -> Result<()> {
    layer(api, data).await.context("cannot publish the layer")?;
    for extension in extension::ALL {
        tenant(api, extension, data).await.with_context(|| format!("cannot set up {}", extension.tenant))?;
    }
    Ok(())
}

/// The key of a tenant's developer, made when there is none.
pub(super) async fn tenant_key(api: &Client, tenant: &str, data: &Path) -> Result<String> {
    let file = data.join(format!("{tenant}-key"));
    if let Some(key) = secret::read(&file)? {
        return Ok(key);
    }
    let made = api.post("/v1/keys", &json!({"tenant": tenant, "label": "demo"})).await?;
    let key = made["secret"].as_str().context("the answer shows no secret")?;
    secret::write(&file, key)?;
    Ok(key.to_owned())
}

async fn layer(api: &Client, data: &Path) -> Result<()> {
    let folder = extension::write_layer(data)?;
    let listing = api.get("/v1/layers").await?;
    let is_there = listing["items"].as_array().into_iter().flatten().any(|layer| layer["name"] == LAYER);
    if is_there {
        return Ok(());
    }
    let package = files::package(&folder)?;
    api.upload(&format!("/v1/layers/{LAYER}/versions"), package.content_type, package.bytes).await?;
    Ok(())
}

async fn tenant(api: &Client, extension: &Extension, data: &Path) -> Result<()> {
    let folder = extension.write_copy(data)?;
    let tenant = format!("/v1/tenants/{}", extension.tenant);
    if found(api, &tenant).await?.is_none() {
        api.put(&tenant, &json!({})).await?;
    }
    let function = format!("{tenant}/functions/{FUNCTION}");
    let has_code = found(api, &function).await?.is_some_and(|function| !function["live"].is_null());
    if has_code {
        return Ok(());
    }
    api.put(&function, &extension.config()).await?;
    let package = files::package(&folder)?;
    api.upload(&format!("{function}/versions"), package.content_type, package.bytes).await?;
    Ok(())
}

async fn found(api: &Client, path: &str) -> Result<Option<Value>> {
    match api.get(path).await {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
