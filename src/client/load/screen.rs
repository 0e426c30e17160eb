//! One line of progress on the terminal that standard error is. A line goes out whole, or is left out
//! while the terminal takes nothing (Ctrl-S stops one for as long as the user likes).

use std::io::{self, Stderr};

use rustix::termios::tcgetwinsize;

use crate::client::output::Output;
use crate::outlet::Outlet;

/// How wide a terminal is that does not say.
const WIDTH_DEFAULT: usize = 80;

/// Back to the first column, and erase the line: ECMA-48, EL.
const WIPE: &str = "\r\u{1b}[2K";

/// Standard error, with at most one line of progress at its end.
#[derive(Debug)]
pub struct Screen {
    output: Output<Outlet<Stderr>>,
    is_drawn: bool,
}

impl Screen {
    /// Opens files, so it is made before a loop.
    pub fn new() -> Self {
        Self {
            output: Output::new(Outlet::new(io::stderr())),
            is_drawn: false,
        }
    }

    /// Shows this line in place of the last. One that is wider than the terminal would go on below,
    /// out of reach of the next.
    pub fn draw(&mut self, line: &str) {
        self.output.flush();
        if self.output.is_flushed() {
            let line: String = line.chars().take(width() - 1).collect();
            self.output.push(&format!("{WIPE}{line}"));
            self.output.flush();
            self.is_drawn = true;
        }
    }

    /// Takes the line away.
    pub fn wipe(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            self.output.push(WIPE);
        }
        self.output.flush();
    }

    /// Says something that stays.
    pub fn tell(&mut self, text: &str) {
        self.wipe();
        self.output.push(text);
        self.output.flush();
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

fn width() -> usize {
    let columns = tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
    if columns < 2 { WIDTH_DEFAULT } else { columns }
}
