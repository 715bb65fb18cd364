//! The walls that the kernel holds up around the process, whatever happens inside it: Landlock,
//! `no_new_privs`, and privileges given up.
//!
//! Walls only get higher. What the kernel does not have is left out and logged; what the user asked
//! for (`--user`) is done, or the start fails. Everything outside the allowed places (listening
//! sockets, tables, time zone) must be opened before. `site/open.rs` is the wall that each single
//! request meets first.
//!
//! Rules stand on the *parent* of what may be read or written, because a rule belongs to a
//! directory itself, not to its name: a root that is removed and built again is another directory,
//! and a rotated log another file. What stands directly under `/` can only be pinned: a rule on `/`
//! would be no wall.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use crate::process::user::SystemUser;

/// What the process may still do once the walls stand.
#[derive(Debug, Default)]
pub struct Walls {
    rules: Vec<WallRule>,
}

/// What stands afterwards: for the start-up line.
#[derive(Debug)]
pub struct Applied {
    /// The version of Landlock that holds, if the kernel has it.
    pub landlock: Option<i32>,
    /// Whether no program started from here could gain privileges.
    pub no_new_privs: bool,
    /// The user the process became.
    pub user: Option<SystemUser>,
    /// Paths directly under `/` that could only be pinned: if one is removed and made again, idler
    /// must be started again.
    pub pinned: Vec<PathBuf>,
}

/// One place, and what may be done beneath it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct WallRule {
    place: PathBuf,
    access: BitFlags<AccessFs>,
    pinned: bool,
}

/// The newest version of Landlock these rules were thought through for.
const KNOWN_ABI: ABI = ABI::V9;

impl Walls {
    /// Allows reading what `path` names, a directory or a file, now and after it was replaced.
    ///
    /// If the last or the last but one component is a symbolic link (`current`, `current/public`),
    /// what it is changed to may be read too, as long as it stands beside what it names now.
    pub fn allow_reading(&mut self, path: &Path) {
        let access = AccessFs::ReadFile | AccessFs::ReadDir;
        // Without a slash at its end, which would lead through a link instead of to it.
        let path: PathBuf = path.components().collect();
        let links = path.ancestors().take(2).filter(|prefix| {
            fs::symlink_metadata(prefix).is_ok_and(|there| there.file_type().is_symlink())
        });
        for link in links {
            self.rules
                .extend(WallRule::beside(link, access).filter(|rule| !rule.pinned));
        }
        self.rules.extend(WallRule::beside(&path, access));
    }

    /// Allows appending to the file `path`, and making it again after it was renamed.
    pub fn allow_appending(&mut self, path: &Path) {
        // A device or a named pipe is no file that is rotated, and its directory is full of others.
        let is_special = fs::metadata(path).is_ok_and(|there| !there.is_file());
        let rule = if is_special {
            WallRule::pinned(path, AccessFs::WriteFile.into())
        } else {
            WallRule::beside(path, AccessFs::WriteFile | AccessFs::MakeReg)
        };
        self.rules.extend(rule);
    }

    /// Becomes `user`, and raises the walls for the rest of the process's life. It must have one
    /// thread.
    ///
    /// # Errors
    /// One line for the user, if the process cannot become that user. It must then end.
    pub fn raise(mut self, user: Option<SystemUser>) -> Result<Applied, String> {
        // Where a descriptor is taken from when they run out, to refuse a connection.
        let null = WallRule::pinned(Path::new("/dev/null"), AccessFs::ReadFile.into());
        self.rules.extend(null);
        // The places are opened while that is still allowed: the user may be unable to reach them
        // by name.
        let ruleset = self.ruleset();
        if let Some(user) = &user {
            user.become_it()?;
        }
        let no_new_privs = rustix::thread::set_no_new_privs(true).is_ok();
        let landlock = match ruleset.and_then(RulesetCreated::restrict_self) {
            Ok(status) if status.ruleset == RulesetStatus::NotEnforced => None,
            Ok(status) => match status.landlock {
                LandlockStatus::Available {
                    effective_abi,
                    kernel_abi,
                } => Some(kernel_abi.unwrap_or(effective_abi as i32)),
                LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => None,
            },
            Err(e) => {
                log::warn!(
                    "Landlock could not be used: {e} (a container's rules may forbid it; openat2 \
                     keeps requests inside the site all the same)"
                );
                None
            }
        };
        let is_told = |rule: &WallRule| rule.pinned && !rule.place.starts_with("/dev");
        self.rules
            .retain(|rule| landlock.is_some() && is_told(rule));
        let mut pinned: Vec<_> = self.rules.into_iter().map(|rule| rule.place).collect();
        pinned.dedup();
        Ok(Applied {
            landlock,
            no_new_privs,
            user,
            pinned,
        })
    }

    /// All rules, as far as the kernel knows what they are about.
    fn ruleset(&self) -> Result<RulesetCreated, RulesetError> {
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(KNOWN_ABI))?
            .handle_access(AccessNet::from_all(KNOWN_ABI))?
            .scope(Scope::from_all(KNOWN_ABI))?
            .create()?;
        for rule in &self.rules {
            match PathFd::new(&rule.place) {
                Ok(place) => ruleset = ruleset.add_rule(PathBeneath::new(place, rule.access))?,
                Err(e) => log::warn!("{} will be out of reach: {e}", rule.place.display()),
            }
        }
        Ok(ruleset)
    }
}

impl WallRule {
    /// A rule on the directory in which `path` really stands; on `path` itself if that is `/`.
    /// `None` if neither can be found.
    fn beside(path: &Path, access: BitFlags<AccessFs>) -> Option<Self> {
        // What does not exist yet is looked for where it will be.
        let parent = match fs::canonicalize(path) {
            Ok(real) => real.parent().map(Path::to_owned),
            Err(_) => {
                let path = std::path::absolute(path).ok()?;
                fs::canonicalize(path.parent()?).ok()
            }
        };
        match parent {
            Some(place) if place != Path::new("/") => Some(Self {
                place,
                access,
                pinned: false,
            }),
            _ => Self::pinned(path, access),
        }
    }

    /// A rule on what `path` names now.
    fn pinned(path: &Path, access: BitFlags<AccessFs>) -> Option<Self> {
        let place = fs::canonicalize(path).ok()?;
        let access = if place.is_dir() {
            access
        } else {
            access & AccessFs::from_file(KNOWN_ABI)
        };
        Some(Self {
            place,
            access,
            pinned: true,
        })
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock {
            Some(version) => write!(f, "landlock v{version}")?,
            None => f.write_str("no landlock in this kernel")?,
        }
        for path in &self.pinned {
            write!(f, " (pinned to {})", path.display())?;
        }
        if self.no_new_privs {
            f.write_str(", no_new_privs")?;
        }
        if let Some(user) = &self.user {
            write!(f, ", user {}", user.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
