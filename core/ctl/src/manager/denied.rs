//! Who may open a socket that one may not open oneself: said as far as the rights of the
//! path show it.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What whoever was not let in has to do.
pub(crate) fn advice(socket: &Path) -> String {
    let Some((barrier, rights)) = barrier(socket) else {
        return "ask for it as root or as a member of the socket's group".to_owned();
    };
    if lets_us_in(&rights) {
        return format!(
            "the rights of {} would let this user in, so that something else does not: ask as root",
            barrier.display()
        );
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    Denied {
        // A socket is written to, a folder entered.
        group_may: rights.permissions().mode() & if rights.is_dir() { 0o010 } else { 0o020 } != 0,
        is_socket: !rights.is_dir(),
        owner: name_of(&users, rights.uid()),
        group: name_of(&groups, rights.gid()),
        user: name_of(&users, rustix::process::geteuid().as_raw()),
        barrier: &barrier,
        groups: &groups,
    }
    .advice()
}

/// Whether it is ours or our group's, as far as numbers tell.
fn lets_us_in(rights: &Metadata) -> bool {
    use rustix::process::{getegid, geteuid, getgroups};
    let (wanted, mode) = (
        if rights.is_dir() { 1 } else { 2 },
        rights.permissions().mode(),
    );
    if rights.uid() == geteuid().as_raw() {
        return mode & (wanted << 6) != 0;
    }
    let ours = getgroups().unwrap_or_default();
    let is_ours = |gid: &rustix::process::Gid| gid.as_raw() == rights.gid();
    ours.iter().chain([&getegid()]).any(is_ours) && mode & (wanted << 3) != 0
}

/// The first on the way to the socket that keeps us out: the last that can be seen.
fn barrier(socket: &Path) -> Option<(PathBuf, Metadata)> {
    let seen = |path: &Path| Some((path.to_owned(), path.metadata().ok()?));
    socket.ancestors().find_map(seen)
}

/// The name of an id in `/etc/passwd` or `/etc/group`.
fn name_of(file: &str, id: u32) -> Result<String, u32> {
    let mut lines = file.lines().map(|line| line.split(':'));
    let found = lines.find_map(|mut fields| {
        let name = fields.next()?;
        let is_it = fields.nth(1)?.parse() == Ok(id);
        is_it.then(|| name.to_owned())
    });
    found.ok_or(id)
}

struct Denied<'a> {
    barrier: &'a Path,
    is_socket: bool,
    group_may: bool,
    owner: Result<String, u32>,
    group: Result<String, u32>,
    user: Result<String, u32>,
    groups: &'a str,
}

impl Denied<'_> {
    fn advice(&self) -> String {
        let shown = |name: &Result<String, u32>| match name {
            Ok(name) => name.clone(),
            Err(id) => format!("number {id}"),
        };
        let what = match self.is_socket {
            true => "it".to_owned(),
            false => format!("the folder {}", self.barrier.display()),
        };
        let (owner, group) = (shown(&self.owner), shown(&self.group));
        if !self.group_may {
            return format!(
                "{what} belongs to user {owner}, and its mode lets no group in: ask as that user \
                 or as root"
            );
        }
        let belongs = format!("{what} is open to the group {group}");
        // Whose group root's is may read what nobody else does.
        if self.group.as_deref() == Ok("root") {
            return format!(
                "{belongs}, which nobody is to join: ask as root, or give the socket a group of \
                 its own (`group` of the unix-socket source)"
            );
        }
        let (Ok(group), Ok(user)) = (&self.group, &self.user) else {
            return format!("{belongs}: join that group and log in again, or ask as root");
        };
        if self.has_joined(group, user) {
            return format!(
                "{belongs}, which {user} has joined: log in again, or ask in `newgrp {group}`"
            );
        }
        format!(
            "{belongs}: join it with `sudo usermod -aG {group} {user}` and log in again, or ask \
             as root"
        )
    }

    /// Whether the user is a member, although this process is not.
    fn has_joined(&self, group: &str, user: &str) -> bool {
        self.groups.lines().any(|line| {
            let mut fields = line.split(':');
            let members = (fields.next() == Some(group))
                .then(|| fields.nth(2))
                .flatten();
            members.is_some_and(|members| members.split(',').any(|member| member == user))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(is_socket: bool, group_may: bool, group: Result<&str, u32>) -> String {
        Denied {
            barrier: Path::new("/var/lib/wpkd"),
            is_socket,
            group_may,
            owner: Ok("wpkd".into()),
            group: group.map(str::to_owned),
            user: Ok("eve".into()),
            groups: "root:x:0:\nwpkd:x:990:adam\nops:x:991:adam,eve\n",
        }
        .advice()
    }

    #[test]
    fn the_group_to_join_is_named_where_the_rights_show_it() {
        let join = "join it with `sudo usermod -aG wpkd eve` and log in again, or ask as root";
        assert_eq!(
            told(true, true, Ok("wpkd")),
            format!("it is open to the group wpkd: {join}")
        );
        assert_eq!(
            told(false, true, Ok("wpkd")),
            format!("the folder /var/lib/wpkd is open to the group wpkd: {join}")
        );
        let joined = told(true, true, Ok("ops"));
        assert!(
            joined.contains("log in again, or ask in `newgrp ops`"),
            "{joined}"
        );
        let nameless = told(true, true, Err(4_711));
        assert!(
            nameless.contains("the group number 4711: join that group"),
            "{nameless}"
        );
        let roots = told(true, true, Ok("root"));
        assert!(roots.contains("nobody is to join"), "{roots}");
        assert!(!roots.contains("usermod"), "{roots}");
        let closed = told(true, false, Ok("wpkd"));
        assert!(closed.contains("ask as that user or as root"), "{closed}");
        assert!(!closed.contains("usermod"), "{closed}");
    }

    #[test]
    fn names_are_found_by_their_number() {
        let file = "root:x:0:0::/root:/bin/sh\nwpkd:x:990:990::/:/bin/false\nbroken\n";
        assert_eq!(name_of(file, 990), Ok("wpkd".into()));
        assert_eq!(name_of(file, 7), Err(7));
    }

    #[test]
    fn the_last_that_can_be_seen_keeps_us_out() {
        let dir = tempfile::tempdir().unwrap();
        let (found, rights) = barrier(&dir.path().join("queue/tasks/upgrade")).unwrap();
        assert_eq!(found, dir.path());
        assert!(rights.is_dir());
    }
}
