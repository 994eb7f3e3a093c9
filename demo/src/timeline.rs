//! What the person at the terminal sees: one short line for each step, with the milliseconds since the start.

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use anyhow::bail;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";

/// Prints to standard output, in colours only on a terminal.
pub struct Timeline {
    began: Instant,
    in_colour: bool,
    held: Cell<u32>,
}

impl Timeline {
    /// Time runs from here.
    pub fn begin() -> Self {
        let wants_no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            began: Instant::now(),
            in_colour: std::io::stdout().is_terminal() && !wants_no_colour,
            held: Cell::new(0),
        }
    }

    /// The title of a scene.
    pub fn scene(&self, title: &str) {
        say(&format!("\n{}", self.paint(BOLD, title)));
    }

    /// Something happened.
    pub fn step(&self, text: &str) {
        let milliseconds = self.began.elapsed().as_millis();
        say(&format!(
            "{} {text}",
            self.paint(DIM, &format!("{milliseconds:>7} ms "))
        ));
    }

    /// Lines that somebody else wrote, or will read: a manifest, an output.
    pub fn quote(&self, text: &str) {
        for line in text.trim_end().lines() {
            say(&format!("             {}", self.paint(DIM, line)));
        }
    }

    /// Something that must hold.
    ///
    /// # Errors
    /// When it does not: the sentence, and how things are.
    pub fn expect(
        &self,
        held: bool,
        sentence: &str,
        state: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        if !held {
            bail!("expected: {sentence}; but {}", state());
        }
        self.held.set(self.held.get() + 1);
        say(&format!("         {} {sentence}", self.paint(GREEN, "ok ")));
        Ok(())
    }

    /// The line at the end of a run that went well.
    pub fn success(&self) {
        let text = format!(
            "All {} expectations held, in {:.1} s.",
            self.held.get(),
            self.began.elapsed().as_secs_f64()
        );
        say(&format!("\n{}", self.paint(GREEN, &text)));
    }

    /// The line at the end of a run that did not.
    pub fn failure(&self, why: &str) {
        say(&format!("\n{}", self.paint(RED, &format!("Failed: {why}"))));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.in_colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Prints a line without a time.
pub fn say(line: &str) {
    // A reader that has gone away (`make demo | head`) is no reason to fail.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
