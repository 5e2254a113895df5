//! The grammar of selectors, read with `winnow`.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use winnow::LocatingSlice;
use winnow::ascii::multispace0;
use winnow::combinator::{alt, opt, peek};
use winnow::error::{ErrMode, ParserError};
use winnow::prelude::*;
use winnow::stream::Location;
use winnow::token::{any, take_while};
use wpk_api::manage::LONGEST_LABEL_KEY;
use wpk_api::words::{clean, steers};
use wpk_api::{AgentId, ConnectionStatus, Version};

use super::error::SelectorError;
use super::tree::{Node, Selector};
use super::value::{
    DEEPEST_SELECTOR, Field, LONGEST_SELECTOR, MOST_VALUES, Op, Value, is_bare, is_reserved,
};
use crate::text::from_text;

type Input<'a> = LocatingSlice<&'a str>;
type Parsed<T> = Result<T, ErrMode<Wrong>>;

/// A mistake at a byte of the text.
#[derive(Debug)]
struct Wrong {
    at: usize,
    message: String,
}

impl<'a> ParserError<Input<'a>> for Wrong {
    type Inner = Self;

    fn from_input(input: &Input<'a>) -> Self {
        Self {
            at: input.current_token_start(),
            message: "this is not understood".to_owned(),
        }
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

fn wrong<T>(at: usize, message: impl Into<String>) -> Parsed<T> {
    Err(ErrMode::Cut(Wrong {
        at,
        message: message.into(),
    }))
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// What is wrong, in which column, and what would be right.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        selector(text).map(Self)
    }
}

impl FromStr for Selector {
    type Err = SelectorError;
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Self::parse(text)
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "group = prod")
    }
}

fn selector(text: &str) -> Result<Node, SelectorError> {
    if text.len() > LONGEST_SELECTOR {
        let message = format!("a selector may be {LONGEST_SELECTOR} bytes long, this is longer");
        return Err(SelectorError::at(text, LONGEST_SELECTOR, message));
    }
    let mut input = LocatingSlice::new(text);
    match whole(&mut input) {
        Ok(node) => Ok(node),
        Err(ErrMode::Backtrack(wrong) | ErrMode::Cut(wrong)) => {
            Err(SelectorError::at(text, wrong.at, wrong.message))
        }
        Err(ErrMode::Incomplete(_)) => {
            let message = "the selector ends too early".to_owned();
            Err(SelectorError::at(text, text.len(), message))
        }
    }
}

fn whole(input: &mut Input<'_>) -> Parsed<Node> {
    space(input)?;
    let node = disjunction(input, 0)?;
    if let Some(found) = next_char(input)? {
        let message = match found {
            ')' => "this bracket closes nothing".to_owned(),
            _ => "\"and\", \"or\" or the end is expected here".to_owned(),
        };
        return wrong(input.current_token_start(), message);
    }
    Ok(node)
}

fn space(input: &mut Input<'_>) -> Parsed<()> {
    multispace0.void().parse_next(input)
}

/// The next character, which stays.
fn next_char(input: &mut Input<'_>) -> Parsed<Option<char>> {
    opt(peek(any)).parse_next(input)
}

fn disjunction(input: &mut Input<'_>, depth: usize) -> Parsed<Node> {
    let mut nodes = vec![conjunction(input, depth)?];
    while keyword(input, "or")? {
        nodes.push(conjunction(input, depth)?);
    }
    Ok(one_or(nodes, Node::Any))
}

fn conjunction(input: &mut Input<'_>, depth: usize) -> Parsed<Node> {
    let mut nodes = vec![negation(input, depth)?];
    while keyword(input, "and")? {
        nodes.push(negation(input, depth)?);
    }
    Ok(one_or(nodes, Node::All))
}

/// The only node, or all of them together. One that joins in the same way is taken
/// apart, so that brackets that mean nothing are not kept.
fn one_or(mut nodes: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    if nodes.len() == 1
        && let Some(node) = nodes.pop()
    {
        return node;
    }
    let kind = std::mem::discriminant(&join(Vec::new()));
    let flat = nodes.into_iter().flat_map(|node| {
        let same = std::mem::discriminant(&node) == kind;
        match node {
            Node::Any(inner) | Node::All(inner) if same => inner,
            other => vec![other],
        }
    });
    join(flat.collect())
}

fn negation(input: &mut Input<'_>, depth: usize) -> Parsed<Node> {
    let at = input.current_token_start();
    if depth > DEEPEST_SELECTOR {
        let message = format!("brackets and \"not\" may be {DEEPEST_SELECTOR} deep, not deeper");
        return wrong(at, message);
    }
    if keyword(input, "not")? {
        return Ok(Node::Not(Box::new(negation(input, depth + 1)?)));
    }
    if symbol(input, '(')? {
        let node = disjunction(input, depth + 1)?;
        if !symbol(input, ')')? {
            let here = input.current_token_start();
            return wrong(
                here,
                "\")\" is expected here, for the bracket that was opened",
            );
        }
        return Ok(node);
    }
    condition(input)
}

/// Whether this word of the grammar stands here; it is taken then.
fn keyword(input: &mut Input<'_>, wanted: &str) -> Parsed<bool> {
    let word = opt(peek(take_while(1.., is_bare))).parse_next(input)?;
    if !word.is_some_and(|word: &str| word.eq_ignore_ascii_case(wanted)) {
        return Ok(false);
    }
    let _: &str = take_while(1.., is_bare).parse_next(input)?;
    space(input)?;
    Ok(true)
}

fn symbol(input: &mut Input<'_>, wanted: char) -> Parsed<bool> {
    let found = opt(wanted).parse_next(input)?.is_some();
    if found {
        space(input)?;
    }
    Ok(found)
}

const FIELDS: &str = "group, label.NAME, name, id, version, platform, arch, site, node or status";

fn field(input: &mut Input<'_>) -> Parsed<Field> {
    let at = input.current_token_start();
    let word: &str = take_while(0.., is_bare).parse_next(input)?;
    if word.is_empty() {
        return wrong(at, format!("a field is expected here: {FIELDS}"));
    }
    if let Some((_, field)) = Field::PLAIN.iter().find(|(plain, _)| *plain == word) {
        return Ok(field.clone());
    }
    let Some(key) = word.strip_prefix("label.") else {
        let word = clean(word, 40);
        return wrong(at, format!("{word:?} is no field: write {FIELDS}"));
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    if key.is_empty() || key.len() > LONGEST_LABEL_KEY || !key.chars().all(allowed) {
        return wrong(
            at,
            "the key of a label is 1 to 64 letters, digits, '.', '_', '-' or '/': label.site",
        );
    }
    Ok(Field::Label(key.to_owned()))
}

fn condition(input: &mut Input<'_>) -> Parsed<Node> {
    let field = field(input)?;
    space(input)?;
    let at = input.current_token_start();
    if keyword(input, "in")? {
        return Ok(Node::In(field.clone(), list(input, &field)?));
    }
    let Some(op) = opt(op).parse_next(input)? else {
        return wrong(at, "=, !=, <, <=, >, >= or in is expected here");
    };
    if !matches!(op, Op::Equal | Op::NotEqual) && !field.is_ordered() {
        let message = format!("{op} compares id and version only: write = or != for {field}");
        return wrong(at, message);
    }
    space(input)?;
    let value_at = input.current_token_start();
    let value = value(input, &field, Some(op))?;
    if let Value::Ids(first, last) = value
        && first != last
        && !matches!(op, Op::Equal | Op::NotEqual)
    {
        return wrong(value_at, format!("{op} takes one id, not a range"));
    }
    Ok(Node::Is(field, op, value))
}

fn op(input: &mut Input<'_>) -> Parsed<Op> {
    let [a, b, c, d, e, f] = Op::ALL;
    alt((
        a.0.value(a.1),
        b.0.value(b.1),
        c.0.value(c.1),
        d.0.value(d.1),
        e.0.value(e.1),
        f.0.value(f.1),
    ))
    .parse_next(input)
}

fn list(input: &mut Input<'_>, field: &Field) -> Parsed<Vec<Value>> {
    if !symbol(input, '(')? {
        let at = input.current_token_start();
        return wrong(at, "\"(\" is expected after \"in\": in (a, b)");
    }
    let mut values = Vec::new();
    loop {
        if values.len() == MOST_VALUES {
            let at = input.current_token_start();
            return wrong(at, format!("a list may have {MOST_VALUES} values"));
        }
        values.push(value(input, field, None)?);
        if symbol(input, ')')? {
            return Ok(values);
        }
        if !symbol(input, ',')? {
            let at = input.current_token_start();
            return wrong(at, "\",\" or \")\" is expected here");
        }
    }
}

/// What a field is compared with, by `op` unless it stands in a list.
fn value(input: &mut Input<'_>, field: &Field, op: Option<Op>) -> Parsed<Value> {
    let at = input.current_token_start();
    let text = match next_char(input)? {
        Some('"') => quoted(input)?,
        _ => {
            let word: &str = take_while(0.., is_bare).parse_next(input)?;
            if word.is_empty() {
                let message = format!("a value for {field} is expected here, in quotes if need be");
                return wrong(at, message);
            }
            if is_reserved(word) {
                return wrong(
                    at,
                    format!("{word:?} is a word of selectors: put it in quotes"),
                );
            }
            word.to_owned()
        }
    };
    space(input)?;
    typed(field, op, text, at)
}

fn quoted(input: &mut Input<'_>) -> Parsed<String> {
    let start = input.current_token_start();
    let _ = any.parse_next(input)?;
    let mut text = String::new();
    loop {
        let at = input.current_token_start();
        match opt(any).parse_next(input)? {
            None => return wrong(start, "these quotes are not closed"),
            Some('"') => return Ok(text),
            Some('\\') => match opt(any).parse_next(input)? {
                Some(c @ ('"' | '\\')) => text.push(c),
                _ => return wrong(at, "only \\\" and \\\\ may stand behind a \\"),
            },
            Some(c) if steers(c) => return wrong(at, "control characters are not allowed"),
            Some(c) => text.push(c),
        }
    }
}

/// The first of the versions that share two numbers, `v4.14`.
fn first_of(text: &str) -> Option<Version> {
    (text.matches('.').count() == 1)
        .then(|| format!("{text}.0").parse().ok())
        .flatten()
}

fn typed(field: &Field, op: Option<Op>, text: String, at: usize) -> Parsed<Value> {
    match field {
        Field::Version => match (text.parse::<Version>(), first_of(&text)) {
            (Ok(version), _) => Ok(Value::Version(version)),
            // Below all of them, or not below any: that is one place in the order.
            (Err(_), Some(first)) if matches!(op, Some(Op::Less | Op::GreaterOrEqual)) => {
                Ok(Value::Version(first))
            }
            (Err(_), Some(_)) => {
                let text = clean(&text, 40);
                let message = format!(
                    "{text:?} stands for several versions, which only < and >= compare with: \
                     write vX.Y.Z"
                );
                wrong(at, message)
            }
            (Err(error), None) => wrong(at, error.to_string()),
        },
        Field::Id => match ids(&text) {
            Some((first, last)) => Ok(Value::Ids(first, last)),
            None => {
                let text = clean(&text, 40);
                let message = format!("{text:?} is no id and no range: write 7 or 10-20");
                wrong(at, message)
            }
        },
        Field::Status => match ConnectionStatus::from_word(&text) {
            ConnectionStatus::Unknown => wrong(
                at,
                "a status is active, pending, disconnected or never_connected",
            ),
            status => Ok(Value::Status(status)),
        },
        Field::Name | Field::Label(_) => Ok(Value::Text(text)),
        _ if text.contains('*') => wrong(
            at,
            format!("* stands for any characters in name only, not in {field}"),
        ),
        _ => Ok(Value::Text(text)),
    }
}

fn ids(text: &str) -> Option<(AgentId, AgentId)> {
    let id = |text: &str| {
        let digits = (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits)?;
        AgentId::new(number).ok()
    };
    match text.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (id(first)?, id(last)?);
            (first <= last).then_some((first, last))
        }
        None => id(text).map(|id| (id, id)),
    }
}
