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

/// Leading hits shown of each list.
const ROWS: usize = 6;
/// Hits shown behind them: those that were passed over.
const PASSED_ROWS: usize = 3;

/// What one shopper does.
struct Story {
    shopper: &'static str,
    title: &'static str,
    /// In a sentence.
    tells: &'static str,
    /// What is searched first.
    first: &'static str,
    /// Which hit of that list is taken: the first whose name has a word that begins so.
    pick: &'static str,
    /// What is done with it.
    act: Act,
    /// What is searched next.
    then: &'static str,
}

/// What is done with a hit.
#[derive(Clone, Copy)]
enum Act {
    Opens,
    Buys(u32),
}

/// The plan's scenarios.
const OURS: [Story; 3] = [
    Story {
        shopper: "shopper-1",
        title: "Instant learning",
        tells: "A new shopper looks at an oat milk. The next search, for yogurt, knows.",
        first: "milk",
        pick: "oat",
        act: Act::Opens,
        then: "yogurt",
    },
    Story {
        shopper: "shopper-2",
        title: "Negative learning",
        tells: "Another one goes past the spicy chips to the original. Spicy sinks.",
        first: "chips",
        pick: "original",
        act: Act::Opens,
        then: "chips",
    },
    Story {
        shopper: "shopper-3",
        title: "Bulk pattern",
        tells: "A household buys two gallons of milk. Next time two are suggested.",
        first: "milk",
        pick: "2%",
        act: Act::Buys(2),
        then: "milk",
    },
];

/// The same kinds of story on a greengrocer's shelf.
const PRODUCE: [Story; 3] = [
    Story {
        shopper: "shopper-1",
        title: "Instant learning",
        tells: "A new shopper looks at an organic spinach. The next search, for kale, knows.",
        first: "spinach",
        pick: "org",
        act: Act::Opens,
        then: "kale",
    },
    Story {
        shopper: "shopper-2",
        title: "Negative learning",
        tells: "Another one goes past the first apples to a gala. What was passed over sinks.",
        first: "apples",
        pick: "gala",
        act: Act::Opens,
        then: "apples",
    },
    Story {
        shopper: "shopper-3",
        title: "Bulk pattern",
        tells: "A household buys two of an apple. Next time two are suggested.",
        first: "apples",
        pick: "gala",
        act: Act::Buys(2),
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
        let products = self.catalog.products().len();
        println!("{:<30}http://{shop}", format!("A shop of {products} products"));
        println!("{:<30}http://{data}\n", "Leafrank in front of it");
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

    /// Plays one story; returns the product that was taken.
    async fn story(&self, number: usize, story: &Story) -> anyhow::Result<String> {
        let Places { shop, data, api, .. } = *self.places;
        let browser = Browser::new(story.shopper);
        println!("━━ Scenario {number}: {} ━━\n{}\n", story.title, story.tells);
        let first = browser.search(data, story.first).await?;
        println!("{:<21}{}", format!("searches {:?}", story.first), said(&first));
        let (position, sku, name) = pick(&first, story)?;
        let place = format!("number {} of that list", position + 1);
        match story.act {
            Act::Opens => {
                browser.get(data, &format!("/product/{sku}")).await?;
                println!("{:<21}{name}, {place}", "opens");
            }
            Act::Buys(units) => {
                browser.buy(data, &sku, units).await?;
                println!("{:<21}{name}, {place}", format!("buys {units}"));
            }
        }
        let before = browser.search(shop, story.then).await?;
        let explained = self.explained(story, &before)?;
        let after = browser.search(data, story.then).await?;
        println!("{:<21}{}\n", format!("searches {:?}", story.then), said(&after));
        let suggested = match story.act {
            Act::Opens => HashMap::new(),
            Act::Buys(_) => browser.suggested(api, story.then).await?,
        };
        // In a list that was searched before, what was passed over is shown wherever it is now.
        let passed = if story.first == story.then && position > 0 { position } else { 0 };
        let shown = Shown { before: &before, after: &after, explained: &explained, suggested };
        println!("{}", shown.table(story, passed)?);
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

/// What a reply says of itself, without the names of rules and search.
fn said(answer: &Answer) -> &str {
    answer.outcome.split("; rules=").next().unwrap_or_default()
}

/// One list, before and after.
struct Shown<'a> {
    before: &'a Answer,
    after: &'a Answer,
    explained: &'a [Explained],
    suggested: HashMap<String, u64>,
}

impl Shown<'_> {
    /// The leading hits, and the `passed` first ones of before.
    fn table(&self, story: &Story, passed: usize) -> anyhow::Result<String> {
        let prices = self.before.prices()?;
        let before = self.before.hits()?.into_iter().enumerate();
        let was: HashMap<String, usize> = before.map(|(at, (sku, _))| (sku, at)).collect();
        let reasons = self.explained.iter().filter_map(|e| Some((&*e.id, e.reason.as_deref()?)));
        let reasons: HashMap<&str, &str> = reasons.collect();
        let hits = self.after.hits()?;
        let is_passed = |sku: &str| was.get(sku).is_some_and(|was| *was < passed);
        let leading = hits.iter().enumerate().take(ROWS);
        let behind = hits.iter().enumerate().skip(ROWS).filter(|(_, (sku, _))| is_passed(sku));
        let row = |(at, (sku, name)): (usize, &'_ (String, String))| {
            let was = was.get(sku).copied();
            let reason = match was {
                Some(was) if was == at && !reasons.contains_key(sku.as_str()) => "",
                Some(was) => reasons.get(sku.as_str()).copied().unwrap_or(passive(was, at)),
                None => "",
            };
            (at, name.clone(), was, prices.get(sku), self.suggested.get(sku), reason)
        };
        let rows: Vec<_> = leading.chain(behind.take(PASSED_ROWS)).map(row).collect();
        let rows: Vec<Row<'_>> = rows
            .iter()
            .map(|(at, name, was, price, quantity, reason)| Row {
                at: *at,
                product: name,
                was: *was,
                price: price.copied(),
                quantity: quantity.copied(),
                reason,
            })
            .collect();
        let title = format!("{:?} for {}", story.then, story.shopper);
        Ok(render(&title, &rows, Colour::when_terminal(&stdout())))
    }
}

/// The reason of a hit that nothing of its own moved.
fn passive(was: usize, is: usize) -> &'static str {
    if is < was { "others sank" } else { "others rose" }
}
