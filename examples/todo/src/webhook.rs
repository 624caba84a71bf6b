//! Receiving results: a webhook is believed only when its Standard Webhooks signature holds and it is fresh.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far a webhook's clock may be off, in seconds.
const TOLERANCE_S: u64 = 300;
const SECRET_BYTES: usize = 32;

pub(crate) struct Secret {
    text: String,
    key: Vec<u8>,
}

impl Secret {
    /// The secret of this product's webhook: made once, kept in `file`.
    pub(crate) fn open(file: &Path) -> Result<Secret> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text.trim().to_owned(),
            Err(_) => {
                let mut random = [0u8; SECRET_BYTES];
                File::open("/dev/urandom")?.read_exact(&mut random)?;
                let text = format!("whsec_{}", BASE64_STANDARD.encode(random));
                let made = File::options().create_new(true).write(true).mode(0o600).open(file);
                let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
                written.with_context(|| format!("cannot write {}", file.display()))?;
                text
            }
        };
        let encoded = text.strip_prefix("whsec_").context("the webhook secret does not start with whsec_")?;
        let key = BASE64_STANDARD.decode(encoded).context("the webhook secret is not base64")?;
        Ok(Secret { key, text })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Errors say why a webhook is not believed.
    pub(crate) fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<()> {
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).with_context(|| format!("no {name}"));
        let (id, timestamp, signatures) =
            (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
        #[allow(clippy::disallowed_methods, reason = "a receiver judges a signature's age by its own wall clock")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let sent: u64 = timestamp.parse().context("webhook-timestamp is no number")?;
        if now.abs_diff(sent) > TOLERANCE_S {
            bail!("webhook-timestamp is more than {TOLERANCE_S} s off");
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key)?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        for signature in signatures.split(' ') {
            let Some(encoded) = signature.strip_prefix("v1,") else { continue };
            let Ok(bytes) = BASE64_STANDARD.decode(encoded) else { continue };
            if mac.clone().verify_slice(&bytes).is_ok() {
                return Ok(());
            }
        }
        bail!("no signature holds")
    }
}
