//! A control group (version 2) for one installer: whatever is begun in it is in it, and
//! all of it ends at once, however fast it forks and whoever became its parent. There is
//! one where this user may make groups beside its own process: root mostly, others where
//! that was delegated to them. Else descent has to do.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::descent::{lines_of_numbers, own_id, ticks};

/// What groups are called, before a number.
const NAME: &str = "wpk-installer-";

/// The group.
#[derive(Debug)]
pub(crate) struct Group(PathBuf);

impl Group {
    /// Makes one beside the group of this process, and removes those of before in which
    /// nothing lives any more.
    ///
    /// # Errors
    /// Why there is none: for the log.
    pub(super) fn make() -> io::Result<(Self, PathBuf)> {
        let own = own()?;
        let mut beside = own.as_path();
        // A process that an installer began, this agent itself perhaps, is in its group.
        while let (true, Some(parent)) = (is_ours(beside), beside.parent()) {
            beside = parent;
        }
        for entry in fs::read_dir(beside)?.flatten() {
            if is_ours(&entry.path()) {
                // Refused where anything lives in it.
                let _ = fs::remove_dir(entry.path());
            }
        }
        // One of the same number may be left in which something lives.
        let begun = ticks(std::process::id()).unwrap_or_default();
        let folder = beside.join(format!("{NAME}{}-{begun}", own_id()));
        fs::create_dir(&folder)?;
        let group = Self(folder);
        if group.0.join("cgroup.kill").exists() {
            Ok((group, own))
        } else {
            Err(io::Error::other("the kernel cannot end a group as a whole"))
        }
    }

    /// The group at this path, which must be one that was made here.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let good = is_ours(path) && path.join("cgroup.kill").exists();
        good.then(|| Self(path.to_owned()))
    }

    /// Does `work` with this process in the group, so that what it begins is in it. The
    /// process must have no other thread that begins any.
    ///
    /// The error: this process cannot go there, or cannot come back. The group must not
    /// be ended then.
    pub(super) fn while_in<T>(&self, own: &Path, work: impl FnOnce() -> T) -> (T, io::Result<()>) {
        let went = go(&self.0);
        let done = work();
        (done, went.and_then(|()| go(own)))
    }

    /// Ends all that is in it, at once.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn kill(&self) -> io::Result<()> {
        fs::write(self.0.join("cgroup.kill"), "1")
    }

    /// What lives in it.
    pub(super) fn members(&self) -> Vec<i32> {
        lines_of_numbers(&self.0.join("cgroup.procs"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Where anything lives in it it stays, and the next one looks again.
        let _ = fs::remove_dir(&self.0);
    }
}

fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(NAME))
}

fn go(to: &Path) -> io::Result<()> {
    fs::write(to.join("cgroup.procs"), "0")
}

/// The group of this process.
fn own() -> io::Result<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let folder = folder(&groups, &mounts)
        .ok_or_else(|| io::Error::other("no control groups of version 2 are mounted"))?;
    if lines_of_numbers(&folder.join("cgroup.procs")).contains(&own_id()) {
        Ok(folder)
    } else {
        Err(io::Error::other(format!(
            "{} is not the control group of this process",
            folder.display()
        )))
    }
}

/// Where the group lies that `/proc/self/cgroup` names, with the mounts of
/// `/proc/self/mountinfo`.
fn folder(groups: &str, mounts: &str) -> Option<PathBuf> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        let inside = Path::new(group).strip_prefix(root).ok()?;
        // An odd name is written otherwise than it is.
        (!at.contains('\\')).then(|| Path::new(at).join(inside))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_below_its_mount() {
        let mounts = "19 40 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
            20 41 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        let find = |groups, mounts| folder(groups, mounts);
        let unit = "1:name=systemd:/x\n0::/system.slice/wpk-agent.service\n";
        let expected = "/sys/fs/cgroup/unified/system.slice/wpk-agent.service";
        assert_eq!(find(unit, mounts), Some(expected.into()));
        assert_eq!(
            find("0::/\n", mounts),
            Some("/sys/fs/cgroup/unified".into())
        );
        assert_eq!(find("1:name=systemd:/x\n", mounts), None);
        assert_eq!(find(unit, ""), None);
        let inner = "20 41 0:38 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(find("0::/a/b\n", inner), Some("/sys/fs/cgroup/b".into()));
        assert_eq!(find("0::/b\n", inner), None, "not below the mount");
    }
}
