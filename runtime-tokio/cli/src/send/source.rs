//! Where the messages to send come from.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;
use rocketmq_client_tokio::Message;
use tokio::sync::mpsc;

use crate::args::SendArgs;
use crate::error::CliError;

/// No broker takes a longer body unless it is told to.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// Lines that are read ahead.
const LINES_AHEAD: usize = 1_024;

/// Messages, one after the other.
#[derive(Debug)]
pub(super) struct Source {
    template: Message,
    bodies: Bodies,
}

#[derive(Debug)]
enum Bodies {
    /// The template, so many times more.
    Same { total: u64, left: u64 },
    /// Lines, read by a thread of their own: a terminal may be slow.
    Lines { lines: mpsc::Receiver<Result<Bytes, CliError>>, blank: Arc<AtomicU64>, name: String },
}

impl Source {
    /// # Errors
    /// The file can't be opened, or there is nothing to send.
    pub(super) fn open(args: &SendArgs) -> Result<Self, CliError> {
        let piped = args.body.is_none() && args.size.is_none() && args.file.is_none();
        if piped && (!is_piped() || args.count != 1) {
            return Err(CliError::Usage(
                "nothing to send: give BODY, --size or --file, or pipe lines in; for more, try '--help'"
                    .to_owned(),
            ));
        }
        let standard_input = piped.then(|| Path::new("-"));
        let body = match (args.size, &args.body) {
            (Some(size), _) => filler(size),
            (None, Some(body)) => Bytes::copy_from_slice(body.as_bytes()),
            (None, None) => Bytes::new(),
        };
        let bodies = match args.file.as_deref().or(standard_input) {
            Some(path) => lines(path)?,
            None => Bodies::Same { total: args.count, left: args.count },
        };
        Ok(Self { template: template(args, body), bodies })
    }

    /// How many messages there are in all, where that is known.
    pub(super) fn total(&self) -> Option<u64> {
        match self.bodies {
            Bodies::Same { total, .. } => Some(total),
            Bodies::Lines { .. } => None,
        }
    }

    /// How many lines were left out so far, because they were blank.
    pub(super) fn blank_lines(&self) -> u64 {
        match &self.bodies {
            Bodies::Same { .. } => 0,
            Bodies::Lines { blank, .. } => blank.load(Ordering::Relaxed),
        }
    }

    /// That it had nothing, for people.
    pub(super) fn had_nothing(&self) -> CliError {
        CliError::Failed(match &self.bodies {
            Bodies::Lines { name, .. } if name != "-" => format!("nothing in {name}: nothing was sent"),
            Bodies::Lines { .. } => "nothing on standard input: nothing was sent".to_owned(),
            Bodies::Same { .. } => "nothing was sent".to_owned(),
        })
    }

    /// The next message. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Result<Message, CliError>> {
        match &mut self.bodies {
            Bodies::Same { left, .. } => {
                *left = left.checked_sub(1)?;
                Some(Ok(self.template.clone()))
            }
            Bodies::Lines { lines, .. } => {
                let line = lines.recv().await?;
                Some(line.map(|body| {
                    let mut message = self.template.clone();
                    message.body = body;
                    message
                }))
            }
        }
    }
}

fn template(args: &SendArgs, body: Bytes) -> Message {
    let mut message = Message::new(args.topic.as_str(), body);
    if let Some(tag) = &args.tag {
        message = message.tag(tag);
    }
    if !args.key.is_empty() {
        message = message.keys(&args.key);
    }
    args.property.iter().fold(message, |message, (name, value)| message.property(name, value))
}

/// Letters that don't compress to nothing and can be read.
fn filler(size: usize) -> Bytes {
    let mut state = 1_u32;
    let letter = |_| {
        // Knuth's and Lewis' constants; any sequence would do.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 24) as u8 % 26
    };
    (0..size).map(letter).collect()
}

/// Whether standard input is something to read to its end: a pipe, a file or a socket. No terminal, at which nobody
/// may sit, and no `/dev/null`, which services have.
fn is_piped() -> bool {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        use std::os::unix::fs::FileTypeExt;
        let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
        let kind = input.and_then(|input| input.metadata()).map(|metadata| metadata.file_type());
        kind.is_ok_and(|kind| kind.is_fifo() || kind.is_file() || kind.is_socket())
    }
    #[cfg(not(unix))]
    !std::io::IsTerminal::is_terminal(&io::stdin())
}

fn lines(path: &Path) -> Result<Bodies, CliError> {
    let name = path.display().to_string();
    let input: Box<dyn Read + Send> = if name == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| unreadable(&name, &error))?)
    };
    let (sender, lines) = mpsc::channel(LINES_AHEAD);
    let blank = Arc::new(AtomicU64::new(0));
    let (seen, told) = (blank.clone(), name.clone());
    // Not one of the runtime's threads: nobody waits for this one when it hangs at a terminal.
    thread::spawn(move || {
        let mut input = BufReader::new(input);
        let mut number = 0;
        while let Some(line) = next_line(&mut input, &mut number, &seen, &told) {
            let ended = line.is_err();
            if sender.blocking_send(line).is_err() || ended {
                return;
            }
        }
    });
    Ok(Bodies::Lines { lines, blank, name })
}

/// The next line that is not empty, without its end. Empty ones are counted.
fn next_line(
    input: &mut impl BufRead,
    number: &mut u64,
    blank: &AtomicU64,
    name: &str,
) -> Option<Result<Bytes, CliError>> {
    loop {
        *number += 1;
        let mut line = Vec::new();
        // Two more than allowed: the end of the line may be two bytes.
        if let Err(error) = input.take(LINE_BYTES_MAX + 2).read_until(b'\n', &mut line) {
            return Some(Err(unreadable(name, &error)));
        }
        if line.is_empty() {
            return None;
        }
        if line.ends_with(b"\n") {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
        }
        if line.len() as u64 > LINE_BYTES_MAX {
            let told = format!("line {number} of {name} is longer than {LINE_BYTES_MAX} bytes; split it");
            return Some(Err(CliError::Failed(told)));
        }
        if !line.is_empty() {
            return Some(Ok(line.into()));
        }
        blank.fetch_add(1, Ordering::Relaxed);
    }
}

fn unreadable(name: &str, error: &io::Error) -> CliError {
    CliError::Failed(format!("can't read {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<Result<Bytes, String>> {
        let (mut input, mut number, blank) = (text, 0, AtomicU64::new(0));
        let lines = std::iter::from_fn(|| next_line(&mut input, &mut number, &blank, "test"));
        lines.map(|line| line.map_err(|error| error.to_string())).take(10).collect()
    }

    #[test]
    fn lines_lose_their_ends_and_empty_ones_are_left_out() {
        let lines = all(b"one\n\ntwo\r\n\r\n three \nlast");
        let bodies = ["one", "two", " three ", "last"].map(|body| Ok(Bytes::from(body)));
        assert_eq!(lines, bodies);
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\n"), []);
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let max = usize::try_from(LINE_BYTES_MAX).expect("4 MiB");
        let mut text = b"ok\n".to_vec();
        text.extend(vec![b'x'; max]);
        text.extend(b"\r\n");
        assert_eq!(all(&text)[1].as_ref().map(Bytes::len), Ok(max));
        text.truncate(text.len() - 2);
        text.push(b'x');
        assert!(all(&text)[1].as_ref().expect_err("too long").contains("line 2"));
    }

    #[test]
    fn a_filler_has_the_size_that_was_asked_for() {
        assert_eq!(filler(0).len(), 0);
        assert_eq!(filler(1_000).len(), 1_000);
        assert!(filler(1_000).iter().all(u8::is_ascii_lowercase));
    }
}
