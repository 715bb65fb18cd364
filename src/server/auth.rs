//! Names and passwords of `--auth`: the file of users, and the check of a password.
//!
//! A check blocks the one thread, so that each is short (the cost of a hash is bounded when the
//! file is read), no turn has two, and no second more than [`PASSWORD_CHECKS_PER_SECOND`]. What was
//! right or wrong once is remembered under a hash with a random key, never as itself.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::time::{Duration, Instant};

use bcrypt::HashParts;
use httparse::Header;

use crate::event_loop::Now;
use crate::http::fields::Credentials;
use crate::http::status::Refusal;
use crate::limits::{
    BCRYPT_COST_MAX, PASSWORD_CHECKS_PER_SECOND, USERS_BYTES_MAX, WRONG_PASSWORDS_REMEMBERED,
};

use crate::server::outcome::{NO_PASSWORD, TOO_MANY_PASSWORDS};
use crate::server::reloadable_file::ReloadableFile;

/// The users of a file.
#[derive(Debug, Default)]
pub struct Users {
    users: Vec<User>,
    /// What was wrong lately: a client that sends the same wrong password again and again costs no
    /// other client a check.
    wrong: VecDeque<Digest>,
}

#[derive(Debug)]
struct User {
    name: Vec<u8>,
    hash: String,
    right: Option<Digest>,
}

/// A keyed hash of a name and a password.
type Digest = (u64, u64);

/// See the module.
#[derive(Debug)]
pub struct Auth {
    /// Read again, it forgets what was right.
    pub(super) file: ReloadableFile<Users>,
    keys: [RandomState; 2],
    checked_turn: Option<u64>,
    /// When the second began in which checks are counted, and how many there were.
    second: Option<Instant>,
    checks: u32,
}

/// What is said of a name and its password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Password {
    /// It is the right one.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// There were too many checks: ask again in a second.
    Later,
}

impl Users {
    /// Reads lines of `NAME:HASH`; those that are empty or begin with `#` say nothing.
    ///
    /// # Errors
    /// One line for the user: what is wrong with which line.
    pub fn parse(file: &[u8]) -> Result<Self, String> {
        let mut users = Vec::<User>::new();
        for (line, number) in file.split(|&b| b == b'\n').zip(1..) {
            let line = line.trim_ascii_end();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let user = User::parse(line).map_err(|why| format!("line {number}: {why}"))?;
            if users.iter().any(|other| other.name == user.name) {
                return Err(format!("line {number}: this user has a line already"));
            }
            users.push(user);
        }
        if users.is_empty() {
            return Err("no user in it (idler password NAME makes a line)".to_owned());
        }
        let wrong = VecDeque::new();
        Ok(Self { users, wrong })
    }
}

impl User {
    fn parse(line: &[u8]) -> Result<Self, String> {
        const FORM: &str = "not of the form NAME:HASH (idler password NAME makes a line)";
        let colon = line.iter().position(|&b| b == b':').ok_or(FORM)?;
        let (name, hash) = (&line[..colon], &line[colon + 1..]);
        let hash = str::from_utf8(hash).map_err(|_| FORM)?;
        if name.is_empty() {
            return Err(FORM.to_owned());
        }
        // `$2x$` marks hashes of a faulty program; and the package would take a sign for a digit.
        let is_bcrypt = matches!(
            hash.as_bytes(),
            [b'$', b'2', b'a' | b'b' | b'y', b'$', tens, ones, b'$', ..]
                if tens.is_ascii_digit() && ones.is_ascii_digit()
        );
        let parts = hash.parse().ok().filter(|_: &HashParts| is_bcrypt);
        let parts = parts.ok_or("the hash is not one of bcrypt (idler password NAME makes one)")?;
        let cost = parts.get_cost();
        if !(4..=BCRYPT_COST_MAX).contains(&cost) {
            return Err(format!(
                "a hash of cost {cost} would hold up everybody else for too long; at most \
                 {BCRYPT_COST_MAX} (idler password NAME makes one)"
            ));
        }
        Ok(Self {
            name: name.to_vec(),
            hash: hash.to_owned(),
            right: None,
        })
    }
}

impl Auth {
    /// Reads the file of users.
    ///
    /// # Errors
    /// One line for the user.
    pub fn open(path: &Path) -> Result<Self, String> {
        Ok(Self {
            file: ReloadableFile::open(path, USERS_BYTES_MAX, Users::parse)?,
            keys: [RandomState::new(), RandomState::new()],
            checked_turn: None,
            second: None,
            checks: 0,
        })
    }

    /// The name of the user whose right password a request brings, else what it gets (RFC 9110
    /// §11.6.1, RFC 7617).
    pub(crate) fn user_of(
        &mut self,
        headers: &[Header<'_>],
        now: &Now,
    ) -> Result<Box<[u8]>, Refusal> {
        let given = Credentials::read(headers).ok_or(NO_PASSWORD)?;
        match self.check(&given, now) {
            Password::Right => Ok(given.user.into()),
            Password::Wrong => Err(NO_PASSWORD),
            Password::Later => Err(TOO_MANY_PASSWORDS),
        }
    }

    /// Whether the password is right. Bounded by one check of [`BCRYPT_COST_MAX`].
    fn check(&mut self, credentials: &Credentials, now: &Now) -> Password {
        let digest = self.digest(credentials);
        let users = &mut self.file.made;
        let user = users.users.iter().position(|u| u.name == credentials.user);
        if user.is_some_and(|at| users.users[at].right == Some(digest)) {
            return Password::Right;
        }
        if users.wrong.contains(&digest) {
            return Password::Wrong;
        }
        if !self.may_check(now) {
            return Password::Later;
        }
        let users = &mut self.file.made;
        // Hash for unknown users too, so that timing does not reveal which names exist.
        let hash = users.users.get(user.unwrap_or(0)).map(|user| &user.hash);
        let is_right =
            hash.is_some_and(|hash| bcrypt::verify(&credentials.password, hash).unwrap_or(false));
        // A NUL would end the password for other programs.
        let is_right = is_right && !credentials.password.contains(&0);
        match user {
            Some(at) if is_right => {
                users.users[at].right = Some(digest);
                Password::Right
            }
            _ => {
                if users.wrong.len() == WRONG_PASSWORDS_REMEMBERED {
                    users.wrong.pop_front();
                }
                users.wrong.push_back(digest);
                Password::Wrong
            }
        }
    }

    fn may_check(&mut self, now: &Now) -> bool {
        if self.checked_turn == Some(now.turn) {
            return false;
        }
        // Not ticks, which wrap: weeks may pass between two checks.
        let is_over =
            |second| now.instant.saturating_duration_since(second) >= Duration::from_secs(1);
        if self.second.is_none_or(is_over) {
            self.second = Some(now.instant);
            self.checks = 0;
        }
        if self.checks == PASSWORD_CHECKS_PER_SECOND {
            return false;
        }
        self.checks += 1;
        self.checked_turn = Some(now.turn);
        true
    }

    fn digest(&self, credentials: &Credentials) -> Digest {
        let both = (&credentials.user, &credentials.password);
        (self.keys[0].hash_one(both), self.keys[1].hash_one(both))
    }
}

#[cfg(test)]
mod tests;
