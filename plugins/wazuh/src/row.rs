//! A row of the agent table as the database daemon answers it (PROTOCOL.md,
//! section 9).
//!
//! Columns are found whatever the case of their names is, and may be texts,
//! numbers or null; other columns are skipped unread (the row also holds the
//! agent's key, which must not end up anywhere).

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use wpk_api::{AgentId, AgentInfo, ConnectionStatus, Platform};

/// The word in front of a last (or only) answer, and of one with more to come.
const OK: &str = "ok ";
const DUE: &str = "due ";
/// How much of an unreadable answer is shown.
const SHOWN: usize = 80;

/// The agent described by the answer to `get-agent-info`.
///
/// # Errors
/// Why there is none in it.
pub(crate) fn agent(answer: &[u8], asked: AgentId) -> Result<AgentInfo, String> {
    described(first(answer)?, asked)
}

/// What an answer in a row says.
pub(crate) enum Said {
    /// Who the agent is.
    Agent(AgentInfo),
    /// Nothing of any agent, and why.
    Nothing(String),
}

/// As [`agent`], of an answer in a row.
///
/// # Errors
/// It is about another agent, or does not say about which: it may answer another question.
pub(crate) fn said(answer: &[u8], asked: AgentId) -> Result<Said, String> {
    match first(answer) {
        Ok(row) if row.id.is_none() => {
            Err("the database does not say which agent it is".to_owned())
        }
        Ok(row) => described(row, asked).map(Said::Agent),
        Err(reason) => Ok(Said::Nothing(reason)),
    }
}

/// Whether it is about another agent than was asked for.
pub(crate) fn is_anothers(answer: &[u8], asked: AgentId) -> bool {
    let id = first(answer).ok().and_then(|row| row.id);
    id.is_some_and(|id| id.parse() != Ok(asked.get()))
}

fn first(answer: &[u8]) -> Result<Row, String> {
    let text = text(answer)?;
    let rows = text.strip_prefix(OK).ok_or_else(|| says(text))?;
    let FirstRow(row) = serde_json::from_str(rows).map_err(|error| unreadable(&error))?;
    Ok(row.ok_or("the database knows no such agent")?)
}

fn described(row: Row, asked: AgentId) -> Result<AgentInfo, String> {
    match row.id.as_deref().map(str::parse::<u32>) {
        None => {}
        Some(Ok(id)) if id == asked.get() => {}
        Some(_) => return Err("the database answered about another agent".to_owned()),
    }
    Ok(AgentInfo {
        id: asked,
        name: row.name,
        platform: Platform {
            name: row.os_platform,
            major: row.os_major,
            minor: row.os_minor,
            arch: row.os_arch,
        },
        version: row.version,
        connection: row
            .connection_status
            .as_deref()
            .map_or(ConnectionStatus::Unknown, ConnectionStatus::from_word),
        group: row.group,
        node: row.node_name,
    })
}

/// The ids in an answer to `get-all-agents`, and whether there are more.
///
/// # Errors
/// Why there are none in it.
pub(crate) fn ids(answer: &[u8]) -> Result<(Vec<i64>, bool), String> {
    /// `{"id": 1}`, or the number alone.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Item {
        Row { id: i64 },
        Number(i64),
    }
    let text = text(answer)?;
    let (list, more) = match (text.strip_prefix(OK), text.strip_prefix(DUE)) {
        (Some(list), _) => (list, false),
        (_, Some(list)) => (list, true),
        _ => return Err(says(text)),
    };
    let items: Vec<Item> = serde_json::from_str(list).map_err(|error| unreadable(&error))?;
    let ids = items.into_iter().map(|item| match item {
        Item::Row { id } | Item::Number(id) => id,
    });
    Ok((ids.collect(), more))
}

fn text(answer: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(answer).map_err(|_| "the database's answer is no UTF-8 text".to_owned())
}

/// What the database said, if it was an error of its own.
fn says(text: &str) -> String {
    if text.starts_with("err") {
        let shown: String = text.chars().take(SHOWN).collect();
        format!("the database says {shown:?}")
    } else {
        "the database's answer starts with neither ok nor err".to_owned()
    }
}

fn unreadable(error: &serde_json::Error) -> String {
    format!(
        "the database's answer holds no readable rows (column {})",
        error.column()
    )
}

/// The columns that are used.
#[derive(Default)]
struct Row {
    id: Option<String>,
    name: Option<String>,
    os_platform: Option<String>,
    os_major: Option<String>,
    os_minor: Option<String>,
    os_arch: Option<String>,
    version: Option<String>,
    connection_status: Option<String>,
    group: Option<String>,
    node_name: Option<String>,
}

/// An array of rows, of which the first counts.
struct FirstRow(Option<Row>);

impl<'de> Deserialize<'de> for FirstRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = FirstRow;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of rows")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<FirstRow, A::Error> {
                let first = rows.next_element::<Row>()?;
                while rows.next_element::<IgnoredAny>()?.is_some() {}
                Ok(FirstRow(first))
            }
        }
        deserializer.deserialize_seq(Rows)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Columns;
        impl<'de> Visitor<'de> for Columns {
            type Value = Row;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
                let mut row = Row::default();
                while let Some(Name(name)) = map.next_key()? {
                    match name.and_then(|name| row.column(name)) {
                        Some(column) => *column = map.next_value::<Cell>()?.0,
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(row)
            }
        }
        deserializer.deserialize_map(Columns)
    }
}

/// The columns of [`Row`], as they are spelt there.
const COLUMNS: [&str; 10] = [
    "id",
    "name",
    "os_platform",
    "os_major",
    "os_minor",
    "os_arch",
    "version",
    "connection_status",
    "group",
    "node_name",
];

impl Row {
    fn column(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "id" => &mut self.id,
            "name" => &mut self.name,
            "os_platform" => &mut self.os_platform,
            "os_major" => &mut self.os_major,
            "os_minor" => &mut self.os_minor,
            "os_arch" => &mut self.os_arch,
            "version" => &mut self.version,
            "connection_status" => &mut self.connection_status,
            "group" => &mut self.group,
            "node_name" => &mut self.node_name,
            _ => return None,
        })
    }
}

/// The name of a column that is used, if it is one. There are tens in each row: it is
/// compared where it lies.
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl Visitor<'_> for Names {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Name, E> {
                let mut known = COLUMNS.into_iter();
                Ok(Name(known.find(|known| known.eq_ignore_ascii_case(name))))
            }
        }
        deserializer.deserialize_str(Names)
    }
}

/// A text, a number as text, or nothing.
struct Cell(Option<String>);

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Content;
        impl<'de> Visitor<'de> for Content {
            type Value = Cell;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cell, E> {
                Ok(Cell(Some(text.to_owned())))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Cell, E> {
                Ok(Cell(Some(number.to_string())))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Cell, E> {
                Ok(Cell(Some(number.to_string())))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Cell, E> {
                let number = serde_json::Number::from_f64(number);
                Ok(Cell(number.map(|number| number.to_string())))
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Cell, E> {
                Ok(Cell(None))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Cell, E> {
                Ok(Cell(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Cell, A::Error> {
                IgnoredAny.visit_seq(list).map(|_| Cell(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Cell, A::Error> {
                IgnoredAny.visit_map(object).map(|_| Cell(None))
            }
        }
        deserializer.deserialize_any(Content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: i64) -> AgentId {
        AgentId::new(id).unwrap()
    }

    #[test]
    fn columns_may_be_texts_numbers_or_null() {
        let answer = br#"ok [{"id":7,"name":"web","os_major":22,"os_minor":"04","os_arch":null,
            "internal_key":{"a":[1]},"version":"Wazuh v4.7.0","connection_status":"active"}]"#;
        let agent = agent(answer, id(7)).unwrap();
        assert_eq!(agent.name.as_deref(), Some("web"));
        assert_eq!(agent.platform.major.as_deref(), Some("22"));
        assert_eq!(agent.platform.minor.as_deref(), Some("04"));
        assert_eq!(agent.platform.arch, None);
        assert_eq!(agent.platform.name, None);
        assert_eq!(agent.connection, ConnectionStatus::Active);
    }

    #[test]
    fn names_of_columns_have_no_case() {
        let answer = br#"ok [{"ID":"001","OS_PLATFORM":"ubuntu","Connection_Status":"gone"}]"#;
        let agent = agent(answer, id(1)).unwrap();
        assert_eq!(agent.platform.name.as_deref(), Some("ubuntu"));
        assert_eq!(agent.connection, ConnectionStatus::Unknown);
    }

    #[test]
    fn what_is_no_agent_is_said_without_showing_the_row() {
        let cases: [(&[u8], &str); 9] = [
            (b"err Agent 001 not found", "Agent 001 not found"),
            (b"ok []", "no such agent"),
            (b"ok {}", "no readable rows"),
            (b"ok xx", "no readable rows"),
            (b"ok ", "no readable rows"),
            (b"", "neither ok nor err"),
            (
                b"ok [{\"internal_key\":\"secret\",\"id\":",
                "no readable rows",
            ),
            (b"ok [{\"id\":2}]", "another agent"),
            (b"ok [\xff]", "UTF-8"),
        ];
        for (answer, wanted) in cases {
            let message = agent(answer, id(1)).unwrap_err();
            assert!(message.contains(wanted), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn pages_hold_rows_or_numbers() {
        assert_eq!(ids(br#"due [{"id":1},{"id":2}]"#), Ok((vec![1, 2], true)));
        assert_eq!(ids(b"ok [3,4]"), Ok((vec![3, 4], false)));
        assert_eq!(ids(b"ok []"), Ok((vec![], false)));
        assert!(ids(b"ok [\"x\"]").is_err());
        assert!(ids(b"err no").is_err());
    }
}
