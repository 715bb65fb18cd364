//! Becoming another user, for good: either every identity of the process is the new one and none
//! can be had back, or the start fails.
//!
//! The tables of users and groups are read here instead of by the C library, so that the static
//! binary needs none at run time and an empty container needs no tables at all
//! (`--user 1000:1000`).

use std::fs;
use std::path::Path;

use rustix::process::{Gid, Uid, getegid, geteuid, getgid, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// A user to become.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SystemUser {
    /// As it was given.
    pub(crate) name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl SystemUser {
    /// Finds a user: `NAME`, `UID`, or either with `:GROUP`, by name or number, behind it. Must be
    /// called before the walls are raised.
    ///
    /// # Errors
    /// One line for the user, if there is no such user or group, or it is root.
    pub fn find(spec: &str) -> Result<Self, String> {
        let read = |path| {
            let bytes = fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self::find_in(spec, &read("/etc/passwd"), &read("/etc/group"))
            .map_err(|why| format!("cannot run as user {spec}: {why}"))
    }

    fn find_in(spec: &str, passwd: &str, group: &str) -> Result<Self, &'static str> {
        let (user, wanted) = match spec.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (spec, None),
        };
        // A name goes before a number, as everywhere.
        let entry = records::<4>(passwd)
            .find(|[name, ..]| *name == user)
            .or_else(|| records(passwd).find(|[_, _, uid, _]| *uid == user));
        let uid = id(entry.map_or(user, |[_, _, uid, _]| uid))
            .ok_or("there is no such user in /etc/passwd (try its numbers, as in 1000:1000)")?;
        let gid = match (wanted, entry) {
            (Some(wanted), _) => {
                let found = records::<3>(group).find(|[name, ..]| *name == wanted);
                id(found.map_or(wanted, |[_, _, gid]| gid))
            }
            (None, Some([_, _, _, gid])) => id(gid),
            (None, None) => {
                return Err("a number that is not in /etc/passwd needs a group, as in 1000:1000");
            }
        };
        let gid = gid.ok_or("there is no such group in /etc/group (try its number)")?;
        if uid == 0 {
            return Err("that is root (name a user without privileges)");
        }
        let mut groups = vec![Gid::from_raw(gid)];
        if let Some([name, ..]) = entry {
            for [_, _, gid, members] in records(group) {
                if let Some(gid) = id(gid).map(Gid::from_raw)
                    && members.split(',').any(|member| member == name)
                    && !groups.contains(&gid)
                {
                    groups.push(gid);
                }
            }
        }
        Ok(Self {
            name: spec.to_owned(),
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
            groups,
        })
    }

    /// Gives this user the socket that root has made for it at `path`. A link is not followed.
    pub fn own(&self, path: &Path) -> Result<(), String> {
        if !geteuid().is_root() {
            return Ok(());
        }
        let (uid, gid) = (self.uid.as_raw(), self.gid.as_raw());
        std::os::unix::fs::lchown(path, Some(uid), Some(gid)).map_err(|e| {
            let (path, name) = (path.display(), &self.name);
            format!("cannot give {path} to user {name}: {e} (try another folder for it)")
        })
    }

    /// Becomes this user, and makes sure that there is no way back. The process must have one
    /// thread: Linux keeps identities by thread.
    ///
    /// # Errors
    /// One line for the user. The process must then end: it may be half this user, half root.
    pub fn become_it(&self) -> Result<(), String> {
        let failed = |what: &str| format!("cannot run as user {}: {what}", self.name);
        if !geteuid().is_root() {
            if [getuid(), geteuid()] == [self.uid; 2] {
                return Ok(());
            }
            let why = "only root can become another user (start as root, or without --user)";
            return Err(failed(why));
        }
        // Groups first and the user last: each step needs the power that the last one gives up.
        set_thread_groups(&self.groups).map_err(|e| failed(&format!("setgroups: {e}")))?;
        set_thread_res_gid(self.gid, self.gid, self.gid)
            .map_err(|e| failed(&format!("setresgid: {e}")))?;
        set_thread_res_uid(self.uid, self.uid, self.uid)
            .map_err(|e| failed(&format!("setresuid: {e}")))?;
        let is_changed =
            [getuid(), geteuid()] == [self.uid; 2] && [getgid(), getegid()] == [self.gid; 2];
        // A capability that survived (securebits, odd containers) would let one of these succeed.
        let may_return = set_thread_res_uid(None, Uid::ROOT, None).is_ok()
            || (self.gid != Gid::ROOT && set_thread_res_gid(None, Gid::ROOT, None).is_ok())
            || set_thread_groups(&[Gid::ROOT]).is_ok();
        if !is_changed || may_return {
            return Err(failed("root could be had back afterwards"));
        }
        Ok(())
    }
}

/// What to tell a user who starts idler as root and names no user to become.
pub fn warning_for_root(user: Option<&SystemUser>) -> Option<&'static str> {
    (user.is_none() && geteuid().is_root())
        .then_some("running as root (try --user NAME: root is given up once the port is bound)")
}

/// The first `N` fields of a table's records, which are separated by colons. Shorter records are
/// left out.
fn records<const N: usize>(table: &str) -> impl Iterator<Item = [&str; N]> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        fields.first_chunk().copied()
    })
}

/// A user's or group's number. The greatest means "leave it as it is" to the kernel, so it is
/// no user at all.
fn id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# comment:x:5:5::\nbroken\n\
        www:x:33:33:www:/var/www:/bin/false\nodd:x:nine:9::/:\n1000:x:77:78::/:\n\
        last:x:4294967295:1::/:\n";
    const GROUP: &str =
        "root:x:0:\nwww:x:33:\nadm:x:4:other,www\nssl:x:110:www\nwwwx:x:111:wwww\nbad:x:x:www\n";

    fn find(spec: &str) -> Result<(u32, u32, Vec<u32>), &'static str> {
        SystemUser::find_in(spec, PASSWD, GROUP).map(|user| {
            let groups = user.groups.iter().map(|gid| gid.as_raw()).collect();
            (user.uid.as_raw(), user.gid.as_raw(), groups)
        })
    }

    #[test]
    fn a_user_comes_with_all_its_groups() {
        assert_eq!(find("www"), Ok((33, 33, vec![33, 4, 110])));
        assert_eq!(find("33"), Ok((33, 33, vec![33, 4, 110])));
        assert_eq!(find("www:adm"), Ok((33, 4, vec![4, 110])));
        assert_eq!(find("www:5000"), Ok((33, 5000, vec![5000, 4, 110])));
        // A name goes before a number, as everywhere.
        assert_eq!(find("1000"), Ok((77, 78, vec![78])));
    }

    #[test]
    fn numbers_need_no_tables() {
        let user = SystemUser::find_in("65534:65534", "", "").unwrap();
        assert_eq!((user.uid.as_raw(), user.gid.as_raw()), (65534, 65534));
        assert_eq!(user.name, "65534:65534");
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for (spec, why) in [
            ("nobody-here", "no such user"),
            ("", "no such user"),
            ("-1:1", "no such user"),
            ("+5:5", "no such user"),
            ("4294967295:1", "no such user"),
            ("4294967296:1", "no such user"),
            ("odd", "no such user"),
            ("last", "no such user"),
            ("12345", "needs a group"),
            ("www:none", "no such group"),
            ("www:4294967295", "no such group"),
            ("root", "that is root"),
            ("0", "that is root"),
            ("0:33", "that is root"),
        ] {
            let text = find(spec).unwrap_err();
            assert!(text.contains(why), "{spec}: {text}");
        }
    }

    /// Runs in a process of its own, since there is no way back: this test again, with a variable
    /// set.
    #[test]
    fn root_is_given_up_for_good() {
        const CHILD: &str = "IDLER_TEST_USER_CHILD";
        let user = SystemUser::find_in("65534:65534", "", "").unwrap();
        if std::env::var_os(CHILD).is_some() {
            assert!(warning_for_root(None).is_some());
            assert_eq!(warning_for_root(Some(&user)), None);
            user.become_it().unwrap();
            assert_eq!(getuid().as_raw(), 65534);
            assert_eq!(rustix::process::getgroups().unwrap(), [user.gid]);
            assert!(set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_err());
            assert!(fs::read("/etc/shadow").is_err());
            assert_eq!(warning_for_root(None), None);
            user.become_it().unwrap(); // already
            let other = SystemUser::find_in("1:1", "", "").unwrap();
            assert!(other.become_it().unwrap_err().contains("only root"));
            return;
        }
        if geteuid().is_root() {
            let status = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "process::user::tests::root_is_given_up_for_good"])
                .env(CHILD, "1")
                .status()
                .unwrap();
            assert!(status.success());
        } else {
            assert!(user.become_it().unwrap_err().contains("only root"));
        }
    }
}
