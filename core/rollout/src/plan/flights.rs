//! How every attempt fares, and how many are in flight: in all, at each site, of each
//! rollout.

use super::fare::{Fare, Judge};
use super::ground::Ground;
use super::inputs::Clock;
use super::roll::Roll;
use super::sources::Sources;

pub(crate) struct Flights {
    /// By the attempts' numbers.
    pub(crate) fares: Vec<Fare>,
    /// Files that cannot be had.
    pub(crate) sources: Sources,
    /// In all.
    pub(crate) all: usize,
    /// At each site.
    pub(crate) sites: Vec<usize>,
    /// Of each document.
    pub(crate) documents: Vec<usize>,
    /// Files on their way to agents whose installers may not begin, in all.
    pub(crate) sending: usize,
    /// The same at each site.
    pub(crate) sending_to: Vec<usize>,
}

impl Flights {
    pub(crate) fn new(ground: &Ground<'_>, rolls: &[Roll<'_>], clock: &mut Clock) -> Self {
        const DAY: i64 = 86_400;
        let mut flights = Self {
            fares: Vec::with_capacity(ground.attempts.len()),
            sources: Sources::default(),
            all: 0,
            sites: vec![0; ground.openings.len()],
            documents: vec![0; rolls.len()],
            sending: 0,
            sending_to: vec![0; ground.openings.len()],
        };
        for known in &ground.attempts {
            let number = known.agent.map(|number| number as usize);
            let document = known.document.map(|document| document as usize);
            let roll = document.and_then(|at| rolls.get(at));
            let judge = Judge {
                document: roll.map(|roll| roll.document),
                unknown_after: roll.map_or(DAY, |roll| {
                    let wave = roll.place(known.attempt.agent, number).wave();
                    roll.document.definition.unknown_after(wave)
                }),
                now: ground.now(),
            };
            let fare = judge.fare(known.attempt, ground.agent(number));
            let site = number.and_then(|at| ground.site_of.get(at).copied());
            let site = site.map(|site| site as usize);
            if let Fare::Begun { until } | Fare::Reported { until } | Fare::Unknown { until } = fare
            {
                clock.at(until);
            }
            if fare.in_flight() {
                flights.take_off(document, site);
            } else if fare == Fare::Queued && !known.attempt.staged {
                flights.send(site);
            }
            flights.fares.push(fare);
        }
        flights.sources = Sources::new(ground, &flights.fares);
        flights
    }

    pub(crate) fn fare(&self, attempt: usize) -> &Fare {
        // There is one for each attempt.
        self.fares.get(attempt).unwrap_or(&Fare::Withdrawn)
    }

    /// One more is in flight.
    pub(crate) fn take_off(&mut self, document: Option<usize>, site: Option<usize>) {
        self.all += 1;
        if let Some(flights) = document.and_then(|at| self.documents.get_mut(at)) {
            *flights += 1;
        }
        if let Some(flights) = site.and_then(|at| self.sites.get_mut(at)) {
            *flights += 1;
        }
    }

    /// One more file is on its way.
    pub(crate) fn send(&mut self, site: Option<usize>) {
        self.sending += 1;
        if let Some(sending) = site.and_then(|at| self.sending_to.get_mut(at)) {
            *sending += 1;
        }
    }
}
