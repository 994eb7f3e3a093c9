//! What was checked, and what came of it.

/// The count. A failed check is told at once and does not end the others.
#[derive(Debug, Default)]
pub struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// Counts one check.
    pub fn check(&mut self, what: &str, result: Result<(), String>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(why) => {
                self.failed += 1;
                eprintln!("FAILED {what}: {why}");
            }
        }
    }

    /// What has passed and what has failed so far.
    pub fn counts(&self) -> (usize, usize) {
        (self.passed, self.failed)
    }
}

/// `Ok` where the two are equal.
pub fn equal<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{found:?}, not {expected:?}"))
    }
}
