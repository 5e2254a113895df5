//! Sections of plugins that do not fit together: two that want what exists
//! once, one that needs another which is not there, one that has no place on
//! this node, and one whose node needs a name. Which plugin wants what
//! is the plugins' own knowledge ([`Plugins::demands`]); here it is compared.

use wpk_api::settings::Problem;
use wpk_api::{Context, Demands, PluginKind};

use crate::plugins::Plugins;
use crate::sections::{PluginSection, Settings};

/// Every mistake, with its full key; `named`: somebody gave this node its name. A section that is in doubt, because of a mistake
/// that is told already, demands nothing and is missed by nobody.
pub(crate) fn check(
    settings: &Settings,
    named: bool,
    plugins: &dyn Plugins,
    doubt: &dyn Fn(&str) -> bool,
) -> Vec<Problem> {
    let context = settings.context();
    let sections: Vec<Section> = (PluginKind::ALL.into_iter())
        .flat_map(|kind| {
            let sections = settings.sections(kind).iter().enumerate();
            sections.map(move |(i, section)| (kind, i, section))
        })
        .map(|(kind, i, section)| Section::new(kind, i, section, plugins, &context))
        .filter(|section| !doubt(&section.key))
        .collect();
    let mut problems = occupied_twice(&sections);
    problems.extend(missing(&sections, settings, doubt));
    if !doubt("node") {
        problems.extend(misplaced(&sections));
        if !named {
            problems.extend(nameless(&sections));
        }
    }
    problems
}

struct Section<'a> {
    key: String,
    section: &'a PluginSection,
    demands: Demands,
}

impl<'a> Section<'a> {
    fn new(
        kind: PluginKind,
        number: usize,
        section: &'a PluginSection,
        plugins: &dyn Plugins,
        context: &Context,
    ) -> Self {
        let key = match kind.is_list() {
            true => format!("{kind}.{number}"),
            false => kind.to_string(),
        };
        let demands = plugins.demands(kind, section, context);
        Self {
            key,
            section,
            demands,
        }
    }
}

fn occupied_twice(sections: &[Section]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut first: Vec<(String, &wpk_api::Resource)> = Vec::new();
    for section in sections {
        for occupied in &section.demands.occupies {
            let key = format!("{}.{}", section.key, occupied.key);
            match first.iter().find(|(_, what)| what.collides(&occupied.what)) {
                Some((other, what)) => {
                    problems.push(Problem::new(
                        key,
                        format!("{what} is taken by {other} already"),
                    ));
                }
                None => first.push((key, &occupied.what)),
            }
        }
    }
    problems
}

fn missing(
    sections: &[Section],
    settings: &Settings,
    doubt: &dyn Fn(&str) -> bool,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for section in sections {
        for need in &section.demands.needs {
            let there = settings.sections(need.kind);
            let absent = there.iter().all(|other| other.kind != need.type_name);
            if absent && !doubt(need.kind.as_str()) {
                problems.push(Problem::new(
                    format!("{}.type", section.key),
                    format!(
                        "{:?} needs {}.type = {:?} as well",
                        section.section.kind, need.kind, need.type_name
                    ),
                ));
            }
        }
    }
    problems
}

fn misplaced(sections: &[Section]) -> Vec<Problem> {
    let found = sections.iter().flat_map(|section| {
        let problems = section.demands.misplaced.iter();
        problems.map(|problem| problem.clone().inside(&section.key))
    });
    found.collect()
}

/// A name that every daemon has is none where several share something: each would shut
/// out the one before it.
fn nameless(sections: &[Section]) -> Vec<Problem> {
    let needing = sections.iter().filter(|section| section.demands.node_name);
    let problems = needing.map(|section| {
        let kind = &section.section.kind;
        let key = &section.key;
        Problem::new(
            "node.name",
            format!(
                "is missing: {key}.type = {kind:?} is shared by several nodes, which tell each \
                 other by their names; give each node one of its own"
            ),
        )
    });
    problems.collect()
}
