//! Enrolment over the network: a token that the manager issued, a request for a
//! certificate, and the certificate. The agent's key is made on the agent and stays there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wpk_api::AgentId;

/// What every token begins with.
const HEAD: &str = "wpk1.";
/// Bytes of the id of a token.
const ID: usize = 8;
/// Bytes of its secret, and of the CA's SHA-256.
const HASH: usize = 32;
const LENGTH: usize = ID + 2 * HASH;

/// What an agent asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enroll {
    /// [`PROTOCOL`](super::PROTOCOL).
    pub protocol: u32,
    /// The token it was given.
    pub token: EnrollToken,
    /// The name it wants.
    pub name: String,
    /// PKCS#10 request for an ECDSA P-256 key, PEM; nothing but the key in it counts.
    pub csr: String,
    /// Whether the agent renews its certificate; only then is it given one that ends soon.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renews: bool,
}

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// [`PROTOCOL`](super::PROTOCOL).
    pub protocol: u32,
    /// Its id.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// The CAs of agents and manager, PEM, one after the other; the SHA-256 of one of them
    /// is that in the token.
    pub ca: String,
}

/// A token as a person carries it: `wpk1.` and base64url, without padding, of 8 bytes id,
/// 32 bytes secret, and the SHA-256 of the CA's certificate (DER), by which the agent
/// knows the manager. `Debug` shows the id alone; `Display` shows all of it.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrollToken {
    /// By which the manager finds it.
    pub id: [u8; ID],
    /// What proves that it was issued.
    pub secret: [u8; HASH],
    /// SHA-256 of the manager's CA.
    pub ca: [u8; HASH],
}

impl EnrollToken {
    /// The id in hexadecimal, which is no secret.
    pub fn id_text(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A text is no token. It is not repeated: it may be one, with a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no enrolment token: copy all of what `wpkctl agent token` printed, from `wpk1.` on"
)]
pub struct BadToken;

impl fmt::Display for EnrollToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id[..], &self.secret, &self.ca].concat();
        let text = base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
        write!(f, "{HEAD}{text}")
    }
}

impl FromStr for EnrollToken {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let text = text.trim().strip_prefix(HEAD).ok_or(BadToken)?;
        // Longer ones are not worth decoding.
        if text.len() > 2 * LENGTH {
            return Err(BadToken);
        }
        let bytes = base64_simd::URL_SAFE_NO_PAD
            .decode_to_vec(text)
            .map_err(|_| BadToken)?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| BadToken)?;
        let (id, rest) = bytes.split_first_chunk::<ID>().ok_or(BadToken)?;
        let (secret, rest) = rest.split_first_chunk::<HASH>().ok_or(BadToken)?;
        let (ca, _) = rest.split_first_chunk::<HASH>().ok_or(BadToken)?;
        Ok(Self {
            id: *id,
            secret: *secret,
            ca: *ca,
        })
    }
}

impl fmt::Debug for EnrollToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnrollToken({})", self.id_text())
    }
}

impl Serialize for EnrollToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EnrollToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_printed_and_hides_its_secret() {
        let token = EnrollToken {
            id: [1; 8],
            secret: [0xfe; 32],
            ca: [3; 32],
        };
        let text = token.to_string();
        assert_eq!(text.len(), HEAD.len() + 96);
        assert_eq!(text.parse(), Ok(token.clone()));
        assert_eq!(format!(" {text}\n").parse(), Ok(token.clone()));
        assert_eq!(format!("{token:?}"), "EnrollToken(0101010101010101)");
        let longer = format!("{text}{}", "A".repeat(1_000));
        for bad in [
            "",
            "wpk1.",
            &text[1..],
            &text[..text.len() - 1],
            &longer,
            "wpk1.ä",
        ] {
            assert_eq!(bad.parse::<EnrollToken>(), Err(BadToken), "{bad:?}");
        }
    }
}
