//! Sites: which agents, when, and how many at once.

use serde::{Deserialize, Serialize};
use wpk_api::UnixTime;
use wpk_api::settings::Problems;

use super::amount::{Amount, Rate};
use crate::window::{MOST_WINDOWS, Opening, Window, Zone, opening};
use crate::{Field, Member, Name, Selector};

/// The name of the site of agents that are in no other.
pub const DEFAULT_SITE: &str = "default";

/// One `[[site]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its name; `default` is the site of agents that are in no other.
    pub name: Name,
    /// Which agents; an agent is in the first site that selects it. Absent for `default`
    /// only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// In which zone its windows are meant. Default UTC.
    #[serde(default = "Zone::utc")]
    pub time_zone: Zone,
    /// When installers may begin; absent: at any time. Empty: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Vec<Window>>,
    /// The most agents in flight at once; a percent is of the agents of the site, at
    /// least 1. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<Amount>,
    /// The most bytes that are sent to it. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Rate>,
}

impl Site {
    /// The site `default` where no file says anything of it: always open, no limits.
    pub fn default_site() -> Self {
        Self {
            name: Name::fixed(DEFAULT_SITE),
            select: None,
            time_zone: Zone::utc(),
            windows: None,
            max_concurrent: None,
            bandwidth: None,
        }
    }

    /// Whether installers may begin at `now`, and when that changes.
    pub fn opening(&self, now: UnixTime) -> Opening {
        match &self.windows {
            None => Opening::Open(None),
            Some(windows) => opening(windows, &self.time_zone, now),
        }
    }

    pub(super) fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        let is_default = &*self.name == DEFAULT_SITE;
        match &self.select {
            None if !is_default => problems.add(
                "select",
                "is missing: say which agents, for example \"label.site = lyon\"",
            ),
            Some(_) if is_default => problems.add(
                "select",
                "the site default has those that no other site selects: leave select out",
            ),
            Some(select) if select.asks(&Field::Site) => problems.add(
                "select",
                "a site cannot ask for a site: select by group, label.NAME, name, ...",
            ),
            _ => {}
        }
        if let Some(windows) = &self.windows {
            if windows.is_empty() {
                problems.add(
                    "windows",
                    "is empty, so nothing would ever begin: write for example \
                     [\"Mon-Thu 22:00-05:00\"], or leave it out for any time",
                );
            }
            if windows.len() > MOST_WINDOWS {
                problems.add("windows", format!("a site may have {MOST_WINDOWS}"));
            }
        }
        if self.max_concurrent.is_some_and(Amount::is_zero) {
            let message = "must be at least 1; to let nothing begin, pause the rollout";
            problems.add("max_concurrent", message);
        }
        problems
    }
}

/// All sites, and the limits of the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sites {
    /// In the order in which an agent is looked for; `default` is the last.
    pub sites: Vec<Site>,
    /// The most agents in flight at once, of all sites. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// The most bytes that are sent, to all sites. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Rate>,
}

impl Default for Sites {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Sites {
    /// These, without limits of the whole; `default` is added if it is not among them,
    /// and is moved to the end.
    pub fn new(mut sites: Vec<Site>) -> Self {
        let at = sites.iter().position(|site| &*site.name == DEFAULT_SITE);
        let last = at.map_or_else(Site::default_site, |at| sites.remove(at));
        sites.push(last);
        Self {
            sites,
            max_concurrent: None,
            bandwidth: None,
        }
    }

    /// In which of `sites` an agent is.
    pub fn find(&self, member: &Member) -> usize {
        let selects =
            |site: &Site| (site.select.as_ref()).is_none_or(|select| select.matches(member));
        let last = self.sites.len().saturating_sub(1);
        self.sites.iter().position(selects).unwrap_or(last)
    }

    /// Writes into each member in which site it is, so that selectors can ask for it.
    pub fn assign(&self, member: &mut Member) {
        let site = self.sites.get(self.find(member));
        member.site = site.map(|site| site.name.clone());
    }
}
