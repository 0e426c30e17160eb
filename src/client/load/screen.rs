//! The terminal on standard error, as indicatif draws on it: a frame goes out whole, or is left out
//! while the terminal takes nothing (Ctrl-S stops one for as long as the user likes).

use std::io::{self, Stderr};
use std::sync::{Mutex, MutexGuard};

use indicatif::TermLike;
use rustix::termios::tcgetwinsize;

use crate::client::output::Output;
use crate::outlet::Outlet;

/// How wide a terminal is that does not say.
const WIDTH_DEFAULT: u16 = 80;

/// Standard error, for progress.
#[derive(Debug)]
pub struct Screen(Mutex<Canvas>);

#[derive(Debug)]
struct Canvas {
    frame: String,
    output: Output<Outlet<Stderr>>,
}

impl Screen {
    /// Opens files, so it is made before a loop.
    pub fn new() -> Self {
        Self(Mutex::new(Canvas {
            frame: String::new(),
            output: Output::new(Outlet::new(io::stderr())),
        }))
    }

    fn canvas(&self) -> io::Result<MutexGuard<'_, Canvas>> {
        // It is poisoned by a panic, and that has ended the process.
        self.0.lock().map_err(|_| io::ErrorKind::Other.into())
    }

    fn draw(&self, text: &str) -> io::Result<()> {
        self.canvas()?.frame.push_str(text);
        Ok(())
    }

    /// Moves the cursor by a control sequence: ECMA-48, CUU and its likes.
    fn move_cursor(&self, count: usize, direction: char) -> io::Result<()> {
        if count > 0 {
            self.draw(&format!("\u{1b}[{count}{direction}"))?;
        }
        Ok(())
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        let columns = tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
        if columns == 0 { WIDTH_DEFAULT } else { columns }
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        self.move_cursor(count, 'A')
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        self.move_cursor(count, 'B')
    }

    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        self.move_cursor(count, 'C')
    }

    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        self.move_cursor(count, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.draw(text)?;
        self.draw("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draw(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let mut canvas = self.canvas()?;
        let Canvas { frame, output } = &mut *canvas;
        output.flush();
        if output.is_flushed() {
            output.push(frame);
            output.flush();
        }
        frame.clear();
        Ok(())
    }
}
