//! What has to outlive a turn: replies that the peer has not taken yet, then a partial line.
//!
//! It lies in pages of its own, which go back to the kernel when it is done with. On the heap it
//! would not: glibc gives memory back only from the heap's end, and after a storm of thousands of
//! clients there is always something that still stands there.

use std::io;
use std::num::NonZeroU32;

use memmap2::MmapMut;
use slab::Slab;

/// The pages of one such memory, at least: less cannot be had (`getconf PAGESIZE`).
const PAGE_BYTES: usize = 4096;

/// Room for so many is held when the last has gone: a page.
const ROOM_HELD: usize = 64;

/// What all connections keep. Most keep nothing, so each has but a place in here.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    kept: Slab<Kept>,
    spare: Spare,
}

/// Where a connection's own stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(NonZeroU32);

impl Place {
    fn of(key: usize) -> Option<Self> {
        u32::try_from(key + 1)
            .ok()
            .and_then(NonZeroU32::new)
            .map(Self)
    }

    fn key(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Shelf {
    /// Keeps these, if there is anything to keep.
    ///
    /// # Errors
    /// As mmap(2): the kernel has no memory for it, or this process too many mappings.
    pub(super) fn keep(&mut self, unsent: &[u8], partial: &[u8]) -> io::Result<Option<Place>> {
        if unsent.is_empty() && partial.is_empty() {
            return Ok(None);
        }
        let kept = Kept::new(unsent, partial, &mut self.spare)?;
        Ok(Place::of(self.kept.insert(kept)))
    }

    /// What is kept there.
    pub(super) fn get(&self, place: Option<Place>) -> Option<&Kept> {
        self.kept.get(place?.key())
    }

    /// The peer has taken so many bytes of the replies there. Once it has all of them, what remains
    /// moves to a place of its own size.
    ///
    /// # Errors
    /// As for [`Shelf::keep`].
    pub(super) fn take_sent(
        &mut self,
        place: Option<Place>,
        len: usize,
    ) -> io::Result<Option<Place>> {
        let Some(kept) = place.and_then(|place| self.kept.get_mut(place.key())) else {
            return Ok(None);
        };
        debug_assert!(len <= kept.replies().len());
        kept.sent_len += short_len(len);
        if !kept.replies().is_empty() {
            return Ok(place);
        }
        let partial = match kept.partial() {
            [] => Ok(None),
            partial => Kept::new(&[], partial, &mut self.spare).map(Some),
        };
        self.discard(place);
        Ok(partial?.and_then(|kept| Place::of(self.kept.insert(kept))))
    }

    /// Puts more of the partial line there behind it.
    ///
    /// # Errors
    /// As for [`Shelf::keep`]; it is as it was.
    pub(super) fn lengthen(
        &mut self,
        place: Option<Place>,
        fresh: &[u8],
        max_message_bytes: usize,
    ) -> io::Result<()> {
        match place.and_then(|place| self.kept.get_mut(place.key())) {
            Some(kept) => kept.lengthen(fresh, max_message_bytes, &mut self.spare),
            None => Ok(()),
        }
    }

    /// What stands there is done with.
    pub(super) fn discard(&mut self, place: Option<Place>) {
        if let Some(kept) = place.and_then(|place| self.kept.try_remove(place.key())) {
            self.spare.give_back(kept.pages);
        }
        if self.kept.is_empty() && self.kept.capacity() > ROOM_HELD {
            self.kept = Slab::new();
        }
    }
}

/// Replies to send and the partial line behind them, for one connection.
#[derive(Debug)]
pub(super) struct Kept {
    pages: MmapMut,
    len: u32,
    sent_len: u32,
    replies_len: u32,
}

/// One page that was given back, for who needs one next: a client that sends flat out has a partial
/// line at the end of each read.
#[derive(Debug, Default)]
struct Spare(Option<MmapMut>);

impl Spare {
    fn take(&mut self, room_bytes: usize) -> io::Result<MmapMut> {
        match self.0.take_if(|_| room_bytes <= PAGE_BYTES) {
            Some(page) => Ok(page),
            None => MmapMut::map_anon(room_bytes.next_multiple_of(PAGE_BYTES)),
        }
    }

    /// Takes pages back: holds one, and leaves more than that to the kernel.
    fn give_back(&mut self, pages: MmapMut) {
        if pages.len() == PAGE_BYTES {
            self.0 = Some(pages);
        }
    }
}

impl Kept {
    fn new(unsent: &[u8], partial: &[u8], spare: &mut Spare) -> io::Result<Self> {
        let mut kept = Self {
            pages: spare.take(unsent.len() + partial.len())?,
            len: 0,
            sent_len: 0,
            replies_len: short_len(unsent.len()),
        };
        kept.push(unsent);
        kept.push(partial);
        Ok(kept)
    }

    /// The replies that the peer has not taken yet.
    pub(super) fn replies(&self) -> &[u8] {
        &self.pages[self.sent_len as usize..self.replies_len as usize]
    }

    /// The line that has begun and not ended.
    pub(super) fn partial(&self) -> &[u8] {
        &self.pages[self.replies_len as usize..self.len as usize]
    }

    /// Room doubles, but never beyond the longest message.
    fn lengthen(
        &mut self,
        fresh: &[u8],
        max_message_bytes: usize,
        spare: &mut Spare,
    ) -> io::Result<()> {
        debug_assert!(
            self.replies_len == 0,
            "who has replies to send reads no more"
        );
        let len = self.partial().len() + fresh.len();
        if len > self.pages.len() {
            let room_bytes = len.next_power_of_two().min(max_message_bytes).max(len);
            let mut pages = spare.take(room_bytes)?;
            pages[..self.len as usize].copy_from_slice(self.partial());
            spare.give_back(std::mem::replace(&mut self.pages, pages));
        }
        self.push(fresh);
        Ok(())
    }

    /// How much memory it is.
    pub(super) fn room_bytes(&self) -> usize {
        self.pages.len()
    }

    fn push(&mut self, bytes: &[u8]) {
        self.pages[self.len as usize..][..bytes.len()].copy_from_slice(bytes);
        self.len += short_len(bytes.len());
    }
}

/// A length in four bytes, as fifteen thousand connections keep it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the longest message is 16 MiB, and one batch's replies are 160 KiB"
)]
fn short_len(len: usize) -> u32 {
    debug_assert!(u32::try_from(len).is_ok());
    len as u32
}
