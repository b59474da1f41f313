//! The features of a hit that trees may ask for: their names, and what of a score each explains.
//!
//! In: a name from a file. Out: a [`Feature`]. Their numbers come from `rank::features`, from the same
//! memory and lifts as the terms of the formula. A feature that gets another meaning gets another name:
//! trees of before are then refused, not misread.

/// What a feature is about: whose part of the score it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The upstream's opinion, or what everybody picks.
    Shop,
    /// The shopper's own history with the product.
    Item,
    /// The product's brand.
    Brand,
    /// What the product is: attributes, price tier.
    Kind,
    /// What it costs.
    Price,
    /// The list as a whole and the shopper's habit in it: how likely something known is taken.
    List,
}

macro_rules! features {
    ($($(#[$doc:meta])* $variant:ident $name:literal $about:ident;)*) => {
        /// A number of a hit that trees may ask for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Feature {
            $($(#[$doc])* $variant,)*
        }

        impl Feature {
            /// All of them, in the order of [`Feature::index`].
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name in model files.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Whose part of the score it is.
            pub const fn about(self) -> About {
                match self {
                    $(Self::$variant => About::$about,)*
                }
            }
        }
    };
}

features! {
    /// The upstream's opinion, `0..=1`, before its weight.
    Relevance "relevance" Shop;
    /// How it does with everybody, `-1..=1`.
    Prior "prior" Shop;
    /// The slow sum of the product.
    Slow "slow" Item;
    /// The fast sum.
    Fast "fast" Item;
    /// `√slow + 1.75 · fast`.
    Memory "memory" Item;
    /// How often it was bought.
    Purchases "purchases" Item;
    /// Days since it was bought last.
    Days "days" Item;
    /// Its share of what is remembered of this list.
    Share "share" Item;
    /// How many hits are remembered better.
    Better "better" Item;
    /// Its memory beside the best remembered hit's.
    OfBest "of_best" Item;
    /// Units bought last.
    Units "units" Item;
    /// Share of its brand in what is remembered of this list.
    BrandShare "brand_share" Brand;
    /// Lift of its brand in the whole shop.
    BrandLift "brand_lift" Brand;
    /// Is it of the best remembered hit's brand? -1 where none is remembered.
    BrandOfBest "brand_of_best" Brand;
    /// Remembered hits of its brand.
    BrandKnown "brand_known" Brand;
    /// Hits of its brand.
    BrandHits "brand_hits" Brand;
    /// Share of its rarest attribute in what is remembered of this list.
    RareShare "rare_attribute_share" Kind;
    /// Share of its most common attribute.
    CommonShare "common_attribute_share" Kind;
    /// Sum of the shares of attributes that it lacks.
    Missing "attributes_missing" Kind;
    /// Share of products with the same attributes.
    SameShare "same_attributes_share" Kind;
    /// Has it the best remembered hit's attributes? -1 where none is remembered.
    SameAsBest "attributes_of_best" Kind;
    /// Remembered hits with the same attributes.
    SameKnown "same_attributes_known" Kind;
    /// Sum of the lifts of its attributes, by the root of their number.
    AttributeLift "attribute_lift" Kind;
    /// Lift of its price tier.
    TierLift "price_tier_lift" Kind;
    /// How much dearer than what is remembered of this list, ln.
    Dearer "dearer" Price;
    /// The distance, whichever way.
    PriceAway "price_away" Price;
    /// How much dearer than the best remembered hit, ln; 9 where that cannot be said.
    DearerThanBest "dearer_than_best" Price;
    /// How much dearer than the mean of the list, ln.
    DearerThanList "dearer_than_list" Price;
    /// Hits.
    Hits "hits" List;
    /// Remembered hits.
    Known "known" List;
    /// Remembered hits before this one.
    KnownBefore "known_before" List;
    /// Sum of the slow sums of all hits.
    SlowSum "slow_sum" List;
    /// Sum of the fast sums.
    FastSum "fast_sum" List;
    /// Purchases of all hits.
    PurchasesSum "purchases_sum" List;
    /// Memory of the best remembered hit.
    Best "best" List;
    /// Its place.
    BestPlace "best_place" List;
    /// Days since any hit was bought.
    DaysOfAny "days_of_any" List;
    /// Remembered hits a purchase: who takes another one each time has 1. -1 where nothing was bought.
    Variety "variety" List;
    /// Remembered products a purchase in the whole shop.
    VarietyOfAll "variety_of_all" List;
    /// Evidence of the hit's category.
    CategorySum "category_sum" List;
    /// Evidence of the hits, as it fades with categories, beside that: how much of what is taken in the category is listed.
    Covered "covered" List;
    /// All evidence.
    Evidence "evidence" List;
}

impl Feature {
    /// Place in arrays that hold one number a feature.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The feature of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_has_a_name_of_its_own_and_is_found_by_it() {
        for (index, feature) in Feature::ALL.into_iter().enumerate() {
            assert_eq!(feature.index(), index);
            assert_eq!(Feature::named(feature.name()), Some(feature));
        }
        assert_eq!(Feature::named("moon_phase"), None);
    }
}
