// Photos come from the orchestrator's signed addresses, never from the site and never through the gateway.

import { Failure } from "./results.js";

const PHOTO_LIMIT_BYTES = 10 * 1024 * 1024;
const CHUNK = 0x8000;

/** Returns a photo as base64, once its bytes are the expected ones; throws a Failure that says NOT_SENT. */
export async function fetchPhoto({ url, content_sha256: expected }, signal) {
  let response;
  let bytes;
  try {
    response = await fetch(url, { signal, credentials: "omit", cache: "no-store" });
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    if (signal.aborted) {
      throw signal.reason;
    }
    throw new Failure("PHOTO_UNREADABLE", `The photo's address failed: ${error.name}.`);
  }
  if (response.status !== 200 || bytes.length > PHOTO_LIMIT_BYTES) {
    throw new Failure("PHOTO_UNREADABLE", `The photo's address answered ${response.status}.`);
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  if ([...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("") !== expected) {
    throw new Failure("PHOTO_UNREADABLE", "The photo's address gave other bytes.");
  }
  return base64Of(bytes);
}

function base64Of(bytes) {
  let text = "";
  // An argument list of a whole photo would be longer than a call may be.
  for (let start = 0; start < bytes.length; start += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(start, start + CHUNK));
  }
  return btoa(text);
}
