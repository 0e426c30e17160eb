//! How pings are told: in lines for people, in JSON, in dots.

use std::net::SocketAddr;

use super::json::line;
use super::plan::{Manner, Style};
use super::told::Told;

/// The first line, without the address in use.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) host: String,
    /// Transports and lengths.
    pub(super) what: String,
}

/// Tells pings: the text waits until the loop takes it.
#[derive(Debug)]
pub(super) struct Lines {
    manner: Manner,
    /// The first line, until it is known which address is in use.
    header: Option<Header>,
    text: String,
    /// There is more than dots: it is to be shown now, and not with the next reply.
    is_urgent: bool,
}

impl Lines {
    pub(super) fn new(manner: Manner, header: Option<Header>) -> Self {
        Self {
            manner,
            header,
            text: String::new(),
            is_urgent: false,
        }
    }

    pub(super) fn manner(&self) -> &Manner {
        &self.manner
    }

    /// Hands over the text so far: none until the first line can be written.
    pub(super) fn take(&mut self) -> String {
        if self.header.is_some() {
            return String::new();
        }
        self.is_urgent = false;
        std::mem::take(&mut self.text)
    }

    /// Something was told since, other than that a ping was begun.
    pub(super) fn is_urgent(&self) -> bool {
        self.is_urgent
    }

    /// The first line as ping(8) has it can be written, as this is the address that it names.
    pub(super) fn name_address(&mut self, address: SocketAddr) {
        if let Some(Header { host, what }) = self.header.take() {
            let header = format!("PING {host} ({address}) {what} bytes of data.\n");
            self.text.insert_str(0, &header);
        }
    }

    /// A ping was begun.
    pub(super) fn begin(&mut self) {
        if self.manner.style == Style::Dots {
            self.text.push('.');
        }
    }

    /// Tells one.
    pub(super) fn tell(&mut self, told: &Told<'_>) {
        self.name_address(told.peer);
        self.is_urgent = true;
        match self.manner.style {
            Style::Lines => {
                if self.manner.timestamps {
                    let now_us = self.manner.unix_us();
                    let (s, us) = (now_us / 1_000_000, now_us % 1_000_000);
                    self.text += &format!("[{s}.{us:06}] ");
                }
                self.text += &told.text(self.manner.ports);
            }
            Style::Json => self.text += &line(told.outcome.name(), &self.manner, told),
            Style::Dots => self.text += told.outcome.dots(),
            Style::Quiet => {}
        }
    }
}
