//! A version ready to run: its configuration, its image and the fixed part of its context.
//!
//! The image comes from the code store. One that was made for another engine is rebuilt from the package at its first
//! use, once, whoever asks first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use sublet_model::{EgressRule, Error, FunctionConfig, FunctionId, Name, Runtime, TenantId, TraceContext, limit};
use sublet_sandbox::{
    Attempt, AttemptContext, BuildError, BuildRequest, Code, CompileRequest, Cordon, Failure, Image, ImageKind, Limits,
    SourceFile,
};
use sublet_store::{FunctionRecord, TenantRecord, VersionRecord};

use crate::cache::Cache;
use crate::chance::locked;
use crate::core::Core;
use crate::module::module_of;
use crate::package::{PackageError, open_zip, single_file};

/// Bytes a cached version costs beside its image.
const ENTRY_BYTES: usize = 2 * 1024;
/// An image from this length on is checked beside the runtime's threads, which others need meanwhile.
const BESIDE_BYTES_MIN: usize = 256 * 1024;

#[derive(Clone)]
pub(crate) struct Runnable {
    pub(crate) version: u32,
    pub(crate) config: FunctionConfig,
    /// `config`'s, to be shared by attempts.
    pub(crate) egress: Arc<[EgressRule]>,
    code: Code,
    limits: Limits,
    /// Of a wasm function: its configuration's. A snapshot has it within.
    environment: Vec<(String, String)>,
    /// With an empty request id.
    context: AttemptContext,
}

impl Runnable {
    /// `trace`: what the attempt is a part of. The cordon is for the caller to say.
    pub(crate) fn attempt(
        &self,
        request_id: String,
        event: bytes::Bytes,
        seed: u64,
        alone: bool,
        trace: Option<&TraceContext>,
    ) -> Attempt {
        let traceparent = trace.map(TraceContext::to_string);
        let context = AttemptContext { aws_request_id: request_id, traceparent, ..self.context.clone() };
        Attempt {
            code: self.code.clone(),
            event,
            context,
            limits: self.limits,
            environment: self.environment.clone(),
            egress: None,
            cordon: Cordon::Shared,
            seed,
            alone,
            stop: None,
            counts: false,
        }
    }

    pub(crate) fn function_name(&self) -> &str {
        &self.context.function_name
    }

    pub(crate) fn tenant_name(&self) -> &str {
        &self.context.tenant_id
    }
}

/// A function and one of its versions, and whether it was compiled to count its instructions.
type Key = (FunctionId, u32, bool);

pub(crate) struct Runnables {
    held: Mutex<Cache<Key, Arc<Runnable>>>,
    /// One loader per version at a time; the others wait for what it finds.
    loading: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
}

impl Runnables {
    pub(crate) fn new(bytes_max: usize) -> Runnables {
        Runnables { held: Mutex::new(Cache::new(bytes_max)), loading: Mutex::new(HashMap::new()) }
    }

    pub(crate) fn if_held(&self, function: FunctionId, version: u32) -> Option<Arc<Runnable>> {
        locked(&self.held).get(&(function, version, false)).cloned()
    }
}

/// Why a version cannot run.
#[derive(Debug)]
pub(crate) enum NotRunnable {
    /// There is no such version.
    Gone,
    /// Its code no longer builds, after a change of engine: the tenant's to see.
    Rejected(Failure),
    /// Not now.
    Error(Error),
}

impl From<Error> for NotRunnable {
    fn from(error: Error) -> NotRunnable {
        NotRunnable::Error(error)
    }
}

impl From<BuildError> for NotRunnable {
    fn from(error: BuildError) -> NotRunnable {
        match error {
            BuildError::Rejected(failure) => NotRunnable::Rejected(failure),
            BuildError::Unavailable(error) => NotRunnable::Error(Error::unavailable(error.to_string())),
        }
    }
}

impl Core {
    pub(crate) async fn runnable(
        &self,
        tenant: &TenantRecord,
        function: &FunctionRecord,
        number: u32,
    ) -> Result<Arc<Runnable>, NotRunnable> {
        self.held_or((function.id, number, false), self.load(tenant, function, number)).await
    }

    /// The version as it runs where its instructions are counted: the same for JavaScript, whose engine counts; a tenant's
    /// own module is compiled anew, with a counter in it.
    pub(crate) async fn counting_runnable(
        &self,
        tenant: &TenantRecord,
        function: &FunctionRecord,
        number: u32,
    ) -> Result<Arc<Runnable>, NotRunnable> {
        let runnable = self.runnable(tenant, function, number).await?;
        match runnable.config.runtime {
            Runtime::Javascript => Ok(runnable),
            Runtime::Wasm => {
                self.held_or((function.id, number, true), self.compile_counting(tenant.id, function.id, &runnable))
                    .await
            }
        }
    }

    /// What is held under the key, or else what `load` makes, which runs once however many want it.
    async fn held_or(
        &self,
        key: Key,
        load: impl Future<Output = Result<Arc<Runnable>, NotRunnable>>,
    ) -> Result<Arc<Runnable>, NotRunnable> {
        let held = || locked(&self.runnables.held).get(&key).cloned();
        if let Some(held) = held() {
            return Ok(held);
        }
        let turn = Arc::clone(locked(&self.runnables.loading).entry(key).or_default());
        let loaded = {
            let _loading = turn.lock().await;
            match held() {
                Some(held) => Ok(held),
                None => self.hold(key, load.await),
            }
        };
        // Whoever leaves last takes the lock away; those that wait hold it too.
        let mut loading = locked(&self.runnables.loading);
        if Arc::strong_count(&turn) <= 2 {
            loading.remove(&key);
        }
        loaded
    }

    async fn load(
        &self,
        tenant: &TenantRecord,
        function: &FunctionRecord,
        number: u32,
    ) -> Result<Arc<Runnable>, NotRunnable> {
        let found = self.directory.version(tenant.id, function.id, number).await?;
        let version = found.ok_or(NotRunnable::Gone)?;
        let (image, hash) = match self.kept_image(tenant.id, &version).await? {
            Some(image) => (image, version.image),
            None => self.rebuild(tenant.id, &version).await?,
        };
        let config = &version.config;
        let arn = format!("arn:aws:lambda:local:000000000000:function:{}:{number}", function.name);
        let runnable = Arc::new(Runnable {
            version: number,
            config: config.clone(),
            egress: config.egress.clone().into(),
            environment: match config.runtime {
                Runtime::Javascript => Vec::new(),
                Runtime::Wasm => config.environment.clone().into_iter().collect(),
            },
            limits: Limits {
                wall: config.timeout.duration(),
                cpu: config.cpu.duration(),
                memory_bytes: config.memory.0,
                result_bytes: limit::RESULT_BYTES_MAX,
                log_bytes: limit::LOG_BYTES_MAX,
            },
            context: AttemptContext {
                aws_request_id: String::new(),
                function_name: function.name.to_string(),
                function_version: number.to_string(),
                invoked_function_arn: arn,
                memory_limit_in_mb: (config.memory.0 >> 20).to_string(),
                tenant_id: tenant.name.to_string(),
                log_group_name: format!("/sublet/{}/{}", tenant.name, function.name),
                log_stream_name: number.to_string(),
                traceparent: None,
            },
            code: Code { key: hash.to_string().into(), image },
        });
        Ok(runnable)
    }

    fn hold(&self, key: Key, loaded: Result<Arc<Runnable>, NotRunnable>) -> Result<Arc<Runnable>, NotRunnable> {
        let runnable = loaded?;
        let bytes = runnable.code.image.bytes.len() + ENTRY_BYTES;
        locked(&self.runnables.held).insert(key, Arc::clone(&runnable), bytes);
        Ok(runnable)
    }

    async fn compile_counting(
        &self,
        tenant: TenantId,
        function: FunctionId,
        runnable: &Runnable,
    ) -> Result<Arc<Runnable>, NotRunnable> {
        let found = self.directory.version(tenant, function, runnable.version).await?;
        let version = found.ok_or(NotRunnable::Gone)?;
        let package = self.code.get(&version.package).await?;
        let request = compile_request(tenant, &version.config, &package).map_err(Error::internal)?;
        let built =
            self.sandbox.compile(CompileRequest { counts: true, ..request }).await.map_err(NotRunnable::from)?;
        let key = format!("{} counted", runnable.code.key).into();
        Ok(Arc::new(Runnable { code: Code { key, image: built.image }, ..runnable.clone() }))
    }

    /// The image as it is in the code store, unless it is for an engine of another day, or not what the sandbox made.
    async fn kept_image(&self, tenant: TenantId, version: &VersionRecord) -> Result<Option<Image>, Error> {
        let kind = match version.config.runtime {
            // Known without reading it.
            Runtime::Javascript if version.engine_hash != self.sandbox.engine_hash() => return Ok(None),
            Runtime::Javascript => ImageKind::Snapshot,
            Runtime::Wasm => ImageKind::Machine,
        };
        let image = Image { kind, bytes: self.code.get(&version.image).await? };
        let bytes = image.bytes.len();
        let (sandbox, engine_hash) = (Arc::clone(&self.sandbox), version.engine_hash.clone());
        let accepted = move || sandbox.accepts(&image, &engine_hash, tenant).then_some(image);
        if bytes < BESIDE_BYTES_MIN {
            return Ok(accepted());
        }
        tokio::task::spawn_blocking(accepted).await.map_err(Error::internal)
    }

    /// Makes the image anew for the engine of today.
    async fn rebuild(
        &self,
        tenant: TenantId,
        version: &VersionRecord,
    ) -> Result<(Image, sublet_store::ObjectHash), NotRunnable> {
        let package = self.code.get(&version.package).await?;
        let built = match version.config.runtime {
            Runtime::Wasm => {
                let request = compile_request(tenant, &version.config, &package).map_err(Error::internal)?;
                self.sandbox.compile(request).await
            }
            Runtime::Javascript => {
                // A zip begins with its mark; everything else was uploaded as one file.
                let files = if package.starts_with(b"PK") {
                    open_zip(&package).map_err(Error::internal)?
                } else {
                    let (module, _) = version.config.handler_parts()?;
                    single_file(&package, module).map_err(Error::internal)?
                };
                let layers = self.layer_files(&version.layers).await?;
                self.sandbox.build(build_request(&version.config, files, layers)?).await
            }
        };
        let built = built.map_err(NotRunnable::from)?;
        let hash = self.code.put(built.image.bytes.clone()).await?;
        let (function, number) = (version.function, version.number);
        self.directory.replace_image(tenant, function, number, hash, built.engine_hash).await?;
        tracing::info!(function.id = %function, number, "the image of {function} version {number} was rebuilt");
        Ok((built.image, hash))
    }

    /// The files of layers at the versions that are frozen.
    pub(crate) async fn layer_files(&self, layers: &[(Name, u32)]) -> Result<Vec<(String, Vec<SourceFile>)>, Error> {
        let mut found = Vec::with_capacity(layers.len());
        for (name, number) in layers {
            let record = self.store.layer(name, Some(*number)).await?;
            let layer = record.ok_or_else(|| Error::not_found(format!("layer {name} version {number}")))?;
            let package = self.code.get(&layer.package).await?;
            found.push((name.to_string(), open_zip(&package).map_err(Error::internal)?));
        }
        Ok(found)
    }
}

pub(crate) fn compile_request(
    tenant: TenantId,
    config: &FunctionConfig,
    package: &bytes::Bytes,
) -> Result<CompileRequest, PackageError> {
    Ok(CompileRequest {
        tenant,
        module: module_of(package, &config.handler)?,
        memory_bytes: config.memory.0,
        counts: false,
        timeout: limit::COMPILE_TIMEOUT,
    })
}

pub(crate) fn build_request(
    config: &FunctionConfig,
    files: Vec<SourceFile>,
    layers: Vec<(String, Vec<SourceFile>)>,
) -> Result<BuildRequest, Error> {
    let (module, export) = config.handler_parts()?;
    // The rest of a large package, which no import can mean, need not be copied into a builder.
    let of_use = |files: Vec<SourceFile>| files.into_iter().filter(SourceFile::is_of_use).collect();
    Ok(BuildRequest {
        files: of_use(files),
        layers: layers.into_iter().map(|(name, files)| (name, of_use(files))).collect(),
        handler: (module.to_owned(), export.to_owned()),
        environment: config.environment.clone(),
        secret_names: config.secrets.keys().cloned().collect(),
        memory_bytes: config.memory.0,
        timeout: limit::BUILD_TIMEOUT,
    })
}
