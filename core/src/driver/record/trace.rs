//! The running hash of a client's outputs, with bodies elided and secrets left out.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::frames::{SECRET_FIELDS, carries_message};
use crate::client::Output;
use crate::id::ChannelId;
use crate::remoting::{FRAME_BYTES_MAX, FrameDecoder, RemotingCommand};

/// Sees outputs and keeps their hash: FNV-1a with 128 bits, over a text of each.
pub(in crate::driver) struct Trace {
    hash: u128,
    outputs: u64,
    decoders: BTreeMap<ChannelId, FrameDecoder>,
    /// The texts since the last look, when somebody wants to see them.
    pub(in crate::driver) texts: Option<Vec<String>>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            hash: 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D,
            outputs: 0,
            decoders: BTreeMap::new(),
            texts: None,
        }
    }
}

impl Trace {
    /// Takes an output in. [`Output::Wait`] counts too: a deadline is a decision.
    pub(in crate::driver) fn output(&mut self, output: &Output) {
        self.outputs += 1;
        let mut text = Text { hash: self.hash, text: self.texts.is_some().then(String::new) };
        // Writing to a hash or a string can't fail.
        let _ = self.describe(output, &mut text);
        self.hash = text.hash;
        if let (Some(texts), Some(text)) = (&mut self.texts, text.text) {
            texts.push(text);
        }
    }

    /// The hash of everything so far.
    pub(in crate::driver) fn hash(&self) -> u128 {
        self.hash
    }

    /// How many outputs there were.
    pub(in crate::driver) fn outputs(&self) -> u64 {
        self.outputs
    }

    fn describe(&mut self, output: &Output, text: &mut Text) -> fmt::Result {
        match output {
            Output::Transmit { channel, chunks } => {
                write!(text, "transmit {channel:?}")?;
                let new = || FrameDecoder::new(FRAME_BYTES_MAX);
                let decoder = self.decoders.entry(*channel).or_insert_with(new);
                for chunk in chunks {
                    decoder.buffer_mut().extend_from_slice(chunk);
                }
                loop {
                    match decoder.next_frame() {
                        Ok(Some(command)) => describe_frame(&command, text)?,
                        Ok(None) => return write!(text, " and {} bytes", decoder.buffered()),
                        Err(error) => return write!(text, " {error}"),
                    }
                }
            }
            Output::Close { channel, .. } => {
                self.decoders.remove(channel);
                write!(text, "{output:?}")
            }
            other => write!(text, "{other:?}"),
        }
    }
}

fn describe_frame(command: &RemotingCommand, text: &mut Text) -> fmt::Result {
    let RemotingCommand { code, language, version, opaque, flag, remark, ext, body } = command;
    write!(text, " [{code} opaque {opaque} flag {flag} {language:?} {version} {remark:?}")?;
    for (key, value) in ext.iter() {
        if !SECRET_FIELDS.contains(&&*key) {
            write!(text, " {key}={value:?}")?;
        }
    }
    if carries_message(command) {
        write!(text, " body {}]", body.len())
    } else {
        write!(text, " body {}]", body.escape_ascii())
    }
}

/// Text on its way into the hash.
struct Text {
    hash: u128,
    text: Option<String>,
}

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        const PRIME: u128 = (1 << 88) + 0x13B;
        self.hash = part.bytes().fold(self.hash, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
        if let Some(text) = &mut self.text {
            text.push_str(part);
        }
        Ok(())
    }
}

/// How a hash is shown.
pub(in crate::driver) fn shown(hash: u128) -> String {
    format!("{hash:032x}")
}
