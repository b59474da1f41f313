//! Product names and queries with what they must and must not say, and the faults of bad tables.
//!
//! A line of [`NAMES`] reads: name, category, attributes that must be there, attributes that must
//! not. What is named in neither is not checked: a name may say more than the line is about.

use super::*;

const NAMES: &[(&str, &str, &str, &str)] = &[
    // plant-based and its traps
    ("Oat Milk", "", "plant-based vegan vegetarian", "dairy"),
    ("Oatmilk Barista Blend", "", "plant-based", "dairy"),
    ("Unsweetened Almond Milk", "", "plant-based sugar-free nut", "dairy sweet"),
    ("Soya Drink", "", "plant-based", ""),
    ("Soymilk Vanilla", "", "plant-based", "dairy"),
    ("Coconut Yoghurt", "", "plant-based", "dairy"),
    ("Almond Vanilla Yogurts 4 ct", "", "plant-based nut", "dairy"),
    ("Cashew Cream Cheese", "", "plant-based nut", "dairy"),
    ("Plant-Based Greek Style Yogurt", "", "plant-based", "dairy"),
    ("Vegan Cheddar Slices", "", "plant-based vegan", "dairy"),
    ("Dairy-Free Pistachio Frozen Dessert", "", "plant-based dairy-free nut frozen", "dairy"),
    ("Basmati Rice", "", "", "plant-based"),
    ("Whole Almonds Raw", "", "nut", "plant-based dairy"),
    ("Coconut Water", "", "", "plant-based dairy"),
    ("Milk Chocolate Almonds", "", "dairy nut sweet", "plant-based"),
    ("Honey Almond Greek Yogurt", "", "dairy nut", "plant-based"),
    ("Rice Pudding with Milk", "", "dairy sweet", "plant-based"),
    ("Steel Cut Oats", "", "whole-grain", "plant-based"),
    ("Firm Tofu", "", "plant-based vegan", "meat"),
    ("Plant-Based Chicken Nuggets", "", "plant-based", "meat"),
    ("Veggie Burgers", "", "plant-based vegetarian", "meat"),
    ("Barista Edition", "Dairy Alternatives/Plant Milk", "plant-based", "dairy"),
    // dairy and its traps
    ("Whole Milk 1 gal", "", "dairy gallon", "plant-based"),
    ("Buttermilk", "", "dairy", "plant-based"),
    ("Goat Milk", "", "dairy", "plant-based"),
    ("Creamy Peanut Butter", "", "nut", "dairy"),
    ("Butternut Squash", "Produce", "", "dairy nut"),
    ("Butter Lettuce", "Produce", "", "dairy"),
    ("Butter Beans", "", "", "dairy"),
    ("Unsalted Butter", "", "dairy low-sodium", "salty"),
    ("Coconut Milk Light", "", "plant-based", "dairy"),
    ("Cream Soda", "", "", "dairy"),
    ("Shaving Cream", "", "", "dairy"),
    ("Crème Fraîche", "", "dairy", ""),
    ("Lactose-Free 2% Milk", "", "dairy lactose-free low-fat", "plant-based"),
    ("Skim Milk Half Gallon", "", "dairy low-fat half-gallon", "gallon"),
    ("Strawberry Drinkable", "Dairy & Eggs/Yogurt", "dairy", ""),
    // spicy and its traps
    ("Jalapeño Kettle Chips", "", "spicy", ""),
    ("Flamin' Corn Twists", "", "spicy", ""),
    ("Chilli Lime Rolled Tortilla Chips", "", "spicy", ""),
    ("Habanero Salsa", "", "spicy", ""),
    ("Sriracha Potato Chips", "", "spicy", ""),
    ("Hot Barbecue Potato Chips", "", "spicy", ""),
    ("Hot Sauce", "", "spicy", ""),
    ("Hot Dogs", "", "meat", "spicy"),
    ("Hot Dog Buns", "", "", "spicy meat"),
    ("Hot Chocolate Mix", "", "sweet", "spicy"),
    ("Sweet Chili Chips", "", "", "spicy"),
    ("Mild Salsa", "", "", "spicy"),
    ("TOMATO HOT HOUSE 15 LB", "", "", "spicy"),
    ("PEPPER SERRANO 10 LB", "", "spicy", ""),
    ("Buffalo Mozzarella", "", "dairy", "spicy meat"),
    ("Buffalo Wings", "", "spicy", ""),
    ("Original Potato Chips", "", "", "spicy"),
    ("Sea Salt Kettle Chips", "", "salty", "spicy"),
    ("Pepper Jack Slices", "", "spicy dairy", ""),
    // organic, local, diets
    ("CABBAGE RED 45 LB ORG", "Produce", "organic", ""),
    ("Organic Bananas", "", "organic", ""),
    ("Organ Meats Mix", "", "", "organic"),
    ("Oregano", "", "", "organic"),
    ("SPINACH BABY SATUR LCL", "", "local", "organic"),
    ("Farm Eggs 12 ct", "", "local egg dozen", "plant-based"),
    ("Artisan Sourdough", "", "local", ""),
    ("Gluten-Free Penne", "", "gluten-free", ""),
    ("GF Brownie Mix", "", "gluten-free sweet", ""),
    ("Tri-Color Quinoa", "", "gluten-free", ""),
    ("Quinoa Bread", "", "", "gluten-free"),
    ("Corn Tortillas", "", "gluten-free", ""),
    ("Flour Tortillas", "", "", "gluten-free"),
    ("Halal Chicken Thighs", "", "halal meat", ""),
    ("Kosher Dill Pickles", "", "kosher", ""),
    ("Coarse Kosher Salt", "", "", "kosher"),
    ("No Sugar Added Applesauce", "", "sugar-free", "sweet"),
    ("Sugar Snap Peas", "", "", "sweet sugar-free"),
    ("100% Whole Wheat Bread", "", "whole-grain", ""),
    ("Low-Sodium Chicken Broth", "", "low-sodium meat", ""),
    ("Decaf Ground Coffee", "", "decaf", ""),
    ("Fair Trade Dark Chocolate", "", "fair-trade sweet", ""),
    // nuts, meat, fish, egg
    ("Nut-Free Granola Bars", "", "", "nut"),
    ("Donuts Glazed", "", "sweet", "nut"),
    ("Coconut Flakes", "", "", "nut"),
    ("Water Chestnuts", "", "", "nut"),
    ("Oyster Mushrooms", "", "", "fish"),
    ("Oyster Crackers", "", "", "fish"),
    ("Atlantic Salmon Fillet", "", "fish", "meat"),
    ("Beefsteak Tomatoes", "", "", "meat"),
    ("Ground Beef 93% Lean", "", "meat low-fat", ""),
    ("Eggplant", "", "", "egg"),
    ("Egg-Free Mayo", "", "plant-based", "egg"),
    ("Chicken Dog Food", "", "", "meat"),
    // drink, state, size
    ("Ginger Ale", "", "", "alcohol"),
    ("Root Beer 2 L", "", "two-liter", "alcohol"),
    ("Red Wine Vinegar", "", "", "alcohol"),
    ("Craft Pale Ale 6 pk", "", "alcohol six-pack local", ""),
    ("Frozen Peas", "", "frozen", "fresh"),
    ("Fresh Basil", "", "fresh", "frozen"),
    ("Peas", "Frozen/Vegetables", "frozen", "fresh"),
    ("Vanilla Ice Cream", "", "frozen dairy sweet", ""),
    ("Ice Cream Cones", "", "", "frozen dairy"),
    ("Kids Yogurt Tubes", "", "kids dairy", ""),
    ("Kidney Beans", "", "", "kids"),
    ("Tortilla Chips Party Size", "", "family-size", ""),
    ("Light Bulb", "", "", "low-fat"),
    ("Lightly Salted Rice Cakes", "", "gluten-free", "low-fat"),
    ("80% Lean Ground Beef", "", "meat", "low-fat"),
    // a shelf is named after some of what stands on it
    ("Wildflower Honey", "Pantry/Nut Butter, Jam & Honey", "sweet", "dairy"),
    ("Organic Hummus", "Deli/Meats, Dips & Salads", "organic", "meat"),
    ("Mango Sorbet", "Frozen/Ice Cream & Desserts", "frozen", "dairy"),
    ("Dried Apricots", "Snacks/Nuts & Dried Fruit", "", "fresh"),
    ("Canned Sweet Corn", "Pantry/Beans & Canned Vegetables", "", "fresh"),
    ("", "", "", "organic dairy"),
];

const QUERIES: &[(&str, &str)] = &[
    ("vegan milk", "vegan"),
    ("plant based yogurt", "plant-based"),
    ("non-dairy creamer", "plant-based"),
    ("gluten free bread", "gluten-free"),
    ("glutenfree pasta", "gluten-free"),
    ("coeliac biscuits", "gluten-free"),
    ("organic milk gallon", "organic gallon"),
    ("half gallon milk", "half-gallon"),
    ("spicy chips", "spicy"),
    ("hot dog", ""),
    ("hot chips", "spicy"),
    ("family size cereal", "family-size"),
    ("cola 2 l", "two-liter"),
    ("eggs 12 ct", "dozen"),
    ("half dozen eggs", "six-pack"),
    ("sugar free soda", "sugar-free"),
    ("veggie straws", ""),
    ("veggie burger", "vegetarian"),
    ("kosher salt", ""),
    ("milk", ""),
    ("cheese", ""),
    ("lactose-free 2% milk", "lactose-free"),
    ("", ""),
];

#[test]
fn the_shipped_tables_compile() {
    let knowledge = Knowledge::parse(&SHIPPED).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(knowledge.attributes().count() >= 25);
    assert_ne!(knowledge.version(), 0);
    assert_eq!(knowledge.version(), Knowledge::shipped().version());
}

#[test]
fn names_say_what_they_mean_and_no_more() {
    let knowledge = Knowledge::shipped();
    let mut wrong = Vec::new();
    for (name, category, present, absent) in NAMES {
        let category = (!category.is_empty()).then_some(*category);
        let found = knowledge.infer(name, category, &[]);
        for attribute in present.split_whitespace() {
            if !found.contains(&attribute) {
                wrong.push(format!("{name:?} should be {attribute}: {found:?}"));
            }
        }
        for attribute in absent.split_whitespace() {
            if found.contains(&attribute) {
                wrong.push(format!("{name:?} should not be {attribute}: {found:?}"));
            }
        }
    }
    assert!(NAMES.len() >= 80 && wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_attribute_is_shown_by_a_name_of_the_table() {
    let knowledge = Knowledge::shipped();
    let shown: Vec<&str> = NAMES.iter().flat_map(|case| case.2.split_whitespace()).collect();
    let rare = ["non-gmo", "high-protein", "keto", "ready-to-eat", "single-serve"];
    for attribute in knowledge.attributes() {
        assert!(shown.contains(&attribute) || rare.contains(&attribute), "{attribute} has no case");
    }
    for (name, attribute) in [
        ("Non-GMO Canola Oil", "non-gmo"),
        ("Whey Protein Bar", "high-protein"),
        ("Keto Bread", "keto"),
        ("Caesar Salad Kit", "ready-to-eat"),
        ("Pretzels Snack Size", "single-serve"),
    ] {
        assert!(knowledge.infer(name, None, &[]).contains(&attribute), "{name}");
    }
}

#[test]
fn queries_name_diets_and_sizes() {
    let knowledge = Knowledge::shipped();
    for (query, wanted) in QUERIES {
        let wanted: Vec<&str> = wanted.split_whitespace().collect();
        assert_eq!(knowledge.query_attributes(query), wanted, "{query}");
    }
}

#[test]
fn a_shops_own_terms_count_like_the_name() {
    let knowledge = Knowledge::shipped();
    assert!(knowledge.infer("Morning Bowl", None, &["breakfast", "organic"]).contains(&"organic"));
    assert!(!knowledge.infer("Oat Drink", None, &["dairy aisle"]).contains(&"plant-based"));
}

fn problems(attributes: &str, terms: &str) -> Vec<String> {
    let files = [("attributes.yaml", attributes), ("query_terms.yaml", terms)];
    match Knowledge::parse(&files) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn all_faults_are_reported_at_once_with_their_places() {
    let found = problems(
        "vegan:\n  any: [vegan, '!!']\n  unless: [diary]\ndairy:\n  first: [milk]\n",
        "vegn: {any: [vegan]}\n",
    );
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found[0].starts_with("attributes.yaml:2:"), "{found:#?}");
    assert!(found.iter().any(|line| line.contains("did you mean \"dairy\"")), "{found:#?}");
    assert!(found.iter().any(|line| line.contains("both or neither")), "{found:#?}");
    assert!(found.iter().any(|line| line.contains("did you mean \"vegan\"")), "{found:#?}");
}

#[test]
fn unknown_and_repeated_keys_and_unknown_tables_are_faults() {
    assert_eq!(problems("vegan: {anny: [vegan]}\n", "").len(), 1);
    assert_eq!(problems("vegan: {any: [a]}\nvegan: {any: [b]}\n", "").len(), 1);
    let unknown = Knowledge::parse(&[("query_term.yaml", "")]).unwrap_err();
    assert_eq!(unknown.len(), 1, "{unknown:#?}");
    assert_eq!(unknown[0].suggestion.as_deref(), Some("query_terms.yaml"));
}

#[test]
fn a_table_that_is_not_given_is_the_shipped_one() {
    let own = Knowledge::parse(&[("query_terms.yaml", "")]).unwrap();
    assert_eq!(
        own.infer("Oat Milk 32 oz", None, &[]),
        Knowledge::shipped().infer("Oat Milk 32 oz", None, &[])
    );
    assert!(own.query_attributes("vegan yogurt").is_empty());
}

proptest::proptest! {
    #[test]
    fn inference_never_panics_and_names_each_attribute_once(name in "\\PC{0,300}") {
        let knowledge = Knowledge::shipped();
        let found = knowledge.infer(&name, Some(&name), &[&name]);
        let mut distinct = found.clone();
        distinct.sort_unstable();
        distinct.dedup();
        proptest::prop_assert_eq!(found.len(), distinct.len());
    }
}
