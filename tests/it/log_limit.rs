//! How many lines the log writes, what it tells of the others, and what is written at once: without a
//! clock, and without a log.

use std::time::{Duration, Instant};

use pingpong::inside::logging::limit::{LINES_PER_S, Limit, Reason};
use pingpong::inside::logging::piece::{PIECE_MAX_BYTES, Piece};
use proptest::prelude::*;

use crate::support::cases;

/// A log whose standard error takes a line or not, as it is told.
struct Pretended {
    limit: Limit,
    start: Instant,
    /// When each line was written, notices included.
    written: Vec<Duration>,
    told: Vec<u64>,
    asked: u64,
}

impl Pretended {
    fn new() -> Self {
        Self {
            limit: Limit::default(),
            start: Instant::now(),
            written: Vec::new(),
            told: Vec::new(),
            asked: 0,
        }
    }

    /// A line is logged at a time. Says whether it was written.
    fn log(&mut self, at: Duration, has_room: bool) -> bool {
        self.asked += 1;
        let Some(untold) = self.limit.ask(self.start + at) else {
            return false;
        };
        if !has_room {
            self.limit.lose(Reason::FullPipe);
            return false;
        }
        self.write(at, untold, 1);
        true
    }

    fn end(&mut self, at: Duration) {
        if let Some(untold) = self.limit.ask_last(self.start + at) {
            self.write(at, untold, 0);
        }
    }

    fn write(&mut self, at: Duration, untold: u64, lines: usize) {
        let lines = lines + usize::from(untold > 0);
        self.limit.wrote(lines, self.start + at);
        self.written.extend(std::iter::repeat_n(at, lines));
        if untold > 0 {
            self.limit.tell(untold);
            self.told.push(untold);
        }
    }

    fn lost(&self) -> [u64; 2] {
        Reason::ALL.map(|reason| self.limit.lost(reason))
    }

    /// In no second are there more lines than may be, wherever it begins.
    fn assert_limited(&self) {
        let most = |pair: (&Duration, &Duration)| *pair.1 - *pair.0 >= Duration::from_secs(1);
        let pairs = self.written.iter().zip(self.written.iter().skip(1000));
        assert!(pairs.into_iter().all(most), "{:?}", self.written);
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_limit_is_what_the_contract_says() {
    assert_eq!((LINES_PER_S, PIECE_MAX_BYTES), (1000, 4096));
    assert_eq!(Reason::ALL.map(Reason::name), ["storm", "full_pipe"]);
}

/// All at once: as many as may be but for the one that is kept; the others are told once, with the
/// first line for which there is room, and again so after the next storm.
#[test]
fn storms_are_cut_and_told_once() {
    let mut log = Pretended::new();
    for second in [0, 2, 4] {
        let written = (0..2150).filter(|_| log.log(ms(second * 1000), true));
        let written = written.count();
        // After the first, a notice is one of them.
        assert_eq!(written, if second == 0 { 999 } else { 998 });
    }
    assert!(!log.log(ms(4999), true));
    assert!(log.log(ms(5000), true));
    log.end(ms(5000));
    assert_eq!(log.told, [1151, 1152, 1153]);
    assert_eq!(log.lost(), [1151 + 1152 + 1153, 0]);
    log.assert_limited();
}

/// Twice as many as may be, evenly: of the lines that are written few are notices.
#[test]
fn a_steady_storm_is_no_storm_of_notices() {
    let mut log = Pretended::new();
    for half_ms in 0..20_000 {
        log.log(Duration::from_micros(half_ms * 500), true);
    }
    log.assert_limited();
    let (lines, notices) = (log.written.len(), log.told.len());
    assert!(notices * 50 <= lines + 50, "{notices} of {lines}");
    assert!(lines > 9 * 950, "{lines} in ten seconds");
}

/// As many as may be, evenly, and nothing is lost.
#[test]
fn a_busy_log_loses_nothing() {
    let mut log = Pretended::new();
    let evenly = (0..20_000).map(|number| Duration::from_micros(number * 1002));
    assert!(evenly.into_iter().all(|at| log.log(at, true)));
    log.assert_limited();
}

/// A notice that finds no room is not told, is no lost line of its own, and is tried again.
#[test]
fn what_a_full_pipe_takes_is_told_when_it_has_room() {
    let mut log = Pretended::new();
    assert!(log.log(ms(0), true));
    for _ in 0..5000 {
        assert!(!log.log(ms(1), false));
    }
    assert_eq!(log.lost(), [0, 5000]);
    assert!(log.log(ms(2), true));
    assert!(log.log(ms(2), true));
    assert_eq!(log.told, [5000]);
    assert_eq!(log.written.len(), 4);
}

/// The process ends in a storm: what is lost is told all the same, and within the limit.
#[test]
fn the_end_of_a_storm_is_told() {
    let mut log = Pretended::new();
    for _ in 0..3000 {
        log.log(ms(7), true);
    }
    log.end(ms(7));
    log.end(ms(7));
    assert_eq!((log.written.len(), &log.told[..]), (1000, &[2001][..]));
    let mut log = Pretended::new();
    log.log(ms(7), true);
    log.end(ms(7));
    assert!(log.told.is_empty());
}

proptest! {
    #![proptest_config(cases(64))]

    /// Whatever comes when: the limit holds, and every line was written, or is told as lost, once.
    #[test]
    fn every_line_is_accounted_for(
        bursts in prop::collection::vec((0..1500_u64, 1..1500_u64, any::<bool>(), 0..1000_u64), 1..20)
    ) {
        let mut log = Pretended::new();
        let mut at = Duration::ZERO;
        for (pause_ms, lines, has_room, pace_us) in bursts {
            at += ms(pause_ms);
            for _ in 0..lines {
                at += Duration::from_micros(pace_us);
                log.log(at, has_room);
            }
        }
        log.end(at);
        log.end(at + ms(1000));
        log.assert_limited();
        let told: u64 = log.told.iter().sum();
        prop_assert_eq!(told, log.lost().iter().sum::<u64>());
        let lines = log.written.len() - log.told.len();
        prop_assert_eq!(lines as u64 + told, log.asked);
    }
}

fn piece(is_after_cut: bool, lines: &[&[u8]]) -> Piece {
    let mut piece = Piece::new(is_after_cut);
    for line in lines {
        piece.push(line);
    }
    piece
}

#[test]
fn a_piece_is_whole_lines() {
    assert_eq!(piece(false, &[b"a\n"]).bytes(), b"a\n");
    assert_eq!(piece(false, &[b"a\n", b"b\n"]).bytes(), b"a\nb\n");
    // What it follows was cut, and what it holds is no line yet, or more than one.
    assert_eq!(piece(true, &[b"a"]).bytes(), b"\na\n");
    assert_eq!(piece(false, &[b"a\nb\n"]).bytes(), b"a b\n");
}

#[test]
fn a_long_line_is_cut_between_characters_and_ends_all_the_same() {
    let longest = [&[b'x'; PIECE_MAX_BYTES - 1][..], b"\n"].concat();
    assert_eq!(piece(false, &[&longest]).bytes(), longest);
    let longer = [&[b'x'; PIECE_MAX_BYTES][..], b"\n"].concat();
    assert_eq!(piece(false, &[&longer]).bytes(), longest);
    for letter in ["\u{e9}", "\u{20ac}", "\u{1f3d3}"] {
        for before in 0..4 {
            let line = "x".repeat(before) + &letter.repeat(PIECE_MAX_BYTES);
            let piece = piece(false, &[line.as_bytes()]);
            let text = std::str::from_utf8(piece.bytes()).unwrap();
            assert!(text.ends_with(&format!("{letter}\n")), "{letter} {before}");
            let cut_off = PIECE_MAX_BYTES - text.len();
            assert!(cut_off < letter.len(), "{letter} {before}: {cut_off}");
        }
    }
    // Bytes that are no characters.
    let rubbish = [0x80; PIECE_MAX_BYTES + 1];
    assert_eq!(piece(false, &[&rubbish]).bytes().len(), PIECE_MAX_BYTES);
    // A notice and its line are one piece.
    let both = piece(true, &[b"notice\n", &longer]);
    assert_eq!(both.bytes().len(), PIECE_MAX_BYTES);
    assert!(both.bytes().ends_with(b"x\n"));
}

/// What counts as a line, and as told, if standard error takes only a part.
#[test]
fn a_piece_knows_what_became_of_its_lines() {
    let piece = piece(true, &[b"ab\n", b"cd\n"]);
    let fates = (0..=piece.bytes().len()).map(|len| {
        (
            piece.begun(len),
            piece.is_first_whole(len),
            piece.is_cut(len),
        )
    });
    let fates: Vec<_> = fates.skip(1).collect();
    assert_eq!(
        fates,
        [
            (0, false, false),
            (1, false, true),
            (1, false, true),
            (1, true, false),
            (2, true, true),
            (2, true, true),
            (2, true, false),
        ]
    );
    assert_eq!(piece.begun(0), 0);
}
