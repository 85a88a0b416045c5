//! Reading a snapshot's file: blocks out of it, and numbers and texts out of blocks.

use std::io::{self, Read};

use super::{MAGIC, MAX_BLOCK, RestoreError, VERSION, digest};
use crate::log::topic::Lost;
use crate::timestamp::Timestamp;

/// Reads numbers and texts out of a block
pub(super) struct Input<'a> {
    pub(super) rest: &'a [u8],
    pub(super) block: u64,
}

impl<'a> Input<'a> {
    pub(super) fn damaged(&self, what: &'static str) -> RestoreError {
        RestoreError::Damaged {
            what,
            block: self.block,
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], RestoreError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.damaged("it ends too early"));
        };
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, RestoreError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u32(&mut self) -> Result<u32, RestoreError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("4 were taken")))
    }

    pub(super) fn u64(&mut self) -> Result<u64, RestoreError> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("8 were taken")))
    }

    pub(super) fn lost(&mut self) -> Result<Lost, RestoreError> {
        Ok(Lost {
            through: self.u64()?,
            time: Timestamp(self.u64()?),
        })
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], RestoreError> {
        let count = self.u32()? as usize;
        self.take(count)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, RestoreError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged("a text is not UTF-8"))
    }
}

pub(super) fn check_start(reader: &mut impl Read) -> Result<(), RestoreError> {
    let mut start = [0; 12];
    reader
        .read_exact(&mut start)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => RestoreError::NotASnapshot,
            _ => RestoreError::Io(error),
        })?;
    let (magic, version) = start.split_at(8);
    if magic != MAGIC {
        return Err(RestoreError::NotASnapshot);
    }
    let found = u32::from_le_bytes(version.try_into().expect("4 are left"));
    if found != VERSION {
        let expected = VERSION;
        return Err(RestoreError::Version { found, expected });
    }
    Ok(())
}

/// A block, once its digest was found to be right.
pub(super) fn read_block(
    reader: &mut impl Read,
    number: u64,
) -> Result<(u8, Vec<u8>), RestoreError> {
    let damaged = |what| RestoreError::Damaged {
        what,
        block: number,
    };
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("the file was cut short"),
        _ => RestoreError::Io(error),
    };
    let mut start = [0; 5];
    reader.read_exact(&mut start).map_err(cut)?;
    let length = u32::from_le_bytes(start[1..].try_into().expect("4 are left")) as usize;
    if length > MAX_BLOCK {
        return Err(damaged("a length that is too large"));
    }
    // Memory in proportion to what is there, not to what is announced.
    let mut block = Vec::new();
    reader
        .by_ref()
        .take(length as u64)
        .read_to_end(&mut block)?;
    if block.len() < length {
        return Err(damaged("the file was cut short"));
    }
    let mut expect = [0; 8];
    reader.read_exact(&mut expect).map_err(cut)?;
    if digest(start[0], &block) != u64::from_le_bytes(expect) {
        return Err(damaged("its digest is wrong"));
    }
    Ok((start[0], block))
}
