//! `wpkctl agent token`: tokens with which agents enroll over the network.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use wpk_api::Labels;
use wpk_wire::UpgradeRequest;
use wpk_wire::own::{IssueToken, ListTokens, ListedToken, NewToken, RevokeToken};

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::socket;
use crate::options::{Global, Label, duration};
use crate::output::{Ending, Output, clean, time};
use crate::table::{render, table};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    issue: IssueArgs,
    #[command(subcommand)]
    command: Option<TokenCommand>,
}

#[derive(Debug, Args)]
struct IssueArgs {
    /// How many agents may enroll with it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    uses: u32,
    /// How long it is good, at most a year.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    expires: Duration,
    /// A label of every agent that enrolls with it; several times: several labels.
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<Label>,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// List the tokens; their texts are kept nowhere.
    List,
    /// Make a token worthless; agents that enrolled with it stay.
    Revoke {
        /// Its id, as `list` shows it.
        token: String,
    },
}

/// Issues a token, lists them, or revokes one.
pub(crate) async fn run(
    global: &Global,
    args: TokenArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    match args.command {
        None => issue(&mut client, args.issue, out).await,
        Some(TokenCommand::List) => list(&mut client, out).await,
        Some(TokenCommand::Revoke { token }) => {
            let asked = RevokeToken {
                token: token.clone(),
            };
            client.send(&UpgradeRequest::Own(asked.into())).await?;
            out.last(&json!({"event": "token_revoked", "token": token}))?;
            out.line(format!("token {}: revoked", clean(&token)))?;
            Ok(Ending::Well)
        }
    }
}

async fn issue(client: &mut Client, args: IssueArgs, out: &Output) -> Result<Ending, CtlError> {
    let labels: Labels = args.label.into_iter().map(|label| label.0).collect();
    let asked = IssueToken {
        uses: args.uses,
        expires_in: args.expires.as_secs().max(1),
        labels,
    };
    let items = client.send(&UpgradeRequest::Own(asked.into())).await?;
    let token = items.first().and_then(NewToken::from_item);
    let token = token.ok_or_else(|| {
        CtlError::Unexpected(format!(
            "the answer of the manager at {} to `agent_token` holds no token",
            client.socket().display()
        ))
    })?;
    let command = format!(
        "wpk-agent enroll --manager {} --token-file -",
        clean(token.address.as_deref().unwrap_or("HOST:PORT"))
    );
    out.last(&json!({
        "event": "token",
        "token": token.token,
        "text": token.text,
        "expires": token.expires,
        "uses": args.uses,
        "address": token.address,
        "command": command,
    }))?;
    out.result(clean(&token.text))?;
    let agents = match args.uses {
        1 => "one agent".to_owned(),
        uses => format!("{uses} agents"),
    };
    // Beside the token, so that a script may take the one line.
    if !out.json && !out.quiet {
        out.warn(format!(
            "token {} lets {agents} enroll until {}; it is shown this once. Run on the agent, \
             and give it the token:\n  {command}",
            clean(&token.token),
            time(token.expires),
        ));
    }
    Ok(Ending::Well)
}

async fn list(client: &mut Client, out: &Output) -> Result<Ending, CtlError> {
    let items = client.own(ListTokens {}).await?;
    let tokens: Vec<ListedToken> = items.iter().filter_map(ListedToken::from_item).collect();
    for token in &tokens {
        out.event(token)?;
    }
    if tokens.is_empty() {
        out.line("There are no tokens.")?;
        return Ok(Ending::Well);
    }
    let mut table = table(&["token", "left", "uses", "expires", "labels", "state"]);
    for token in &tokens {
        let labels = token.labels.iter();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        table.add_row([
            clean(&token.token),
            token.left.to_string(),
            token.uses.to_string(),
            time(token.expires),
            match labels.is_empty() {
                true => "-".to_owned(),
                false => clean(&labels.join(",")),
            },
            state(token).to_owned(),
        ]);
    }
    out.line(render(&table))?;
    Ok(Ending::Well)
}

fn state(token: &ListedToken) -> &'static str {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    match token {
        token if token.revoked => "revoked",
        token if token.left == 0 => "used up",
        token if token.expires <= now => "expired",
        _ => "good",
    }
}
