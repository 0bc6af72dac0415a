//! The rules that bwrap enforces, and the silent traps that it does not, answered before launch.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::path::Component;

use super::environment::valid_name;
use super::identity::MAX_RANGES;
use super::invalid::{Invalid, MAX_FILTER, Place, Problem};
use super::{
    CapabilityChange, Content, ContentKind, Descriptor, EnvironmentChange, IdRange, Inherit, Namespaces,
    Operation, Overlay, OverlayKind, Sandbox,
};

type Check = Result<(), Problem>;

impl Sandbox {
    /// Checks what can be checked without looking at the host. Every launch does this first.
    ///
    /// # Errors
    ///
    /// The first part of the description that cannot work, and why.
    ///
    /// ```
    /// use bwrap_launch::{Problem, Sandbox};
    /// let error = Sandbox::new().ro_bind("/usr", "").check().unwrap_err();
    /// assert_eq!(error.problem, Problem::Empty("destination"));
    /// let start = "operation 1 (read-only bind on \"\"): its destination is empty";
    /// assert!(error.to_string().starts_with(start));
    /// ```
    pub fn check(&self) -> Result<(), Invalid> {
        for (index, operation) in self.operations.iter().enumerate() {
            check_operation(operation)
                .map_err(|problem| Invalid::new(Place::operation(index, operation), problem))?;
        }
        self.check_namespaces().map_err(|problem| Invalid::new(Place::Namespaces, problem))?;
        self.check_identity().map_err(|problem| Invalid::new(Place::Identity, problem))?;
        self.check_privileges().map_err(|problem| Invalid::new(Place::Privileges, problem))?;
        for (index, filter) in self.privileges.filters.iter().enumerate() {
            check_filter(&filter.program).map_err(|problem| Invalid::new(Place::Filter(index), problem))?;
        }
        self.check_environment()?;
        self.check_lifetime().map_err(|problem| Invalid::new(Place::Lifetime, problem))?;
        if let Some(directory) = &self.current_dir {
            text("path", directory.as_os_str())
                .map_err(|problem| Invalid::new(Place::CurrentDir, problem))?;
        }
        self.check_readers()
    }

    fn check_namespaces(&self) -> Check {
        let namespaces = &self.namespaces;
        if namespaces.share_net && namespaces.unshare.contains(Namespaces::NET) {
            return Err(Problem::NetworkSharedAndNot);
        }
        let new_user = Namespaces::USER | Namespaces::USER_TRY | Namespaces::ALL;
        if namespaces.join_user.is_some() && namespaces.unshare.intersects(new_user) {
            return Err(Problem::JoinedAndNewUserNamespace);
        }
        if self.privileges.disable_userns && !namespaces.new_user() {
            return Err(Problem::NeedsUserNamespace("disable_userns"));
        }
        [&namespaces.join_user, &namespaces.join_user2, &namespaces.join_pid]
            .into_iter()
            .flatten()
            .try_for_each(number)
    }

    fn check_identity(&self) -> Check {
        let identity = &self.identity;
        for id in [identity.uid, identity.gid].into_iter().flatten() {
            if i32::try_from(id).is_err() {
                return Err(Problem::Id(id));
            }
        }
        if let Some(name) = &identity.hostname {
            no_nul("host name", name)?;
            if name.len() > 64 {
                return Err(Problem::HostnameTooLong(name.len()));
            }
            if !self.namespaces.new_uts() {
                return Err(Problem::HostnameNeedsUts);
            }
        }
        if identity.mapped() {
            if !self.namespaces.new_user() {
                return Err(Problem::NeedsUserNamespace("an id map"));
            }
            if self.privileges.disable_userns {
                return Err(Problem::Conflict("an id map", "disable_userns"));
            }
            // bwrap leaves the maps to the launcher then, so --uid and --gid would have no effect
            if identity.uid.is_some() || identity.gid.is_some() {
                return Err(Problem::Conflict("uid or gid", "an id map"));
            }
            check_ranges("user", &identity.uid_map)?;
            check_ranges("group", &identity.gid_map)?;
        }
        Ok(())
    }

    fn check_privileges(&self) -> Check {
        for label in [&self.privileges.exec_label, &self.privileges.file_label].into_iter().flatten() {
            text("label", label)?;
        }
        self.debug_options.iter().try_for_each(|key| text("debug option", key))
    }

    fn check_environment(&self) -> Result<(), Invalid> {
        let inherited = match &self.environment.inherit {
            Inherit::Only(names) => names.as_slice(),
            Inherit::Nothing | Inherit::Everything => &[],
        };
        let names = inherited.iter().map(OsString::as_os_str);
        for name in names.chain(self.environment.changes.iter().map(EnvironmentChange::name)) {
            check_name(name)
                .map_err(|problem| Invalid::new(Place::Variable(name.display().to_string()), problem))?;
        }
        for change in &self.environment.changes {
            if let EnvironmentChange::Set { name, value } = change {
                no_nul("value", &value.text)
                    .map_err(|problem| Invalid::new(Place::Variable(name.display().to_string()), problem))?;
            }
        }
        Ok(())
    }

    fn check_lifetime(&self) -> Check {
        let lifetime = &self.lifetime;
        if lifetime.as_pid_1 {
            if !self.namespaces.new_pid() {
                return Err(Problem::NeedsPidNamespace("as_pid_1"));
            }
            if !lifetime.lock_files.is_empty() {
                return Err(Problem::Conflict("as_pid_1", "lock_file"));
            }
            // as process 1, the command itself would inherit the sync descriptor
            if !lifetime.sync_fds.is_empty() {
                return Err(Problem::Conflict("as_pid_1", "sync_fd"));
            }
        }
        // without one, bwrap ends with status 1, as if the command had, while the command runs on
        if !lifetime.lock_files.is_empty() && !self.namespaces.new_pid() {
            return Err(Problem::NeedsPidNamespace("lock_file"));
        }
        lifetime.lock_files.iter().try_for_each(|path| text("lock file", path.as_os_str()))?;
        lifetime.sync_fds.iter().chain(&lifetime.info_fd).try_for_each(number)
    }

    /// No descriptor may be read twice.
    fn check_readers(&self) -> Result<(), Invalid> {
        let mut seen: HashMap<RawFd, Place> = HashMap::new();
        for (place, content) in self.readers() {
            let Some(descriptor) = content.descriptor() else { continue };
            number(descriptor).map_err(|problem| Invalid::new(place.clone(), problem))?;
            match seen.entry(descriptor.current_number()) {
                Entry::Occupied(first) => {
                    return Err(Invalid::new(
                        place,
                        Problem::DescriptorReused { first: first.get().to_string() },
                    ));
                }
                Entry::Vacant(free) => {
                    free.insert(place);
                }
            }
        }
        Ok(())
    }

    /// Everything that bwrap reads from a descriptor, with its place.
    pub(crate) fn readers(&self) -> impl Iterator<Item = (Place, &Content)> {
        let operations = self.operations.iter().enumerate().filter_map(|(index, operation)| {
            let content = match operation {
                Operation::File(file) => &file.content,
                Operation::BindData(data) => &data.content,
                _ => return None,
            };
            Some((Place::operation(index, operation), content))
        });
        let filters = self.privileges.filters.iter().enumerate();
        operations.chain(filters.map(|(index, filter)| (Place::Filter(index), &filter.program)))
    }

    /// The rules that depend on who launches: `uid` and `gid` are the caller's, `has` says which capabilities it hands
    /// on, `user_namespaces` whether bwrap makes a user namespace where it may also go without.
    pub(crate) fn check_for(
        &self,
        uid: u32,
        gid: u32,
        has: impl Fn(super::Capability) -> bool,
        user_namespaces: impl Fn() -> bool,
    ) -> Result<(), Invalid> {
        let identity = &self.identity;
        for (kind, map, id) in [("user", &identity.uid_map, uid), ("group", &identity.gid_map, gid)] {
            let covers = |range: &IdRange| id >= range.outside && id - range.outside < range.count;
            if !map.is_empty() && !map.iter().any(covers) {
                return Err(Invalid::new(Place::Identity, Problem::IdUnmapped { kind, id }));
            }
        }
        if uid != 0 {
            return Ok(());
        }
        let changes_id = identity.uid.is_some_and(|wanted| wanted != uid)
            || identity.gid.is_some_and(|wanted| wanted != gid);
        if changes_id && !self.namespaces.any_user() {
            return Err(Invalid::new(Place::Identity, Problem::IdNeedsUserNamespace));
        }
        // inside its own user namespace bwrap has every capability
        if self.privileges.capabilities.is_empty()
            || self.namespaces.new_user()
            || self.namespaces.join_user.is_some()
            || self.namespaces.any_user() && user_namespaces()
        {
            return Ok(());
        }
        let mut wanted = Vec::new();
        for change in &self.privileges.capabilities {
            match *change {
                CapabilityChange::AddAll => {
                    return Err(Invalid::new(Place::Privileges, Problem::CapAddAllAsRoot));
                }
                CapabilityChange::Add(capability) => wanted.push(capability),
                CapabilityChange::Drop(capability) => wanted.retain(|other| *other != capability),
                CapabilityChange::DropAll => wanted.clear(),
            }
        }
        match wanted.into_iter().find(|capability| !has(*capability)) {
            Some(missing) => {
                Err(Invalid::new(Place::Privileges, Problem::CapabilityMissing(missing.to_string())))
            }
            None => Ok(()),
        }
    }
}

fn check_operation(operation: &Operation) -> Check {
    for (what, value) in operation.texts() {
        text(what, value)?;
    }
    if operation.destination().components().any(|part| part == Component::ParentDir) {
        return Err(Problem::ParentDir);
    }
    let (mode, size) = match operation {
        Operation::Tmpfs(o) => (o.mode, o.size),
        Operation::Dir(o) => (o.mode, None),
        Operation::File(o) => (o.mode, None),
        Operation::BindData(o) => (o.mode, None),
        Operation::Chmod(o) => (Some(o.mode), None),
        Operation::Overlay(overlay) => return check_layers(overlay),
        Operation::BindFd(o) => return number(&o.descriptor),
        _ => (None, None),
    };
    if let Some(mode) = mode.filter(|mode| *mode > 0o7777) {
        return Err(Problem::Mode(mode));
    }
    // a tmpfs gets these bits from its mount options, and a chmod sets them: neither loses them
    let creates = matches!(operation, Operation::Dir(_) | Operation::File(_) | Operation::BindData(_));
    if let Some(mode) = mode.filter(|mode| creates && mode & 0o6000 != 0) {
        return Err(Problem::SpecialMode(mode));
    }
    match size {
        Some(size) if size == 0 || usize::try_from(size).map_or(true, |size| size > usize::MAX / 2) => {
            Err(Problem::Size(size))
        }
        _ => Ok(()),
    }
}

fn check_layers(overlay: &Overlay) -> Check {
    let needed = if overlay.kind == OverlayKind::ReadOnly { 2 } else { 1 };
    let given = overlay.layers.len();
    if given < needed { Err(Problem::TooFewLayers { given, needed }) } else { Ok(()) }
}

fn check_filter(program: &Content) -> Check {
    match &program.0 {
        ContentKind::Bytes { bytes, .. } => check_filter_size(bytes.len()),
        ContentKind::Descriptor(_) => Ok(()),
    }
}

pub(crate) fn check_filter_size(size: usize) -> Check {
    if size != 0 && size.is_multiple_of(8) && size <= MAX_FILTER {
        Ok(())
    } else {
        Err(Problem::FilterSize(size))
    }
}

fn check_ranges(kind: &'static str, ranges: &[IdRange]) -> Check {
    if ranges.is_empty() {
        return Err(Problem::IdMapIncomplete(kind));
    }
    let bytes = ranges.iter().map(|range| range.line().len()).sum();
    if ranges.len() > MAX_RANGES || bytes >= rustix::param::page_size() {
        return Err(Problem::IdMapTooLong { kind, ranges: ranges.len(), bytes });
    }
    for (index, range) in ranges.iter().enumerate() {
        let fits = |first: u32| first.checked_add(range.count).is_some();
        if range.count == 0 || !fits(range.inside) || !fits(range.outside) {
            return Err(Problem::IdRange(*range));
        }
        for other in ranges.iter().take(index) {
            if range.overlaps(other, |r| r.inside) || range.overlaps(other, |r| r.outside) {
                return Err(Problem::IdRangesOverlap(*other, *range));
            }
        }
    }
    Ok(())
}

/// A string that becomes a word of its own and must not be empty.
pub(crate) fn text(what: &'static str, value: &OsStr) -> Check {
    if value.is_empty() {
        return Err(Problem::Empty(what));
    }
    no_nul(what, value)
}

pub(crate) fn no_nul(what: &'static str, value: &OsStr) -> Check {
    if value.as_encoded_bytes().contains(&0) { Err(Problem::Nul(what)) } else { Ok(()) }
}

fn check_name(name: &OsStr) -> Check {
    no_nul("name", name)?;
    if valid_name(name) { Ok(()) } else { Err(Problem::VariableName) }
}

fn number(descriptor: &Descriptor) -> Check {
    match descriptor.given_number() {
        Some(number) if number < 0 => Err(Problem::DescriptorNumber(number)),
        _ => Ok(()),
    }
}
