"""The choices that the upload form offers. Numbers without a source are this sandbox's own."""

from typing import Final

# Catalogue -> the size group that it asks for; None asks for no size.
CATALOGUES: Final[dict[int, str | None]] = {
    10: "women",  # dresses
    12: "women",  # tops
    13: "women",  # knitwear
    183: "women",  # jeans
    9: "women",  # trousers
    11: "women",  # skirts
    1908: "women",  # jackets
    1907: "women",  # coats
    536: "men",  # shirts
    77: "men",  # T-shirts
    79: "men",  # knitwear
    257: "men",  # jeans
    34: "men",  # trousers
    80: "men",  # shorts
    2052: "men",  # jackets
    2051: "men",  # coats
    2632: "shoes",  # women's sneakers
    1049: "shoes",  # women's boots
    1242: "shoes",  # men's sneakers
    1233: "shoes",  # men's boots
    156: None,  # bags
    20: None,  # belts
    88: None,  # hats
    89: None,  # scarves
    1934: None,  # home decoration
    2312: None,  # books
}
SIZES: Final[dict[str, range]] = {
    "women": range(1, 13),  # XXXS to 4XL, in order, and one size
    "men": range(206, 216),  # XS to 6XL
    "shoes": range(776, 800),  # EU 35 to 46, whole and half sizes
}
# 6 new with tags, 1 new without tags, 2 very good, 3 good, 4 satisfactory: as third-party clients name them.
STATUSES: Final = frozenset({6, 1, 2, 3, 4})
COLOURS: Final = frozenset(range(1, 32))
PACKAGE_SIZES: Final = frozenset({1, 2, 3})
CURRENCIES: Final = frozenset({"EUR", "GBP", "PLN", "CZK", "HUF", "SEK", "RON", "DKK", "USD"})
BRANDS: Final = range(1, 1_000_000_000)
