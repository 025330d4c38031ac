//! Settings of a server as text: shown to tools, changed by them. Java: `Configuration`.

use std::sync::Arc;

use bytes::Bytes;
use rocketmq_client_core::remoting::{ConfigText, ResponseCode};

use crate::asker::Refusal;

/// One setting by its name in Java.
pub(crate) struct Setting<C> {
    pub(crate) name: &'static str,
    pub(crate) show: fn(&C) -> String,
    /// Takes a new value. As in Java a value that can't be read changes nothing.
    pub(crate) change: fn(&mut C, &str),
}

/// A setting that is `true` or `false`.
macro_rules! bool_setting {
    ($name:literal, $field:ident) => {
        $crate::settings::Setting {
            name: $name,
            show: |config| config.$field.to_string(),
            change: |config, value| config.$field = value.eq_ignore_ascii_case("true"),
        }
    };
}

/// A setting that is a number.
macro_rules! number_setting {
    ($name:literal, $field:ident) => {
        $crate::settings::Setting {
            name: $name,
            show: |config| config.$field.to_string(),
            change: |config, value| config.$field = value.parse().unwrap_or(config.$field),
        }
    };
}

/// A time in milliseconds.
macro_rules! millis_setting {
    ($name:literal, $field:ident) => {
        $crate::settings::Setting {
            name: $name,
            show: |config| config.$field.as_millis().to_string(),
            change: |config, value| {
                config.$field = value.parse().map_or(config.$field, std::time::Duration::from_millis);
            },
        }
    };
}

/// A time in seconds.
macro_rules! seconds_setting {
    ($name:literal, $field:ident) => {
        $crate::settings::Setting {
            name: $name,
            show: |config| config.$field.as_secs().to_string(),
            change: |config, value| {
                config.$field = value.parse().map_or(config.$field, std::time::Duration::from_secs);
            },
        }
    };
}

pub(crate) use {bool_setting, millis_setting, number_setting, seconds_setting};

/// All settings as text.
pub(crate) fn show<C>(settings: &[Setting<C>], config: &C) -> Result<Bytes, Refusal> {
    let entries = settings.iter().map(|setting| (setting.name.into(), (setting.show)(config).into()));
    let text = ConfigText { entries: entries.collect() };
    text.encode().map_err(|error| Refusal::new(ResponseCode::SYSTEM_ERROR, error.to_string()))
}

/// Changes the settings that a text names and `settings` know; the others are ignored, as in Java.
pub(crate) fn change<C>(
    settings: &[Setting<C>],
    config: &mut C,
    fixed: &[&str],
    text: &[u8],
) -> Result<(), Refusal> {
    let text = ConfigText::decode_update(text)
        .map_err(|error| Refusal::new(ResponseCode::SYSTEM_ERROR, error.to_string()))?;
    if fixed.iter().any(|name| text.entries.contains_key(*name)) {
        return Err(Refusal::new(ResponseCode::NO_PERMISSION, "Can not update config in black list."));
    }
    let known = |(name, value): (&Arc<str>, &Arc<str>)| {
        let setting = settings.iter().find(|setting| setting.name == &**name)?;
        Some((setting.change, value.clone()))
    };
    for (change, value) in text.entries.iter().filter_map(known) {
        change(config, &value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Config {
        on: bool,
        size: usize,
        wait: Duration,
    }

    const SETTINGS: &[Setting<Config>] =
        &[bool_setting!("on", on), number_setting!("size", size), millis_setting!("wait", wait)];

    #[test]
    fn a_change_takes_what_it_can_read_and_leaves_the_rest() {
        let mut config = Config { on: false, size: 1, wait: Duration::ZERO };
        change(SETTINGS, &mut config, &[], b"on=TRUE\nsize=x\nwait=7\nnobody=1").unwrap();
        assert_eq!(&show(SETTINGS, &config).unwrap()[..], b"on=true\nsize=1\nwait=7\n");
    }

    #[test]
    fn a_fixed_setting_refuses_the_whole_change() {
        let mut config = Config { on: false, size: 1, wait: Duration::ZERO };
        let refused = change(SETTINGS, &mut config, &["home"], b"on=true\nhome=/").unwrap_err();
        assert_eq!((refused.code, config.on), (ResponseCode::NO_PERMISSION, false));
    }
}
