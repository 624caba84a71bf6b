//! Rules, compiled: the operator's in one matcher, each tenant's in its own, so that an event never meets the rules of
//! another tenant.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};

use sublet_model::{Error, Name, RuleSpec, TenantId, Transform, event::SOURCE_SUBLET, limit};
use sublet_pattern::{EventView, Pattern, RuleSet};
use sublet_store::RuleRecord;

use super::Directory;

/// A rule ready to match.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) record: RuleRecord,
    pub(crate) pattern: Arc<Pattern>,
    /// Its pattern names the source `sublet` literally; otherwise it never sees a result event.
    pub(crate) sees_results: bool,
    /// Each target's, in the targets' order.
    pub(crate) transforms: Vec<Option<Transform>>,
}

/// What of a rule is compiled.
struct Compiled {
    pattern: Pattern,
    transforms: Vec<Option<Transform>>,
}

#[derive(Debug, Default)]
pub(crate) struct RuleBook {
    owners: HashMap<Option<TenantId>, Owned>,
}

#[derive(Debug, Default)]
struct Owned {
    /// The enabled ones.
    matcher: RuleSet<Name>,
    by_name: BTreeMap<Name, Arc<Rule>>,
}

impl RuleBook {
    fn insert(&mut self, record: RuleRecord, compiled: Compiled) {
        let owned = self.owners.entry(record.owner).or_default();
        let pattern = Arc::new(compiled.pattern);
        if record.spec.enabled {
            owned.matcher.insert(record.name.clone(), Arc::clone(&pattern));
        } else {
            owned.matcher.remove(&record.name);
        }
        let sees_results = pattern.names_source(SOURCE_SUBLET);
        let transforms = compiled.transforms;
        owned.by_name.insert(record.name.clone(), Arc::new(Rule { record, pattern, sees_results, transforms }));
    }

    fn remove(&mut self, owner: Option<TenantId>, name: &Name) {
        let Some(owned) = self.owners.get_mut(&owner) else { return };
        owned.matcher.remove(name);
        owned.by_name.remove(name);
        if owned.by_name.is_empty() {
            self.owners.remove(&owner);
        }
    }

    /// The rules that an event of this tenant leads to: the operator's first, then the tenant's own.
    pub(crate) fn matching(&self, event: &EventView<'_>, tenant: TenantId, is_result: bool) -> Vec<Arc<Rule>> {
        let mut found = Vec::new();
        for owner in [None, Some(tenant)] {
            let Some(owned) = self.owners.get(&owner) else { continue };
            owned.matcher.for_each_match(event, |name, _| {
                if let Some(rule) = owned.by_name.get(name)
                    && (rule.sees_results || !is_result)
                {
                    found.push(Arc::clone(rule));
                }
            });
        }
        found
    }

    /// One owner's rules, by name.
    pub(crate) fn of(&self, owner: Option<TenantId>) -> impl Iterator<Item = &Arc<Rule>> {
        self.owners.get(&owner).into_iter().flat_map(|owned| owned.by_name.values())
    }

    fn count(&self, owner: Option<TenantId>) -> usize {
        self.owners.get(&owner).map_or(0, |owned| owned.by_name.len())
    }
}

impl Directory {
    /// Looks at the rules. They are locked meanwhile, so `look` must be short and must not wait.
    pub(crate) fn with_rules<T>(&self, look: impl FnOnce(&RuleBook) -> T) -> T {
        look(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change_rules(&self, change: impl FnOnce(&mut RuleBook)) {
        change(&mut self.rules.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// A rule as it is in force.
    pub fn rule(&self, owner: Option<TenantId>, name: &Name) -> Option<RuleRecord> {
        self.with_rules(|book| book.owners.get(&owner)?.by_name.get(name).map(|rule| rule.record.clone()))
    }

    /// One owner's rules, by name.
    pub fn rules(&self, owner: Option<TenantId>) -> Vec<RuleRecord> {
        self.with_rules(|book| book.of(owner).map(|rule| rule.record.clone()).collect())
    }

    /// Makes or replaces; `true` when it was made. `owner`: the tenant whose rule it is, `None` for the operator's.
    /// Errors: `Invalid` with the field; `Conflict` past the most rules.
    pub async fn put_rule(
        &self,
        owner: Option<(TenantId, &Name)>,
        name: &Name,
        spec: RuleSpec,
    ) -> Result<(RuleRecord, bool), Error> {
        spec.validate(owner.map(|(_, tenant)| tenant))?;
        let compiled = compiled(&spec)?;
        let id = owner.map(|(id, _)| id);
        let most = if id.is_some() { limit::RULES_PER_TENANT_MAX } else { limit::RULES_OPERATOR_MAX };
        if self.rule(id, name).is_none() && self.with_rules(|book| book.count(id)) >= most {
            return Err(Error::conflict(format!("there are {most} rules, the most there may be")));
        }
        let now = self.clock.now();
        self.write(self.store.put_rule(id, name, spec, now), |directory, (record, _)| {
            directory.change_rules(|book| book.insert(record.clone(), compiled));
        })
        .await
    }

    pub async fn delete_rule(&self, owner: Option<TenantId>, name: &Name) -> Result<(), Error> {
        self.write(self.store.delete_rule(owner, name), |directory, ()| {
            directory.change_rules(|book| book.remove(owner, name));
        })
        .await
    }

    pub(super) fn forget_rules_of(&self, tenant: TenantId) {
        self.change_rules(|book| {
            book.owners.remove(&Some(tenant));
        });
    }

    /// Everybody's, from the store.
    pub(super) async fn read_rules(&self) -> Result<(), Error> {
        let mut book = RuleBook::default();
        for record in self.store.all_rules().await? {
            match compiled(&record.spec) {
                Ok(compiled) => book.insert(record, compiled),
                // It was checked when it was put; a stricter parser since must not keep the rest from starting.
                Err(error) => tracing::error!(rule.id = %record.id, %error, "rule {} is not in force", record.id),
            }
        }
        self.change_rules(|current| *current = book);
        Ok(())
    }
}

fn compiled(spec: &RuleSpec) -> Result<Compiled, Error> {
    let pattern = Pattern::parse(spec.pattern.get()).map_err(|error| Error::invalid("pattern", error.to_string()))?;
    let transforms = spec.targets.iter().enumerate().map(|(index, target)| {
        target.transformer.as_ref().map(|own| own.compile(&format!("targets/{index}/transformer"))).transpose()
    });
    Ok(Compiled { pattern, transforms: transforms.collect::<Result<_, _>>()? })
}
