//! The agent channel of the embedded manager: agents dial in over mutual TLS.
//!
//! One [`Channel`] is the engine's [`Transport`], its [`AgentDirectory`]
//! (with enrolment) and the [`RequestSource`] of acknowledgements. A daemon
//! enters through [`ChannelPlugin`]; tests may open a [`Channel`] themselves.
//!
//! # The protocol
//!
//! **Who is who.** The manager has a CA of its own. Enrolling an agent gives it
//! an id, a private key (ECDSA P-256, PKCS#8 PEM) and a certificate (clientAuth);
//! the manager keeps the SHA-256 fingerprint of that certificate with the id,
//! and nothing else tells who a connection belongs to. An agent trusts the
//! CA it was given and no other, and verifies the DNS name [`MANAGER_NAME`]
//! whatever address it dialled. The agent sends that name as SNI.
//!
//! A revoked agent stands in the file `revoked` beside the CA, one line per certificate; what
//! stands there is refused, and its id never given out again, whatever the registry says.
//!
//! **Several managers** that share a task store may keep their agents there
//! ([`Place::Store`]): documents whose keys begin with `channel/`, compared and set, and the CA
//! keys sealed. What others wrote is looked for every second, and at once for whoever is not
//! known. An agent is where it came last; a connection that it left ends with `replaced`.
//!
//! **Enrolment** over the network is told in PROTOCOL.md, section 16: a connection
//! without a certificate may send `enroll` with a token, within `handshake_timeout`, and
//! nothing else.
//!
//! **Renewal**, and how agents learn of a new CA, is told there as well. In the place of
//! Hello an agent may send `renew`; with a certificate that has ended it may do nothing else.
//!
//! **TLS.** Version 1.3 only, a client certificate is required for all but enrolment,
//! sessions are not resumed, there is no ALPN. With TLS 1.3 an agent's handshake ends before
//! the manager has judged its certificate: a certificate of another CA shows as
//! an alert at the agent's first read.
//!
//! **Frames** are those of section 1, messages those of
//! [`wpk_wire::channel`]: a payload of at most 128 KiB. Every JSON body is at
//! most 16 KiB; an acknowledgement over 4 KiB is left out.
//!
//! **Greeting.** The agent speaks first: `hello`, within `handshake_timeout`
//! (default 10 s) of the accepted connection. The manager answers `welcome`
//! with the agent's id, name and `keepalive_seconds`. The agent sends nothing
//! between the two. An agent that names tasks says so (`names_tasks`): it is told
//! which task it is upgraded for, and says so in its acknowledgements. One that
//! was made before does not say so, and is told nothing. A certificate that the CA signed but that is not (any more)
//! enrolled gets `goodbye` instead of `welcome`, without waiting for the `hello`.
//!
//! **Commands.** The manager sends `command` with a stream id that is not 0 and
//! not in use on this connection; the agent sends one `answer` with the same id,
//! in any order. An agent must be able to have two under way (a delivery and
//! `clear_upgrade_result`); it may work on them one after the other. The manager
//! forgets a command after `request_timeout`; a later answer is ignored and held
//! against nobody. There is no cancellation. Commands under way end with the
//! connection: the agent may or may not have carried them out.
//!
//! **Acknowledgements.** The agent sends `acknowledge` with the message of
//! section 6 at any time after `welcome`, and again by the timetable of section 7
//! and at the start of every later connection until it gets
//! `clear_upgrade_result`. There is no answer. The manager puts the
//! agent's own id in; `agents` in the message is not looked at. While one of an
//! agent is being handled, further ones are left out.
//!
//! **Keep-alive.** Both sides follow one rule: after `keepalive_seconds` in which
//! no whole message arrived, send `ping`; answer every `ping` with `pong`; after
//! three times `keepalive_seconds` in which none arrived, the connection is lost.
//! Every message counts as a sign of life. A side that cannot get rid of one
//! frame for as long gives the connection up too. An agent must go on answering
//! `ping` while it carries out a command.
//!
//! **Restraint.** Messages nobody asked for (acknowledgements, pings, pongs,
//! answers to streams that were never asked): 64 at once, then 32 a second.
//!
//! **One connection per agent.** A newer connection of the same certificate takes
//! the place of the older one. A certificate may have 8 connections at a time, those
//! that are greeting and ending included; one that has not said Hello counts for its
//! address as well, of which a quarter of `max_connections` (but 16) may be there.
//!
//! **Goodbye.** Either side may send `goodbye` with a reason before it closes;
//! nothing follows it. It is not answered; the other side closes at once. The
//! manager's reasons begin with a fixed word and a colon:
//!
//! | word | meaning | the agent should |
//! | --- | --- | --- |
//! | `stopping` | the manager ends or restarts | dial again, with jittered backoff from the start |
//! | `replaced` | the same certificate dialled in again | dial again after the longest pause: another machine may be using the same key |
//! | `unknown` | the CA signed the certificate, but it belongs to no enrolled agent | log it as an error, dial again after the longest pause |
//! | `revoked` | the certificate was taken back | the same |
//! | `expired` | the certificate has ended, or could be renewed until some time ago | renew it; where that is refused too: a fresh token |
//! | `silent` | no Hello, no sign of life, or nothing read, for too long | dial again |
//! | `protocol` | the agent broke these rules; the text says how | log it, dial again after the longest pause |
//! | `refused` | an enrolment was refused; the text says why | tell whoever enrolls it |
//! | `flood` | too many messages nobody asked for, or too many connections with this certificate | the same |
//!
//! A connection that ends without `goodbye` was lost; the agent dials again with
//! jittered backoff. The manager takes an agent's `goodbye` as the end.
//!
//! [`Transport`]: wpk_api::Transport
//! [`AgentDirectory`]: wpk_api::AgentDirectory
//! [`RequestSource`]: wpk_api::RequestSource

mod announcing;
mod authorities;
mod certificate;
mod channel;
mod clock;
mod core;
mod database;
mod directory;
mod ends;
mod enrolment;
mod files;
mod goodbye;
mod greeting;
mod limits;
mod link;
mod links;
mod listener;
mod outlook;
mod pki;
mod plugin;
mod reader;
mod record;
mod registry;
mod renewal;
mod revocations;
mod session;
mod settings;
mod shared;
mod sharing;
mod tls;
mod writer;

pub use certificate::MANAGER_NAME;
pub use channel::Channel;
pub use plugin::ChannelPlugin;
pub use settings::{Place, Settings};
