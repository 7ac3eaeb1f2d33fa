//! Roles and what they include (RBAC, INCITS 359 §5.2).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::document::{ApiKeySection, RolesSection};
use crate::policy::CompileError;

/// The most roles.
const MAXIMUM_ROLES: usize = 256;

/// The longest chain of roles that include each other.
const MAXIMUM_DEPTH: usize = 16;

/// The longest name, in bytes.
const MAXIMUM_NAME_BYTES: usize = 128;

/// A compiled `roles` section.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// Whether the document says which roles there are.
    are_listed: bool,
    /// What each role includes at once.
    parents: BTreeMap<String, Vec<String>>,
    /// What each role includes, at once or through others; itself too.
    included: BTreeMap<String, BTreeSet<String>>,
}

impl Roles {
    pub(crate) fn compile(section: &RolesSection) -> Result<Self, CompileError> {
        if section.len() > MAXIMUM_ROLES {
            return Err(CompileError::new(
                "roles",
                format!("expected at most {MAXIMUM_ROLES} roles"),
            ));
        }
        for (name, role) in section {
            check_name(name, &format!("roles.{name}"))?;
            for (index, parent) in role.inherits.iter().enumerate() {
                let field = format!("roles.{name}.inherits[{index}]");
                if !section.contains_key(parent) {
                    let message = format!("unknown role `{parent}`, expected one of this section");
                    return Err(CompileError::new(field, message));
                }
                if role.inherits.iter().take(index).any(|other| other == parent) {
                    return Err(CompileError::new(
                        field,
                        "expected a role that is not listed before",
                    ));
                }
            }
        }
        let mut resolver = Resolver {
            section,
            path: Vec::new(),
            included: BTreeMap::new(),
            depths: BTreeMap::new(),
        };
        for name in section.keys() {
            resolver.resolve(name, &format!("roles.{name}"))?;
        }
        let included = resolver.included;
        let parents = section.iter().map(|(name, role)| (name.clone(), role.inherits.clone()));
        Ok(Self { are_listed: !section.is_empty(), parents: parents.collect(), included })
    }

    /// The roles that satisfy a wish for one of `wanted`: these, and all that include one of them.
    pub(super) fn that_include(&self, wanted: &[String]) -> BTreeSet<String> {
        let heirs =
            self.included.iter().filter(|(_, all)| wanted.iter().any(|role| all.contains(role)));
        heirs.map(|(name, _)| name).chain(wanted).cloned().collect()
    }

    /// Roles that the document asks for or gives must be among those that there are.
    pub(super) fn check_known(&self, names: &[String], field: &str) -> Result<(), CompileError> {
        for (index, name) in names.iter().enumerate() {
            let field = format!("{field}[{index}]");
            check_name(name, &field)?;
            if self.are_listed && !self.parents.contains_key(name) {
                let message = format!("unknown role `{name}`, expected one of the `roles` section");
                return Err(CompileError::new(field, message));
            }
        }
        Ok(())
    }

    /// The roles of the keys that stand in the document.
    pub(crate) fn check_api_keys(&self, section: &ApiKeySection) -> Result<(), CompileError> {
        let keys = section.keys.iter().enumerate();
        keys.into_iter().try_for_each(|(index, key)| {
            self.check_known(&key.roles, &format!("identity.api_keys.keys[{index}].roles"))
        })
    }

    /// How who has `held` has `wanted` too: the roles from the one to the other, both included.
    pub(super) fn chain(&self, held: &str, wanted: &str) -> Option<Vec<String>> {
        let mut seen = BTreeSet::from([held]);
        let mut queue = VecDeque::from([vec![held]]);
        while let Some(chain) = queue.pop_front() {
            let last = chain.last().copied()?;
            if last == wanted {
                return Some(chain.into_iter().map(str::to_owned).collect());
            }
            for parent in self.parents.get(last).into_iter().flatten() {
                if seen.insert(parent) {
                    queue.push_back([chain.as_slice(), &[parent]].concat());
                }
            }
        }
        None
    }
}

fn check_name(name: &str, field: &str) -> Result<(), CompileError> {
    if name.is_empty() || name.len() > MAXIMUM_NAME_BYTES || name.contains(char::is_control) {
        let message = format!("expected a role's name: 1 to {MAXIMUM_NAME_BYTES} bytes");
        return Err(CompileError::new(field, message));
    }
    Ok(())
}

/// Follows what roles inherit, each role once.
struct Resolver<'a> {
    section: &'a RolesSection,
    /// The roles on the way to the one that is looked at.
    path: Vec<&'a str>,
    included: BTreeMap<String, BTreeSet<String>>,
    depths: BTreeMap<&'a str, usize>,
}

impl<'a> Resolver<'a> {
    /// Answers how many roles the longest chain from `name` has. Goes no deeper than there are roles: one that is on
    /// its own way is an error.
    fn resolve(&mut self, name: &'a str, field: &str) -> Result<usize, CompileError> {
        if let Some(depth) = self.depths.get(name) {
            return Ok(*depth);
        }
        if let Some(begin) = self.path.iter().position(|other| *other == name) {
            let cycle: Vec<&str> = self.path.iter().skip(begin).copied().chain([name]).collect();
            let message = format!("a role cannot include itself: {}", cycle.join(" -> "));
            return Err(CompileError::new(field, message));
        }
        self.path.push(name);
        let mut all = BTreeSet::from([name.to_owned()]);
        let mut depth = 1;
        let section = self.section;
        let parents = section.get(name).map(|role| role.inherits.as_slice()).unwrap_or_default();
        for (index, parent) in parents.iter().enumerate() {
            let field = format!("roles.{name}.inherits[{index}]");
            depth = depth.max(self.resolve(parent, &field)?.saturating_add(1));
            if depth > MAXIMUM_DEPTH {
                let message = format!("expected a chain of at most {MAXIMUM_DEPTH} roles");
                return Err(CompileError::new(field, message));
            }
            all.extend(self.included.get(parent).into_iter().flatten().cloned());
        }
        self.path.pop();
        self.depths.insert(name, depth);
        self.included.insert(name.to_owned(), all);
        Ok(depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Role;

    fn roles(section: &[(&str, &[&str])]) -> Result<Roles, CompileError> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let section = section
            .iter()
            .map(|(name, inherits)| ((*name).to_owned(), Role { inherits: names(inherits) }));
        Roles::compile(&section.collect())
    }

    fn error(section: &[(&str, &[&str])]) -> String {
        roles(section).unwrap_err().to_string()
    }

    #[test]
    fn a_role_includes_what_it_inherits_and_no_more() {
        let roles = roles(&[
            ("caller", &[]),
            ("auditor", &["caller"]),
            ("operator", &["caller"]),
            ("admin", &["auditor", "operator"]),
        ])
        .unwrap();
        let that_include = |wanted: &str| -> Vec<String> {
            roles.that_include(&[wanted.to_owned()]).into_iter().collect()
        };
        assert_eq!(that_include("caller"), ["admin", "auditor", "caller", "operator"]);
        assert_eq!(that_include("operator"), ["admin", "operator"]);
        assert_eq!(that_include("admin"), ["admin"]);
        assert_eq!(roles.chain("admin", "caller").unwrap(), ["admin", "auditor", "caller"]);
        assert_eq!(roles.chain("caller", "caller").unwrap(), ["caller"]);
        assert_eq!(roles.chain("caller", "admin"), None);
    }

    #[test]
    fn without_a_section_a_role_is_itself() {
        let roles = roles(&[]).unwrap();
        assert_eq!(roles.that_include(&["a".to_owned()]), BTreeSet::from(["a".to_owned()]));
        assert!(roles.check_known(&["a".to_owned()], "authorisation.roles").is_ok());
    }

    #[test]
    fn errors_name_the_cycle_and_the_unknown() {
        assert_eq!(
            error(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]),
            "roles.c.inherits[0]: a role cannot include itself: b -> c -> b"
        );
        assert_eq!(
            error(&[("a", &["a"])]),
            "roles.a.inherits[0]: a role cannot include itself: a -> a"
        );
        assert_eq!(
            error(&[("a", &[]), ("b", &["a", "A"])]),
            "roles.b.inherits[1]: unknown role `A`, expected one of this section"
        );
        assert!(error(&[("a", &[]), ("b", &["a", "a"])]).starts_with("roles.b.inherits[1]: "));
        assert!(error(&[("", &[])]).contains("expected a role's name"));
        let error =
            roles(&[("a", &[])]).unwrap().check_known(&["A".to_owned()], "authorisation.roles");
        assert_eq!(error.unwrap_err().field, "authorisation.roles[0]");
    }

    #[test]
    fn roles_are_bounded_and_a_lattice_takes_no_time() {
        let chain = |length: usize| {
            let role = |index: usize| match index {
                0 => Role::default(),
                // Each inherits all before it that the bound allows: 2^length ways lead to the first.
                _ => Role { inherits: (0..index).map(|index| format!("r{index:03}")).collect() },
            };
            Roles::compile(
                &(0..length).map(|index| (format!("r{index:03}"), role(index))).collect(),
            )
        };
        assert!(chain(MAXIMUM_DEPTH).is_ok());
        assert!(chain(MAXIMUM_DEPTH + 1).unwrap_err().message.contains("at most 16"));
        let flat = |count| {
            Roles::compile(
                &(0..count).map(|index| (format!("r{index}"), Role::default())).collect(),
            )
        };
        assert!(flat(MAXIMUM_ROLES).is_ok());
        assert_eq!(flat(MAXIMUM_ROLES + 1).unwrap_err().field, "roles");
    }
}
