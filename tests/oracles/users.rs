//! Files of users and their passwords.
//!
//! The input is a file. Oracle: a slow reading, line by line, of what may stand there; and an error that names the first line that
//! is wrong, in words that are safe for a terminal.

use idler::limits::BCRYPT_COST_MAX;
use idler::server::auth::Users;

/// See the module.
pub fn check(file: &[u8]) {
    let mut names = Vec::new();
    let mut wrong = None;
    for (number, line) in (1..).zip(file.split(|&b| b == b'\n')) {
        let line = line.trim_ascii_end();
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        match name(line) {
            Some(name) if !names.contains(&name) => names.push(name),
            Some(_) | None => {
                wrong = Some(number);
                break;
            }
        }
    }
    match Users::parse(file) {
        Ok(_) => assert!(
            wrong.is_none() && !names.is_empty(),
            "line {wrong:?} is wrong"
        ),
        Err(words) => {
            assert!(!words.contains(char::is_control), "{words:?}");
            match wrong {
                Some(number) => {
                    let start: String = format!("line {number}: ");
                    assert!(
                        words.starts_with(&start),
                        "{words}, but line {number} is wrong"
                    );
                }
                None => assert!(names.is_empty(), "{words}, but nothing is wrong"),
            }
        }
    }
}

/// The name on a line of `NAME:$2y$05$`, 22 digits of salt and 31 of hash.
fn name(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|&b| b == b':').filter(|at| *at > 0)?;
    let (name, hash) = (&line[..colon], &line[colon + 1..]);
    let [
        b'$',
        b'2',
        b'a' | b'b' | b'y',
        b'$',
        tens @ b'0'..=b'9',
        ones @ b'0'..=b'9',
        b'$',
        digits @ ..,
    ] = hash
    else {
        return None;
    };
    let cost = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
    let digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/');
    let fits = (4..=BCRYPT_COST_MAX).contains(&cost);
    // The bits that are left over in the last digit of either are 0.
    let whole = |at: usize, last: &[u8]| digits.get(at).is_some_and(|digit| last.contains(digit));
    let ends = whole(21, b".Oeu") && whole(52, b".CGKOSWaeimquy26");
    (fits && digits.len() == 53 && digits.iter().all(digit) && ends).then_some(name)
}
