//! What is wrong with a selector, and where.

/// A mistake in a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct SelectorError {
    /// The column of the mistake, in characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl SelectorError {
    /// A mistake at this byte of `text`.
    pub(super) fn at(text: &str, byte: usize, message: String) -> Self {
        let before = text.char_indices().take_while(|(at, _)| *at < byte);
        Self {
            column: before.count() + 1,
            message,
        }
    }
}
