//! The control file: which call goes wrong, and how.

use crate::rv;
use cryptoki_sys::CK_FLAGS;
use cryptoki_sys::CK_RV;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It returns this and does not reach the module.
    Return(CK_RV),
    /// It takes longer.
    Sleep(Duration),
    /// It does not come back.
    Hang,
    /// A bit of what it writes is wrong.
    Flip,
    /// It kills the process.
    Crash,
    /// It adds flags to what it writes.
    Flags(CK_FLAGS),
}

struct Rule {
    function: String,
    fault: Fault,
    left: u64,
}

#[derive(Default)]
struct Control {
    version: Option<(i64, i64, u64, u64)>,
    rules: Vec<Rule>,
    is_released: bool,
}

static CONTROL: Mutex<Control> =
    Mutex::new(Control { version: None, rules: Vec::new(), is_released: false });

/// The fault that strikes this call of `function`, if one does; it is counted.
pub(crate) fn strike(function: &str) -> Option<Fault> {
    let path = path()?;
    let mut control = CONTROL.lock().unwrap_or_else(PoisonError::into_inner);
    control.refresh(path);
    let rule = control.rules.iter_mut().find(|rule| rule.function == function && rule.left > 0)?;
    rule.left -= 1;
    Some(rule.fault)
}

/// Blocks until the control file says `release`.
pub(crate) fn hang() {
    let Some(path) = path() else { return };
    loop {
        {
            let mut control = CONTROL.lock().unwrap_or_else(PoisonError::into_inner);
            control.refresh(path);
            if control.is_released {
                return;
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn path() -> Option<&'static Path> {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    PATH.get_or_init(|| std::env::var_os("SHIM_CONTROL").map(PathBuf::from)).as_deref()
}

impl Control {
    fn refresh(&mut self, path: &Path) {
        let version = std::fs::metadata(path).ok().map(|metadata| {
            (metadata.mtime(), metadata.mtime_nsec(), metadata.size(), metadata.ino())
        });
        if version == self.version {
            return;
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        self.version = version;
        self.is_released = text.lines().any(|line| line.trim() == "release");
        self.rules = text.lines().filter_map(parse).collect();
    }
}

/// A line that says nothing is no rule: comments, blank lines, `release`.
fn parse(line: &str) -> Option<Rule> {
    let mut words = line.split_whitespace();
    let function = words.next().filter(|word| word.starts_with("C_"))?.to_owned();
    let fault = match words.next()? {
        "sleep" => Fault::Sleep(duration(words.next()?)?),
        "hang" => Fault::Hang,
        "flip" => Fault::Flip,
        "crash" => Fault::Crash,
        "flags" => Fault::Flags(rv::value(words.next()?)?),
        rv => Fault::Return(rv::value(rv)?),
    };
    let left = match words.next() {
        Some(count) => count.parse().ok()?,
        None => u64::MAX,
    };
    Some(Rule { function, fault, left })
}

/// `5ms`, `2s`.
fn duration(text: &str) -> Option<Duration> {
    match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(ms), _) => ms.parse().ok().map(Duration::from_millis),
        (None, Some(s)) => s.parse().ok().map(Duration::from_secs),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_line_is_understood() {
        let lines = [
            ("C_Sign CKR_DEVICE_REMOVED 1", Fault::Return(cryptoki_sys::CKR_DEVICE_REMOVED), 1),
            ("C_Sign 0x80000001", Fault::Return(0x8000_0001), u64::MAX),
            ("C_Sign sleep 5ms", Fault::Sleep(Duration::from_millis(5)), u64::MAX),
            ("C_Sign sleep 2s 3", Fault::Sleep(Duration::from_secs(2)), 3),
            ("C_Sign hang 1", Fault::Hang, 1),
            ("C_Sign flip 2", Fault::Flip, 2),
            ("C_Sign crash 1", Fault::Crash, 1),
            ("C_GetTokenInfo flags 0x20000", Fault::Flags(0x20000), u64::MAX),
        ];
        for (line, fault, left) in lines {
            let rule = parse(line).unwrap();
            assert_eq!((rule.fault, rule.left), (fault, left), "{line}");
        }
    }

    #[test]
    fn line_that_says_nothing_is_no_rule() {
        for line in ["", "# C_Sign", "release", "C_Sign", "C_Sign CKR_NONSENSE", "C_Sign sleep 5"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
