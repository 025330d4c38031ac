//! Frames: the same ones however their bytes arrive, and the same ones again once they are rewritten.

use super::super::{
    Encoder, ExtFields, FRAME_BYTES_MAX, FrameDecoder, FrameError, LanguageCode, RemotingCommand,
    SerializeType,
};
use crate::rng::Rng;

/// What a decoder may reserve beyond twice what has arrived: a buffer doubles, and a frame that is announced
/// gets a bit in advance.
const SPARE_BYTES: usize = 128 << 10;

/// Cuts `bytes` into frames, in one piece and in many, and writes each again.
///
/// # Panics
/// When the frames depend on how the bytes arrive, a decoder takes more memory than it may, an error doesn't
/// stay, or a rewritten frame is another one.
#[doc(hidden)]
pub fn fuzz_frame(bytes: &[u8]) {
    let mut whole = FrameDecoder::new(FRAME_BYTES_MAX);
    whole.buffer_mut().extend_from_slice(bytes);
    let mut pieces = Pieces::new(bytes);
    loop {
        match (whole.next_frame(), pieces.next_frame()) {
            (Ok(Some(command)), Ok(Some(again))) => {
                assert_same(&command, &again);
                assert!(command.ext.index_agrees(), "what was noted when the frame was cut is what is there");
                rewrite(&command);
            }
            (Ok(None), Ok(None)) => break assert_eq!(whole.buffered(), pieces.decoder.buffered()),
            (Err(error), Err(again)) => {
                assert_eq!(error, again, "an error depends on how the bytes arrive");
                break assert!(matches!(whole.next_frame(), Err(same) if same == error), "an error stays");
            }
            (command, again) => panic!("{command:?}, but in pieces {again:?}"),
        }
    }
    let most = bytes.len() * 2 + SPARE_BYTES;
    for decoder in [&mut whole, &mut pieces.decoder] {
        let reserved = decoder.buffer_mut().capacity();
        assert!(reserved <= most, "{reserved} bytes are reserved for {} that arrived", bytes.len());
    }
}

/// Hands bytes to a decoder piece by piece, as long as it has no frame.
struct Pieces<'b> {
    decoder: FrameDecoder,
    rest: &'b [u8],
    /// How long the pieces may be.
    piece_len_max: u64,
    rng: Rng,
}

impl<'b> Pieces<'b> {
    /// The pieces depend on the bytes alone, so that a finding can be repeated.
    fn new(bytes: &'b [u8]) -> Self {
        let mut seed = [0; 8];
        seed.iter_mut().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from);
        let mut rng = Rng::new(u64::from_le_bytes(seed) ^ bytes.len() as u64);
        // Byte by byte where that is soon done.
        let shortest = if bytes.len() <= 64 { 1 } else { 9 };
        let piece_len_max = [shortest, 16, 64, 1024][rng.below(4) as usize];
        Self { decoder: FrameDecoder::new(FRAME_BYTES_MAX), rest: bytes, piece_len_max, rng }
    }

    fn next_frame(&mut self) -> Result<Option<RemotingCommand>, FrameError> {
        loop {
            let frame = self.decoder.next_frame()?;
            if frame.is_some() || self.rest.is_empty() {
                return Ok(frame);
            }
            let len = 1 + self.rng.below(self.piece_len_max) as usize;
            let (piece, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, &[]));
            self.decoder.buffer_mut().extend_from_slice(piece);
            self.rest = rest;
        }
    }
}

fn assert_same(command: &RemotingCommand, again: &RemotingCommand) {
    assert_eq!(
        (command.code, command.language, command.version, command.opaque, command.flag),
        (again.code, again.language, again.version, again.opaque, again.flag)
    );
    assert_eq!(command.remark, again.remark);
    assert!(command.ext.iter().eq(again.ext.iter()), "{:?} became {:?}", command.ext, again.ext);
    assert_eq!(command.body, again.body);
}

/// Writes the command in one of the encodings, which its number chooses, and reads it again.
fn rewrite(command: &RemotingCommand) {
    let serialize = if command.opaque & 1 == 0 { SerializeType::Json } else { SerializeType::Rocketmq };
    let mut decoder = FrameDecoder::new(usize::MAX);
    decoder.buffer_mut().reserve(1024);
    let encoder = Encoder { serialize, ..Encoder::default() };
    let size = encoder.encode_command(decoder.buffer_mut(), command);
    assert_eq!(decoder.buffered(), size);
    let binary = decoder.buffer_mut().get(4) == Some(&SerializeType::Rocketmq.byte());
    let again = decoder.next_frame().expect("we wrote it").expect("all of it");
    assert_eq!(decoder.buffered(), 0);
    assert_same(&if binary { as_binary(command) } else { as_json(command) }, &again);
}

/// What is left of a command in JSON: everything, but a language without a name is another one.
fn as_json(command: &RemotingCommand) -> RemotingCommand {
    let language = match command.language {
        LanguageCode::Unknown => LanguageCode::Other,
        language => language,
    };
    RemotingCommand { language, ..command.clone() }
}

/// What is left of a command in the binary form, which has 16 bits for a version and no empty values.
fn as_binary(command: &RemotingCommand) -> RemotingCommand {
    let [_, _, high, low] = command.version.to_be_bytes();
    let json = as_json(command);
    RemotingCommand {
        version: i16::from_be_bytes([high, low]).into(),
        remark: json.remark.filter(|remark| !remark.is_empty()),
        ext: without_empty(json.ext),
        ..json
    }
}

fn without_empty(ext: ExtFields) -> ExtFields {
    if ext.iter().any(|(_, value)| value.is_empty()) {
        ext.iter().filter(|(_, value)| !value.is_empty()).collect()
    } else {
        ext
    }
}
