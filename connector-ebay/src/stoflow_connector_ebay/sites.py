"""The eBay sites that jobs can name, and what each of them expects."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EbaySite:
    """One eBay site.

    Attributes:
        marketplace_id: eBay's own name of the site, which is also the job's site: `EBAY_US`.
        language: Language of the texts, as Content-Language and Accept-Language: `en-US`.
        currency: The only currency that listings there may carry.
        host: Where buyers see the listing.
    """

    marketplace_id: str
    language: str
    currency: str
    host: str

    def listing_url(self, listing_id: str) -> str:
        """Returns the public address of a listing."""
        return f"https://{self.host}/itm/{listing_id}"


# Ids and hosts: MarketplaceEnum of the Inventory API document; languages: its LocaleEnum, and eBay's page
# "Marketplace ID values" for the sites that the enum leaves out. Canada is the English site, Belgium the
# Dutch one.
SITES: dict[str, EbaySite] = {
    site.marketplace_id: site
    for site in (
        EbaySite("EBAY_AT", "de-AT", "EUR", "www.ebay.at"),
        EbaySite("EBAY_AU", "en-AU", "AUD", "www.ebay.com.au"),
        EbaySite("EBAY_BE", "nl-BE", "EUR", "www.ebay.be"),
        EbaySite("EBAY_CA", "en-CA", "CAD", "www.ebay.ca"),
        EbaySite("EBAY_CH", "de-CH", "CHF", "www.ebay.ch"),
        EbaySite("EBAY_DE", "de-DE", "EUR", "www.ebay.de"),
        EbaySite("EBAY_ES", "es-ES", "EUR", "www.ebay.es"),
        EbaySite("EBAY_FR", "fr-FR", "EUR", "www.ebay.fr"),
        EbaySite("EBAY_GB", "en-GB", "GBP", "www.ebay.co.uk"),
        EbaySite("EBAY_HK", "zh-HK", "HKD", "www.ebay.com.hk"),
        EbaySite("EBAY_IE", "en-IE", "EUR", "www.ebay.ie"),
        EbaySite("EBAY_IT", "it-IT", "EUR", "www.ebay.it"),
        EbaySite("EBAY_MOTORS", "en-US", "USD", "www.ebay.com"),
        EbaySite("EBAY_MY", "en-MY", "MYR", "www.ebay.com.my"),
        EbaySite("EBAY_NL", "nl-NL", "EUR", "www.ebay.nl"),
        EbaySite("EBAY_PH", "en-PH", "PHP", "www.ebay.ph"),
        EbaySite("EBAY_PL", "pl-PL", "PLN", "www.ebay.pl"),
        EbaySite("EBAY_SG", "en-SG", "SGD", "www.ebay.com.sg"),
        EbaySite("EBAY_TW", "zh-TW", "TWD", "www.ebay.com.tw"),
        EbaySite("EBAY_US", "en-US", "USD", "www.ebay.com"),
    )
}


def find_site(marketplace_id: str) -> EbaySite | None:
    """Returns the site of this name, or None."""
    return SITES.get(marketplace_id)
