"""What the demo is played with.

Commodities are those of the FDA's Food Traceability List (21 CFR part 1 subpart S); the fields of a harvest
are the key data elements of section 1.1325(a), those of a shipment of section 1.1340(a). The recall follows a
real enforcement record, openFDA F-0438-2025: cucumber snack cups, potential Salmonella, Class I, sold in
Colorado from 22 to 29 November 2024. The growers, venues and guests are invented.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Farm:
    """Where a lot grows: business name, location and field."""

    name: str
    city: str
    region: str
    country_code: str
    gln: str = ""


@dataclass(frozen=True, slots=True)
class Harvest:
    """One harvest, as its grower records it.

    Args:
        product_code: commodity as a slug.
        commodity: its name on the Food Traceability List.
        variety: what exactly.
        amount: quantity harvested, in `unit`.
        unit: UN/ECE Recommendation 20 code.
        field: growing area.
        utc_offset: local offset at the farm.
        age: time since the harvest.
        shelf_life: time from harvest to expiry.
    """

    product_code: str
    commodity: str
    variety: str
    amount: Decimal
    unit: str
    field: str
    utc_offset: str
    age: timedelta
    shelf_life: timedelta


@dataclass(frozen=True, slots=True)
class Place:
    """A venue with its location description (21 CFR 1.1310)."""

    name: str
    street: str
    city: str
    region: str
    postal_code: str
    country_code: str
    phone: str


@dataclass(frozen=True, slots=True)
class Dish:
    """A menu item.

    Args:
        price_minor: price of a portion in US cents.
        uses: product code -> grams in one portion.
    """

    name: str
    description: str
    price_minor: int
    uses: dict[str, int]


@dataclass(frozen=True, slots=True)
class Recall:
    """Why and how a lot is recalled."""

    recall_class: str
    reason: str
    source: str


CURRENCY = "USD"

FARM = Farm("Rio Verde Produce", "Nogales", "Arizona", "US", gln="0614141000012")

CUCUMBER = Harvest(
    "cucumber",
    "Cucumbers (fresh)",
    "Persian",
    Decimal("2400"),
    "LBR",
    "Field 7, block B",
    "-07:00",
    timedelta(days=2),
    timedelta(days=14),
)
ROMAINE = Harvest(
    "romaine-lettuce",
    "Leafy greens (fresh)",
    "Parris Island cos",
    Decimal("300"),
    "KGM",
    "Field 3",
    "-07:00",
    timedelta(days=1),
    timedelta(days=10),
)
TOMATO = Harvest(
    "tomato",
    "Tomatoes (fresh)",
    "Roma",
    Decimal("250"),
    "KGM",
    "Greenhouse 2",
    "-07:00",
    timedelta(days=3),
    timedelta(days=12),
)
SPROUTS = Harvest(
    "alfalfa-sprouts",
    "Sprouts (fresh)",
    "Alfalfa",
    Decimal("6000"),
    "GRM",
    "Sprouting room 1",
    "-07:00",
    timedelta(hours=30),
    timedelta(days=6),
)
HARVESTS = (CUCUMBER, ROMAINE, TOMATO, SPROUTS)

KITCHEN = Place(
    "Snack Cup Kitchen",
    "1400 Distribution Way",
    "Farmers Branch",
    "Texas",
    "75234",
    "US",
    "+1 972 555 0143",
)
MARKET = Place(
    "Front Range Market", "880 Larimer Street", "Denver", "Colorado", "80204", "US", "+1 303 555 0176"
)

SNACK_CUP = Dish(
    "Cucumber snack cup with ranch, 9.5 oz",
    "The product of recall F-0438-2025, sold in Colorado.",
    549,
    {"cucumber": 170},
)
GARDEN_SALAD = Dish(
    "Garden salad",
    "Romaine, tomato, cucumber.",
    1150,
    {"romaine-lettuce": 120, "tomato": 80, "cucumber": 40},
)
FAMILY_TRAY = Dish(
    "Family tray",
    "Costs an amount at which the simulated provider answers late.",
    8888,
    {"romaine-lettuce": 600, "tomato": 400},
)
PARTY_PLATTER = Dish(
    "Party platter",
    "Costs an amount that the simulated provider declines.",
    6666,
    {"tomato": 1000},
)
SPROUT_BOWL = Dish(
    "Sprout bowl", "There is enough for one.", 925, {"alfalfa-sprouts": 100, "romaine-lettuce": 50}
)

RECALL = Recall("RECALL_CLASS_I", "Potential Salmonella", "openFDA F-0438-2025, reported 2025-02-05")

FARMS = (
    FARM,
    Farm("Laguna Seca Growers", "Salinas", "California", "US"),
    Farm("Cedar Hollow Farm", "Immokalee", "Florida", "US"),
    Farm("Sierra Madre Hortalizas", "Culiacan", "Sinaloa", "MX"),
    Farm("Lakeshore Greenhouses", "Leamington", "Ontario", "CA"),
)
"""Farms of the large demo."""

COMMODITIES: tuple[tuple[str, str], ...] = (
    ("cucumber", "Cucumbers (fresh)"),
    ("romaine-lettuce", "Leafy greens (fresh)"),
    ("tomato", "Tomatoes (fresh)"),
    ("alfalfa-sprouts", "Sprouts (fresh)"),
    ("cantaloupe", "Melons (fresh)"),
    ("bell-pepper", "Peppers (fresh)"),
    ("basil", "Herbs (fresh)"),
    ("mango", "Tropical tree fruits (fresh)"),
    ("shell-eggs", "Shell eggs"),
    ("peanut-butter", "Nut butters"),
)
"""Commodities of the large demo: slug and name on the list."""
