//! Writing a snapshot: records into blocks, blocks into the file.

use std::io::{self, Write};

use super::{BLOCK, END, HEAD, MAGIC, VERSION, digest};
use crate::event::{Event, Record};
use crate::log::topic::Lost;
use crate::log::{SavedLog, SavedTopic};

/// Writes blocks
pub(super) struct Blocks<'a, W> {
    out: &'a mut W,
    block: Vec<u8>,
    blocks: u64,
}

impl<'a, W: Write> Blocks<'a, W> {
    /// Begins a file.
    pub(super) fn begin(out: &'a mut W) -> io::Result<Blocks<'a, W>> {
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        Ok(Blocks {
            out,
            block: Vec::new(),
            blocks: 0,
        })
    }

    /// Ends it with the number of its blocks.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.u64(self.blocks);
        self.close(END)
    }

    pub(super) fn head(&mut self, log: &SavedLog) -> io::Result<()> {
        self.u64(log.epoch.0);
        self.u64(log.head);
        self.u32(log.head_tag.0);
        self.u64(log.head_time.0);
        self.u32(u32::try_from(log.lives.len()).expect("there are few lives"));
        for life in &log.lives {
            self.u64(life.after);
            self.u64(life.key);
        }
        let lost = log.forgotten.iter().enumerate();
        let lost: Vec<_> = lost.filter(|(_, lost)| lost.through > 0).collect();
        self.u32(u32::try_from(lost.len()).expect("one a bucket"));
        for (bucket, lost) in lost {
            self.u32(u32::try_from(bucket).expect("there are few buckets"));
            self.lost(*lost);
        }
        self.close(HEAD)
    }

    pub(super) fn topic(&mut self, topic: &SavedTopic) {
        self.text(topic.topic.as_str());
        self.u64(topic.first_seq);
        self.u64(topic.exact_seq);
        self.lost(topic.lost);
        self.u64(topic.born);
        self.u64(topic.unknown_through);
        let (offset, tag) = topic.last.unwrap_or_default();
        self.u64(offset);
        self.u32(tag.0);
    }

    pub(super) fn event(&mut self, topic: usize, event: &Event) {
        self.u32(u32::try_from(topic).expect("topics are counted in 32 bits"));
        self.u64(event.offset());
        self.u32(event.tag().0);
        self.u64(event.previous());
        self.u64(event.time().0);
        self.u8(match event.record() {
            Record::Event => 0,
            Record::Ended => 1,
            Record::Deleted => 2,
        });
        let parts = event.content_parts();
        self.u8(u8::from(parts.is_text));
        self.u8(parts.labels[0]);
        self.u8(parts.labels[1]);
        self.u8(parts.labels[2]);
        self.bytes(parts.body);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.block.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.block.extend(value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.block.extend(value.to_le_bytes());
    }

    fn lost(&mut self, lost: Lost) {
        self.u64(lost.through);
        self.u64(lost.time.0);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).expect("events are far smaller than 4 GiB"));
        self.block.extend_from_slice(bytes);
    }

    pub(super) fn close_if_full(&mut self, kind: u8) -> io::Result<()> {
        if self.block.len() >= BLOCK {
            self.close(kind)?;
        }
        Ok(())
    }

    pub(super) fn close(&mut self, kind: u8) -> io::Result<()> {
        let length =
            u32::try_from(self.block.len()).expect("a block has one event more than it should");
        self.out.write_all(&[kind])?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&self.block)?;
        self.out
            .write_all(&digest(kind, &self.block).to_le_bytes())?;
        self.block.clear();
        self.blocks += 1;
        Ok(())
    }
}
