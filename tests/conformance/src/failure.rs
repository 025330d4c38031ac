//! How a scenario ends when it does not simply succeed.

use std::fmt::Display;

/// What a scenario comes to.
pub type Verdict<T = ()> = Result<T, Failure>;

/// Why a scenario ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Something was not as it has to be.
    Failed(String),
    /// It says nothing about this broker or adapter, and never will; the table shows the reason.
    DoesNotApply(&'static str),
    /// Something that it needs was missing this time; it is counted, and the table shows the reason.
    Skipped(&'static str),
}

/// Whatever can be shown ends a scenario by `?`.
impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Ends the scenario unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err($crate::Failure::Failed(format!($($words)+)));
        }
    };
}

/// Ends the scenario unless both are equal.
macro_rules! ensure_eq {
    ($actual:expr, $expected:expr, $what:literal) => {
        match (&$actual, &$expected) {
            (actual, expected) if actual != expected => {
                let words = format!("{}: {actual:?}, expected {expected:?}", $what);
                return Err($crate::Failure::Failed(words));
            }
            _ => {}
        }
    };
}

/// Ends the scenario unless the value is of this shape.
macro_rules! ensure_matches {
    ($actual:expr, $pattern:pat $(if $guard:expr)?, $what:literal) => {
        match &$actual {
            $pattern $(if $guard)? => {}
            actual => {
                let expected = stringify!($pattern $(if $guard)?);
                let words = format!("{}: {actual:?}, expected {expected}", $what);
                return Err($crate::Failure::Failed(words));
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq, ensure_matches};
