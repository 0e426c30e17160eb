//! What is written at once.

use crate::outlet::PIPE_PIECE_MAX_BYTES;

/// How much is written at once, at most, and so the longest line, its LF included: what a pipe takes
/// in one piece or not at all.
pub const PIECE_MAX_BYTES: usize = PIPE_PIECE_MAX_BYTES;

/// A notice, if there is one, and the line that it stands before.
#[derive(Debug)]
pub struct Piece {
    bytes: Vec<u8>,
    /// Where each of its lines begins.
    starts: Vec<usize>,
}

impl Piece {
    /// Nothing yet; or, where the line before was cut, its end.
    #[must_use]
    pub fn new(is_after_cut: bool) -> Self {
        Self {
            bytes: if is_after_cut { vec![b'\n'] } else { vec![] },
            starts: Vec::new(),
        }
    }

    /// Puts a line behind what is there. However it looks, it becomes one line, and as long as there
    /// is room for.
    pub fn push(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let room = PIECE_MAX_BYTES.saturating_sub(self.bytes.len() + 1);
        let line = cut(line, room);
        self.starts.push(self.bytes.len());
        let no_line_end = |byte: &u8| if *byte == b'\n' { b' ' } else { *byte };
        self.bytes.extend(line.iter().map(no_line_end));
        self.bytes.push(b'\n');
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many lines have been begun, if so many bytes have been written.
    #[must_use]
    pub fn begun(&self, len: usize) -> usize {
        self.starts.iter().filter(|start| **start < len).count()
    }

    /// Whether the first line has been written to its end, if so many bytes have been.
    #[must_use]
    pub fn is_first_whole(&self, len: usize) -> bool {
        len >= self.starts.get(1).copied().unwrap_or(self.bytes.len())
    }

    /// Whether the last line is left without its end, if so many bytes, and not none, have been
    /// written.
    #[must_use]
    pub fn is_cut(&self, len: usize) -> bool {
        len.checked_sub(1).and_then(|last| self.bytes.get(last)) != Some(&b'\n')
    }
}

/// As much of a text as has room, and no part of a character.
fn cut(text: &[u8], max: usize) -> &[u8] {
    if text.len() <= max {
        return text;
    }
    let is_inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let ends = (max.saturating_sub(3)..=max).rev();
    let end = ends.into_iter().find(|at| !is_inside(*at)).unwrap_or(max);
    text.get(..end).unwrap_or(text)
}
