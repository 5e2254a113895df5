//! Of directories and providers that are slow, or fail on the way.

use std::future::pending;
use std::sync::Mutex;

use wpk_api::{
    AgentId, AgentInfo, AgentPage, ByteStream, ConnectionStatus, Offer, Platform, Wanted,
};

use super::*;

/// One agent a page, of the kind that its id names; from `fails` on it fails, from
/// `hangs` on it hangs.
#[derive(Default)]
struct Pages {
    agents: u32,
    fails: Mutex<Option<u32>>,
    hangs: Mutex<Option<u32>>,
    asked: Mutex<Vec<u32>>,
}

impl Pages {
    fn of(agents: u32) -> Self {
        Self {
            agents,
            ..Self::default()
        }
    }
}

fn agent(id: u32) -> AgentInfo {
    let text = |text: &str| Some(text.to_owned());
    AgentInfo {
        id: AgentId::new(id.into()).unwrap(),
        name: None,
        platform: Platform {
            name: text("ubuntu"),
            major: Some(id.to_string()),
            minor: text("04"),
            arch: text("x86_64"),
        },
        version: text("v4.7.0"),
        connection: ConnectionStatus::Active,
        group: None,
        node: None,
    }
}

#[async_trait::async_trait]
impl AgentDirectory for Pages {
    async fn lookup(&self, _: &[AgentId]) -> Result<Vec<AgentInfo>, DirectoryError> {
        Ok(Vec::new())
    }

    async fn list(&self, after: Option<AgentId>, _: usize) -> Result<AgentPage, DirectoryError> {
        let id = after.map_or(0, AgentId::get) + 1;
        self.asked.lock().unwrap().push(id);
        let reached = |limit: &Mutex<Option<u32>>| limit.lock().unwrap().is_some_and(|at| at <= id);
        if reached(&self.hangs) {
            pending::<()>().await;
        }
        if reached(&self.fails) {
            return Err(DirectoryError::Unavailable("the cable is cut".into()));
        }
        let agents = (id <= self.agents).then(|| agent(id));
        Ok(AgentPage {
            agents: agents.into_iter().collect(),
            more: id < self.agents,
        })
    }
}

async fn found(kinds: &mut Kinds, directory: &Pages) -> (Vec<u32>, Option<String>) {
    let (found, missing) = kinds.look(directory).await.unwrap();
    let major = |kind: WantedRelease| kind.platform.major.unwrap().parse().unwrap();
    (found.into_iter().map(major).collect(), missing)
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_takes_nothing_from_those_before() {
    let directory = Pages::of(4);
    *directory.fails.lock().unwrap() = Some(3);
    let mut kinds = Kinds::default();
    let (found_then, missing) = found(&mut kinds, &directory).await;
    assert_eq!(found_then, [1, 2]);
    assert!(missing.unwrap().contains("the cable is cut"));
    // What is known outlives a directory that is gone, but not for ever.
    *directory.fails.lock().unwrap() = Some(1);
    assert_eq!(found(&mut kinds, &directory).await.0, [1, 2]);
    tokio::time::advance(kinds::KEPT).await;
    assert!(kinds.look(&directory).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_look_goes_on_where_the_one_before_ended() {
    let directory = Pages::of(4);
    *directory.hangs.lock().unwrap() = Some(3);
    let mut kinds = Kinds::default();
    let begun = Instant::now();
    let (found_then, missing) = found(&mut kinds, &directory).await;
    assert_eq!((found_then, begun.elapsed()), (vec![1, 2], kinds::WITHIN));
    assert!(missing.unwrap().contains("2 s"));
    *directory.hangs.lock().unwrap() = None;
    let all = (vec![1, 2, 3, 4], None);
    assert_eq!(found(&mut kinds, &directory).await, all);
    assert_eq!(*directory.asked.lock().unwrap(), [1, 2, 3, 3, 4]);
    tokio::time::advance(Duration::from_millis(1)).await;
    // And begins anew where it ended at the last: kinds that are gone are forgotten.
    let fewer = Pages::of(1);
    assert_eq!(found(&mut kinds, &fewer).await, (vec![1], None));
}

#[tokio::test(start_paused = true)]
async fn there_is_an_end_to_kinds_and_to_a_list_that_has_none() {
    let mut kinds = Kinds::default();
    let (found_then, missing) = found(&mut kinds, &Pages::of(300)).await;
    assert_eq!(found_then.len(), kinds::MOST);
    assert!(missing.unwrap().contains("more than 256"));

    struct Again;
    #[async_trait::async_trait]
    impl AgentDirectory for Again {
        async fn lookup(&self, _: &[AgentId]) -> Result<Vec<AgentInfo>, DirectoryError> {
            Ok(Vec::new())
        }

        async fn list(&self, _: Option<AgentId>, _: usize) -> Result<AgentPage, DirectoryError> {
            let (agents, more) = (vec![agent(1)], true);
            Ok(AgentPage { agents, more })
        }
    }
    let (found, missing) = Kinds::default().look(&Again).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(missing.unwrap().contains("does not end"));
}

/// Answers after a while.
struct Slow(Duration, Listed);

#[async_trait::async_trait]
impl WpkProvider for Slow {
    fn serves(&self, _: &Wanted) -> bool {
        true
    }

    async fn resolve(&self, _: &Wanted) -> Result<Offer, ProviderError> {
        Err(ProviderError::NoFile("none".into()))
    }

    async fn fetch(&self, _: &Offer) -> Result<ByteStream, ProviderError> {
        Err(ProviderError::NoFile("none".into()))
    }

    async fn versions(&self, _: &[WantedRelease]) -> Result<Option<Listed>, ProviderError> {
        tokio::time::sleep(self.0).await;
        Ok(Some(self.1.clone()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_directory_takes_no_time_from_the_providers() {
    let directory = Pages::of(4);
    *directory.hangs.lock().unwrap() = Some(3);
    let there = Version::new(4, 14, 9);
    let slow = Slow(Duration::from_millis(4_500), vec![there].into());
    let slow: Arc<dyn WpkProvider> = Arc::new(slow);
    let (directory, stock): (Arc<dyn AgentDirectory>, _) = (Arc::new(directory), Stock::default());
    let found = stock.look(&directory, || vec![slow]).await.unwrap();
    assert_eq!(found.versions, [there]);
    assert_eq!(found.incomplete.len(), 1, "{:?}", found.incomplete);
}

#[tokio::test(start_paused = true)]
async fn one_with_many_reasons_leaves_room_for_those_of_others() {
    let directory: Arc<dyn AgentDirectory> = Arc::new(Pages::of(1));
    let lacks = |reasons: Vec<String>| -> Arc<dyn WpkProvider> {
        let incomplete = Listed {
            incomplete: reasons,
            ..Listed::default()
        };
        Arc::new(Slow(Duration::ZERO, incomplete))
    };
    let many = lacks((0..100).map(|list| format!("list {list}")).collect());
    let other = lacks(vec!["another".to_owned(), "list 1".to_owned()]);
    let look = Stock::default();
    let found = look.look(&directory, || vec![many, other]).await.unwrap();
    let told: Vec<&str> = found.incomplete.iter().map(|words| &**words).collect();
    assert_eq!(told[..3], ["list 0", "another", "list 1"]);
    // Of 65 that were read and differ nine are told.
    assert_eq!((told.len(), told[9]), (10, "and 56 reasons more"));
}
