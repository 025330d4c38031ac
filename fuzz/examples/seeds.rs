//! Writes the seeds (`corpus/*/*.seed`) and the dictionaries (`dict/*.dict`) anew:
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.
//!
//! The seeds are what the Java client wrote (`tests/golden`), the dictionaries the names in the core's
//! declarations; so the same sources give the same files.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use rocketmq_client_core::driver::compress::{Compression, LEVEL_DEFAULT, compress};
use rocketmq_client_core::message::{StoredMessage, sys_flag};
use rocketmq_client_core::rng::Rng;
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    frame()?;
    body()?;
    message()?;
    roundtrip()?;
    inflate()?;
    dictionaries()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn golden(file: &str) -> Result<Vec<Value>> {
    let text = fs::read_to_string(root().join("tests/golden").join(file))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn unhex(digits: &str) -> Result<Vec<u8>> {
    (0..digits.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&digits[at..at + 2], 16)?)).collect()
}

/// The bytes that the vectors of `file` keep under `key`, each once.
fn bytes_of(file: &str, key: &str) -> Result<BTreeSet<Vec<u8>>> {
    golden(file)?.iter().filter_map(|line| line[key].as_str()).map(unhex).collect()
}

fn texts_of(file: &str, key: &str) -> Result<BTreeSet<Vec<u8>>> {
    Ok(golden(file)?
        .iter()
        .filter_map(|line| line[key].as_str())
        .map(|text| text.as_bytes().to_vec())
        .collect())
}

/// Replaces the seeds of a target; what a fuzzer found beside them stays.
fn write(target: &str, seeds: impl IntoIterator<Item = Vec<u8>>) -> Result<()> {
    let folder = root().join("fuzz/corpus").join(target);
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "seed") {
            fs::remove_file(path)?;
        }
    }
    let seeds: BTreeSet<Vec<u8>> = seeds.into_iter().filter(|seed| !seed.is_empty()).collect();
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("{number:03}.seed")), seed)?;
    }
    println!("{target}: {} seeds, {} bytes", seeds.len(), seeds.iter().map(Vec::len).sum::<usize>());
    Ok(())
}

fn frame() -> Result<()> {
    let frames = bytes_of("commands.jsonl", "frame_hex")?;
    let stream = frames.iter().step_by(40).flatten().copied().collect();
    let others =
        [&b"HTTP/1.1 400 Bad Request\r\n"[..], &[0x16, 3, 1, 2, 0, 1], &[0, 0xFF, 0xFF, 0xF0, 0, 0, 0, 2]];
    let deep = [b"\0\0\0\x6C\0\0\0\x68{\"x\":", &[b'['; 99][..]].concat();
    write("frame", frames.iter().cloned().chain([stream, deep]).chain(others.map(Vec::from)))
}

fn body() -> Result<()> {
    let mut seeds = texts_of("bodies.jsonl", "json")?;
    seeds.extend(texts_of("bodies.jsonl", "line")?);
    seeds.extend(texts_of("subscription.jsonl", "json")?);
    seeds.extend(texts_of("subscription.jsonl", "sub_string")?);
    let part = |text: &str| [&u32::try_from(text.len()).unwrap_or(0).to_be_bytes(), text.as_bytes()].concat();
    let registration = [
        part(r#"{"counter":3,"stateVersion":1,"timestamp":1700000000000}"#),
        vec![0, 0, 0, 1],
        part(r#"T1 4 4 6 SINGLE_TAG {"a":"b"}"#),
        part(r#"["127.0.0.1:1"]"#),
        vec![0, 0, 0, 1],
        part(r#"{"bname":"b","currIdMap":{0:1},"dirty":false,"epoch":1,"topic":"T1","totalQueues":1}"#),
    ];
    seeds.insert(registration.concat());
    write("body", seeds)
}

fn message() -> Result<()> {
    let records = bytes_of("messages.jsonl", "encoded_hex")?;
    let answer: Vec<u8> =
        records.iter().filter(|record| record.len() < 400).take(10).flatten().copied().collect();
    let mut torn = answer.clone();
    // The second record has another magic number.
    if let Some(first) = records.iter().find(|record| record.len() < 400) {
        torn[first.len() + 7] ^= 1;
    }
    let mut seeds = records;
    seeds.extend([answer, torn]);
    seeds.extend(bytes_of("batch_bodies.jsonl", "body_hex")?);
    seeds.extend(bytes_of("properties.jsonl", "utf8_hex")?);
    seeds.extend(texts_of("trace.jsonl", "data")?);
    seeds.extend(texts_of("message_ids.jsonl", "id")?);
    seeds.extend(texts_of("names.jsonl", "wrap")?);
    for text in [
        "40 1700000000000 60000 3 1 broker-a 1 42",
        "0 1 5;1 2 6",
        "0 1 5,6,7;2 3 8",
        "0 1 2;0 qo1%7 3",
        "djEgVG9waWMgYnJva2VyLWEgMTcwMDAwMDAwMDAwMCAwQTAxMDIwMzEyMzQwMTAyMDMwNDQ3Qjc2MDdCMDAwMA==",
    ] {
        seeds.insert(text.into());
    }
    write("message", seeds.into_iter().filter(|seed| seed.len() <= 4096))
}

fn roundtrip() -> Result<()> {
    let mut rng = Rng::new(0);
    let mut seeds = Vec::new();
    for kind in 0..7 {
        for len in [16, 64, 200, 500] {
            let drawn = (0..len).map(|_| (rng.next_u64() % 256) as u8);
            seeds.push([kind].into_iter().chain(drawn).collect());
        }
    }
    // The fields of each kind of command, for any header.
    for (number, line) in golden("commands.jsonl")?.iter().step_by(4).enumerate() {
        let Some(fields) = line["ext_fields"].as_object() else { continue };
        let mut seed = vec![2, number as u8, 0, number as u8, 0, fields.len().min(7) as u8];
        for (key, value) in fields {
            for text in [key, value.as_str().unwrap_or_default()] {
                let text = &text.as_bytes()[..text.len().min(23)];
                seed.push(text.len() as u8);
                seed.extend_from_slice(text);
            }
        }
        seeds.push(seed);
    }
    // And the frames themselves, for the header of their code.
    let frames = bytes_of("commands.jsonl", "frame_hex")?;
    seeds.extend(frames.into_iter().step_by(3).map(|frame| [&[7], &*frame].concat()));
    write("roundtrip", seeds)
}

fn inflate() -> Result<()> {
    const CAP: u8 = 18;
    let mut seeds = BTreeSet::new();
    for record in bytes_of("messages.jsonl", "encoded_hex")? {
        let Ok(message) = StoredMessage::decode(&record.into()) else { continue };
        if message.is_compressed() && message.raw_body().len() <= 4096 {
            let kind = ((message.sys_flag & sys_flag::COMPRESSION_MASK) >> 8) as u8;
            seeds.insert([&[kind, CAP][..], message.raw_body()].concat());
        }
    }
    for kind in [Compression::Zlib, Compression::Lz4, Compression::Zstd] {
        for body in [&b"a body, a body, a body"[..], &[0; 300_000]] {
            let bits = (kind.bits() >> 8) as u8;
            seeds.insert([&[bits, CAP][..], &compress(kind, LEVEL_DEFAULT, body)?].concat());
        }
        // To be compressed, not to be inflated.
        seeds.insert([&[0x80 | (kind.bits() >> 8) as u8, CAP][..], b"a body, a body, a body"].concat());
    }
    write("inflate", seeds)
}

fn dictionaries() -> Result<()> {
    let headers = names("core/src/remoting/headers")?;
    let keys = names("core/src/remoting/body")?;
    let properties = names("core/src/message/property.rs")?;
    let command =
        ["code", "extFields", "flag", "language", "opaque", "remark", "version", "JAVA", "null", "{}"];
    let json =
        ["null", "true", "false", "{}", "[]", ":", ",", "\\u0001", "\\\"", "'", "1e400", "NaN", "-1", "{{"];
    let magic: [&[u8]; 10] = [
        &[0xDA, 0xA3, 0x20, 0xA7],
        &[0xDA, 0xA3, 0x20, 0xAB],
        &[0x7F, 0xFF, 0xFF, 0xFF],
        &[0xFF; 4],
        &[0, 0, 0, 91],
        &[0, 0, 0, 22],
        b"\x01",
        b"\x02",
        b"Pub\x01",
        b"SubAfter\x01",
    ];
    let compressed: [&[u8]; 7] = [
        &[0x78, 0x9C],
        &[0x04, 0x22, 0x4D, 0x18],
        &[0x5A, 0x2A, 0x4D, 0x18],
        &[0x28, 0xB5, 0x2F, 0xFD],
        &[0x60, 0x40],
        &[0x40, 0x40],
        &[0, 0, 0, 0],
    ];
    let bytes = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<BTreeSet<_>>();
    let all = |parts: &[&BTreeSet<Vec<u8>>]| parts.iter().flat_map(|part| part.iter().cloned()).collect();
    let sets: [(&str, BTreeSet<Vec<u8>>); 5] = [
        ("frame", all(&[&headers, &bytes(&command), &bytes(&json)])),
        ("body", all(&[&keys, &bytes(&json)])),
        ("message", all(&[&properties, &magic.map(Vec::from).into()])),
        ("roundtrip", all(&[&headers])),
        ("inflate", compressed.map(Vec::from).into()),
    ];
    let folder = root().join("fuzz/dict");
    fs::create_dir_all(&folder)?;
    for (target, entries) in sets {
        let mut text = String::new();
        for entry in entries {
            text.push('"');
            for byte in entry {
                match byte {
                    b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
                    b' '..=b'~' => text.push(char::from(byte)),
                    _ => text.push_str(&format!("\\x{byte:02X}")),
                }
            }
            text.push_str("\"\n");
        }
        fs::write(folder.join(format!("{target}.dict")), text)?;
    }
    Ok(())
}

/// The names on the wire that a file, or the files of a folder, declare: texts in quotes that look like one.
fn names(path: &str) -> Result<BTreeSet<Vec<u8>>> {
    let path = root().join(path);
    let mut files = vec![path.clone()];
    if path.is_dir() {
        files = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    }
    let mut names = BTreeSet::new();
    for file in files {
        // Tests and their vectors stand behind the declarations.
        let text = fs::read_to_string(&file)?;
        let declared = text.split("#[cfg(test)]").next().unwrap_or_default();
        if file.file_name().is_some_and(|name| name == "golden.rs") {
            continue;
        }
        for name in declared.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(quoted) {
            if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                names.insert(name.as_bytes().to_vec());
            }
        }
    }
    Ok(names)
}

/// What stands in quotes on a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}
