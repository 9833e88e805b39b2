// The only calls that this extension performs at the site. No I/O.

const matches = (pattern) => (value) => typeof value === "string" && pattern.test(value);
const number = (most) => (value) => Number.isInteger(value) && value >= 1 && value <= most;
const isText = (value) => typeof value === "string" && value.length > 0 && value.length <= 2000;
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const ID = matches(/^[0-9]{1,20}$/);
const PAGE = number(100_000);
const PHOTO = {
  url: isText,
  content_sha256: matches(/^[0-9a-f]{64}$/),
  media_type: matches(/^image\/(jpeg|png|webp)$/),
  file_name: isText,
  temp_uuid: isText,
};

// `query` gives the parameters behind the question mark; `label` is what the popup says.
const OPERATIONS = {
  upload_photo: { method: "POST", path: () => "/photos", parameters: PHOTO, label: "Uploading a photo" },
  create_item: {
    method: "POST",
    path: () => "/item_upload/items",
    parameters: { body: isObject },
    label: "Publishing an item",
  },
  get_item: {
    method: "GET",
    path: (given) => `/item_upload/items/${given.item_id}`,
    parameters: { item_id: ID },
    label: "Reading an item",
  },
  update_item: {
    method: "PUT",
    path: (given) => `/item_upload/items/${given.item_id}`,
    parameters: { item_id: ID, body: isObject },
    label: "Changing an item",
  },
  delete_item: {
    method: "POST",
    path: (given) => `/items/${given.item_id}/delete`,
    parameters: { item_id: ID },
    label: "Deleting an item",
  },
  list_wardrobe: {
    method: "GET",
    path: (given) => `/wardrobe/${given.user_id}/items`,
    query: (given) => ({ page: given.page, per_page: given.per_page }),
    parameters: { user_id: ID, page: PAGE, per_page: number(96) },
    label: "Reading the wardrobe",
  },
  list_orders: {
    method: "GET",
    path: () => "/my_orders",
    query: (given) => ({ type: "sold", status: "all", page: given.page, per_page: given.per_page }),
    parameters: { page: PAGE, per_page: number(100) },
    label: "Reading the orders",
  },
  get_transaction: {
    method: "GET",
    path: (given) => `/transactions/${given.transaction_id}`,
    parameters: { transaction_id: ID },
    label: "Reading a sale",
  },
  get_shipment_label: {
    method: "GET",
    path: (given) => `/shipments/${given.shipment_id}/label_url`,
    parameters: { shipment_id: ID },
    label: "Reading a shipping label",
  },
};

/** Returns everything for which a command is not performed. */
export function commandViolations(command, imageOrigins) {
  if (!Object.hasOwn(OPERATIONS, command.operation)) {
    return [`operation "${command.operation}" is not allowed`];
  }
  const { parameters: checks } = OPERATIONS[command.operation];
  const wrong = Object.keys(command.parameters)
    .filter((name) => !Object.hasOwn(checks, name))
    .map((name) => `${name}: unknown parameter`);
  for (const [name, check] of Object.entries(checks)) {
    if (!Object.hasOwn(command.parameters, name) || !check(command.parameters[name])) {
      wrong.push(`${name}: missing or not allowed`);
    }
  }
  if (wrong.length === 0 && command.operation === "upload_photo" && !isFrom(command.parameters.url, imageOrigins)) {
    wrong.push("url: this origin is not allowed");
  }
  return wrong;
}

function isFrom(url, origins) {
  try {
    return origins.has(new URL(url).origin);
  } catch {
    return false;
  }
}

/** Returns what the tab shall send for a command that was checked. `photo` is base64 or absent. */
export function callOf(command, photo) {
  const { method, path, query } = OPERATIONS[command.operation];
  const given = command.parameters;
  const search = query ? `?${new URLSearchParams(query(given))}` : "";
  const call = { method, target: `/api/v2${path(given)}${search}` };
  if (photo !== undefined) {
    call.form = [
      { name: "photo[type]", text: "item" },
      { name: "photo[temp_uuid]", text: given.temp_uuid },
      { name: "photo[file]", base64: photo, media_type: given.media_type, file_name: given.file_name },
    ];
  } else if (given.body !== undefined) {
    call.json = JSON.stringify(given.body);
  }
  return call;
}

export function labelOf(operation) {
  return OPERATIONS[operation].label;
}
