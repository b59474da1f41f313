//! The stories: a shopper acts as shoppers do, over real sockets, and the next list is shown before
//! and after.
//!
//! Nothing is told to the sidecar: it sees a search, a product page and another search. "Before" is
//! the shop asked directly, "after" the same request through the sidecar; reasons come from the code
//! that ranked.

use std::collections::HashMap;
use std::io::stdout;
use std::sync::Arc;

use anyhow::Context;

use super::http::{Answer, Browser};
use super::{Places, state};
use crate::config::Mode;
use crate::demo::Catalog;
use crate::demo::table::{Colour, Row, render};
use crate::personalize::explain::Explained;
use crate::personalize::{Asked, Personalizer};
use crate::types::ids::UserId;

/// Hits shown of each list.
const ROWS: usize = 8;

/// What one shopper does.
struct Story {
    shopper: &'static str,
    title: &'static str,
    /// What is searched first.
    first: &'static str,
    /// Which hit of that list is opened: the first whose name has a word that begins so.
    pick: &'static str,
    /// What is searched next.
    then: &'static str,
}

/// The plan's scenarios.
const OURS: [Story; 2] = [
    Story {
        shopper: "shopper-1",
        title: "Instant learning: one look at an oat milk, then yogurt",
        first: "milk",
        pick: "oat",
        then: "yogurt",
    },
    Story {
        shopper: "shopper-2",
        title: "Negative learning: past the spicy chips to the original, then chips again",
        first: "chips",
        pick: "original",
        then: "chips",
    },
];

/// The same two kinds of story on a greengrocer's shelf.
const PRODUCE: [Story; 2] = [
    Story {
        shopper: "shopper-1",
        title: "Instant learning: one look at an organic spinach, then kale",
        first: "spinach",
        pick: "org",
        then: "kale",
    },
    Story {
        shopper: "shopper-2",
        title: "Past the first apples to a gala, then apples again",
        first: "apples",
        pick: "gala",
        then: "apples",
    },
];

pub(super) struct Play<'a> {
    pub(super) places: &'a Places,
    pub(super) explain: Arc<Personalizer>,
    pub(super) catalog: &'a Catalog,
}

impl Play<'_> {
    /// Plays the stories and says how to go on.
    pub(super) async fn all(&self, once: bool) -> anyhow::Result<()> {
        let Places { shop, data, .. } = self.places;
        println!("A shop of {} products at http://{shop}", self.catalog.products().len());
        println!("Leafrank in front of it at     http://{data}\n");
        let ours = self.catalog.products().iter().any(|p| p.name.contains("Oat"));
        let stories = if ours { &OURS } else { &PRODUCE };
        let mut opened = String::new();
        for (number, story) in stories.iter().enumerate() {
            opened = self.story(number + 1, story).await?;
        }
        if !once {
            self.farewell(stories[stories.len() - 1].then, &opened);
        }
        Ok(())
    }

    /// Plays one story; returns the product that was opened.
    async fn story(&self, number: usize, story: &Story) -> anyhow::Result<String> {
        let Places { shop, data, .. } = *self.places;
        let browser = Browser::new(story.shopper);
        println!("── {number}. {} ──", story.title);
        let first = browser.search(data, story.first).await?;
        println!("search {:?}: {}", story.first, first.outcome);
        let (position, sku, name) = pick(&first, story)?;
        println!("opens  {name:?}, number {} of that list", position + 1);
        browser.get(data, &format!("/product/{sku}")).await?;
        let before = browser.search(shop, story.then).await?;
        let explained = self.explained(story, &before)?;
        let after = browser.search(data, story.then).await?;
        println!("search {:?}: {}\n", story.then, after.outcome);
        print!("{}", table(story, &before, &after, &explained)?);
        println!();
        Ok(sku)
    }

    /// What the ranking code says of the list that is about to be served.
    fn explained(&self, story: &Story, before: &Answer) -> anyhow::Result<Vec<Explained>> {
        let user = UserId::parse(story.shopper).context("a shopper's name")?;
        let asked = Asked { mode: Some(Mode::On), ..Asked::default() };
        let search = self.explain.search_of(user, story.then, asked).context("no search route")?;
        self.explain
            .explain(&search, &before.body)
            .map_err(|why| anyhow::anyhow!("not ranked: {}", why.label()))
    }

    fn farewell(&self, query: &str, sku: &str) {
        let Places { data, api, admin, ops, .. } = self.places;
        println!("To try while it serves (Ctrl-C ends it):\n");
        println!(
            "  curl -si http://{data}/api/v1/search -H 'content-type: application/json' \\\n       \
             -H 'x-user-id: me' -d '{{\"query\":\"{query}\"}}' | grep -i x-leafrank"
        );
        println!(
            "  curl -s  http://{data}/product/{sku} -H 'x-user-id: me'      # then search again"
        );
        println!("  curl -s  http://{api}/api/users/shopper-1/preferences/live");
        println!(
            "  curl -s  http://{api}/api/search/personalized -d '{{\"query\":\"yogurt\",\"user_id\":\"shopper-1\"}}'"
        );
        println!("  curl -s  http://{ops}/metrics | grep ^leafrank_");
        let program = std::env::args().next().unwrap_or_else(|| "leafrank".into());
        let operator =
            format!("--admin {admin} --token-file {}", state().join("admin.token").display());
        println!("  {program} status {operator}     # what becomes of searches");
        println!("  {program} tap {operator}        # live, before and after\n");
    }
}

fn pick(answer: &Answer, story: &Story) -> anyhow::Result<(usize, String, String)> {
    let hits = answer.hits()?;
    let fits = |name: &str| {
        name.to_lowercase().split_whitespace().any(|word| word.starts_with(story.pick))
    };
    hits.into_iter()
        .enumerate()
        .find(|(_, (_, name))| fits(name))
        .map(|(position, (sku, name))| (position, sku, name))
        .with_context(|| format!("no hit of {:?} is called {:?}", story.first, story.pick))
}

fn table(
    story: &Story,
    before: &Answer,
    after: &Answer,
    explained: &[Explained],
) -> anyhow::Result<String> {
    let prices = before.prices()?;
    let was: HashMap<String, usize> =
        before.hits()?.into_iter().enumerate().map(|(at, (sku, _))| (sku, at)).collect();
    let reasons: HashMap<&str, &str> =
        explained.iter().filter_map(|e| Some((e.id.as_str(), e.reason.as_deref()?))).collect();
    let hits = after.hits()?;
    let rows: Vec<Row<'_>> = hits
        .iter()
        .enumerate()
        .take(ROWS)
        .map(|(at, (sku, name))| {
            let before = was.get(sku).copied();
            let reason = match before {
                Some(before) if before == at => "",
                Some(before) => reasons.get(sku.as_str()).copied().unwrap_or(passive(before, at)),
                None => "",
            };
            Row { product: name, was: before, price: prices.get(sku).copied(), reason }
        })
        .collect();
    Ok(render(
        &format!("{:?} for {}", story.then, story.shopper),
        &rows,
        Colour::when_terminal(&stdout()),
    ))
}

/// The reason of a hit that nothing of its own moved.
fn passive(was: usize, is: usize) -> &'static str {
    if is < was { "others sank" } else { "others rose" }
}
