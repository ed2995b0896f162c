"""Made-up names of companies: generic words only, addresses under the reserved domain `.example`."""

from __future__ import annotations

from random import Random

FIRST_WORDS = (
    "Amber", "Aspen", "Birch", "Blue", "Brass", "Cedar", "Clear", "Cobalt", "Copper", "Coral", "Crimson", "Dawn",
    "Ember", "Fern", "Flint", "Gentle", "Golden", "Granite", "Green", "Hazel", "Hollow", "Indigo", "Ivory",
    "Juniper", "Laurel", "Lilac", "Linen", "Lunar", "Maple", "Marble", "Misty", "Mossy", "Opal", "Paper", "Pebble",
    "Plum", "Quiet", "Rowan", "Russet", "Saffron", "Silver", "Slate", "Tidal", "Umber", "Velvet", "Willow",
)  # fmt: skip
SECOND_WORDS = (
    "Anchor", "Arbor", "Basin", "Beacon", "Bridge", "Brook", "Canyon", "Compass", "Cove", "Delta", "Dune", "Field",
    "Forge", "Garden", "Grove", "Harbor", "Hill", "Kettle", "Ladder", "Lantern", "Loom", "Meadow", "Mill", "Orchard",
    "Pier", "Pond", "Quarry", "Ridge", "River", "Sail", "Spindle", "Spring", "Summit", "Thicket", "Tower", "Valley",
    "Wharf", "Window", "Workshop", "Yard",
)  # fmt: skip
TRADES = (
    "Analytics", "Bakery", "Catering", "Clinics", "Cycles", "Design", "Dental", "Education", "Energy", "Farms",
    "Films", "Fitness", "Foods", "Furniture", "Games", "Instruments", "Interiors", "Labs", "Legal", "Logistics",
    "Media", "Outdoor", "Packaging", "Pharmacy", "Print", "Robotics", "Software", "Studios", "Textiles", "Tools",
    "Travel", "Veterinary",
)  # fmt: skip
LEGAL_FORMS = {
    "USD": ("Inc", "LLC", "Corp"),
    "EUR": ("GmbH", "SAS", "BV"),
    "GBP": ("Ltd", "LLP"),
    "JPY": ("KK",),
}


def company_name(number: int, currency: str, random: Random, taken: set[str]) -> str:
    """A name that was not given yet, with a legal form that fits the currency; `number` breaks late ties."""
    for _ in range(20):
        words = (random.choice(FIRST_WORDS), random.choice(SECOND_WORDS), random.choice(TRADES))
        stem = " ".join(words)
        if stem not in taken:
            break
    else:
        stem = f"{stem} {number}"
    taken.add(stem)
    return f"{stem} {random.choice(LEGAL_FORMS[currency])}"


def billing_address(name: str) -> str:
    """billing@amber-harbor-logistics.example for Amber Harbor Logistics Inc."""
    stem = "-".join(name.lower().split()[:-1])
    return f"billing@{stem}.example"
