//! Lies about guest messages and certificates.

use super::Wrong;
use crate::lie::Lie;
use crate::message::{CertificateLie, ForgedField, MessageLie};
use crate::words::Words;
use protocols::ghcb::GuestRequestResult;
use protocols::snp::GUEST_MESSAGE_PAGE;

/// SW_EXITINFO2 of a host that asks the guest to come again.
const BUSY: u64 = GuestRequestResult::new(GuestRequestResult::HOST_BUSY, 0).0;

pub(super) fn message(words: &mut Words<'_>) -> Result<Lie, Wrong> {
    Ok(Lie::Message(match words.next("how")? {
        "busy" => MessageLie::Error(BUSY),
        "error" => MessageLie::Error(words.typed("an error")?),
        "drop" => MessageLie::Drop,
        "lose" => MessageLie::Lose(words.optional("an error")?.unwrap_or_default()),
        "hold" => MessageLie::Hold,
        "release" => return Ok(Lie::MessageRelease),
        "edit" => {
            let (offset, bit) = place(words)?;
            MessageLie::Edit { offset, bit }
        }
        "flip" => {
            let (offset, bit) = place(words)?;
            MessageLie::Flip { offset, bit }
        }
        "resend" => {
            let (vmpl, number) = earlier(words)?;
            MessageLie::Resend { vmpl, number }
        }
        "replay" => {
            let (vmpl, number) = earlier(words)?;
            MessageLie::Replay { vmpl, number }
        }
        "truncate" => MessageLie::Truncate(
            words.number("a number of bytes", GUEST_MESSAGE_PAGE as u64)? as u16,
        ),
        "forge" => {
            let field = forged(words)?;
            let value = words.number("a value", field.max())?;
            MessageLie::Forge { field, value }
        }
        "rewrite" => MessageLie::Rewrite {
            offset: words.word_offset()?,
            value: words.typed("a value")?,
        },
        "watch" => MessageLie::Watch,
        "scribble" => MessageLie::Scribble,
        word => return Err(Wrong::unexpected(word)),
    }))
}

/// A bit of a message's page.
fn place(words: &mut Words<'_>) -> Result<(u16, u8), Wrong> {
    let last = GUEST_MESSAGE_PAGE as u64 - 1;
    let offset = words.number("an offset", last)? as u16;
    Ok((offset, words.number("a bit", 7)? as u8))
}

/// An earlier message: {level, number}.
fn earlier(words: &mut Words<'_>) -> Result<(u8, u32), Wrong> {
    let vmpl = words.number("a level", 3)? as u8;
    Ok((vmpl, words.typed("a count")?))
}

fn forged(words: &mut Words<'_>) -> Result<ForgedField, Wrong> {
    Ok(match words.next("a field")? {
        "sequence" => ForgedField::Sequence,
        "algorithm" => ForgedField::Algorithm,
        "header-version" => ForgedField::HeaderVersion,
        "header-size" => ForgedField::HeaderSize,
        "type" => ForgedField::Type,
        "version" => ForgedField::Version,
        "size" => ForgedField::Size,
        "vmpck" => ForgedField::Vmpck,
        "payload" => ForgedField::Payload(words.typed("an offset")?),
        word => return Err(Wrong::unexpected(word)),
    })
}

pub(super) fn certificates(words: &mut Words<'_>) -> Result<CertificateLie, Wrong> {
    Ok(match words.next("how")? {
        "needs" if words.peek() == Some("more") => {
            words.next("more")?;
            CertificateLie::NeedsMore
        }
        "needs" => CertificateLie::Needs(words.typed("a number of pages")?),
        "keep" => CertificateLie::Keep,
        "fill" => CertificateLie::Fill(words.typed("a byte")?),
        "poke" => CertificateLie::Poke {
            offset: words.typed("an offset")?,
            value: words.typed("a value")?,
        },
        word => return Err(Wrong::unexpected(word)),
    })
}

#[cfg(test)]
mod tests;
