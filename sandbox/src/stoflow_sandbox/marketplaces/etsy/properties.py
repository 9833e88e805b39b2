"""The attributes of a listing, as its taxonomy node allows them."""

from stoflow_sandbox.marketplaces.etsy.context import Context
from stoflow_sandbox.marketplaces.etsy.errors import not_found, refuse
from stoflow_sandbox.marketplaces.etsy.forms import ID, IDS, TEXTS, read_form
from stoflow_sandbox.marketplaces.etsy.state import Listing
from stoflow_sandbox.marketplaces.etsy.taxonomy import properties_of
from stoflow_sandbox.marketplaces.etsy.views import property_view
from stoflow_sandbox.marketplaces.exchange import Call, Effect, Reply


def list_properties(listing: Listing) -> Reply:
    views = [property_view(value) for value in listing.properties.values()]
    return Reply(200, {"count": len(views), "results": views})


def set_property(listing: Listing, property_id: int, call: Call, context: Context) -> Reply:
    """Replace one attribute; its values must be possible for the listing's taxonomy node."""
    known = {one["property_id"]: one for one in properties_of(listing.fields["taxonomy_id"])}
    definition = known.get(property_id)
    if definition is None:
        return not_found("property of this taxonomy", property_id)
    fields, violations = read_form(call, {"value_ids": IDS, "values": TEXTS, "scale_id": ID})
    violations += [f"{name} is required." for name in ("value_ids", "values") if not fields.get(name)]
    possible = {one["value_id"] for one in definition["possible_values"]}
    value_ids = fields.get("value_ids") or []
    violations += [
        f"{value_id} is no value of {definition['name']}."
        for value_id in value_ids
        if value_id not in possible
    ]
    if len(value_ids) > (definition["max_values_allowed"] or 1):
        violations.append(f"{definition['name']} takes fewer values.")
    scales = [one["scale_id"] for one in definition["scales"]]
    if scales and fields.get("scale_id") not in scales:
        violations.append(f"scale_id must be one of {', '.join(map(str, scales))}.")
    if violations:
        return refuse(400, *violations)
    value = {
        "property_id": property_id,
        "property_name": definition["name"],
        "scale_id": fields.get("scale_id"),
        "value_ids": value_ids,
        "values": fields["values"],
    }
    listing.properties[str(property_id)] = value
    listing.updated_time = context.now
    effect = Effect("property.set", str(listing.listing_id), listing.sku)
    return Reply(200, property_view(value), effects=[effect])
